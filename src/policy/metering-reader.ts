/**
 * Reads the binary form of WebAssembly, within bounds: whatever reaches beyond them, or is written as the
 * specification does not allow, is an Error.
 *
 * @see WebAssembly core specification, 5.2 "Values"
 */
export class WasmReader {
  readonly #bytes: Uint8Array;
  readonly #from: number;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, from = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#from = from;
    this.#at = from;
    this.#end = end;
  }

  /** in the bytes that the first reader was made with */
  get position(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  byte(): number {
    const byte = this.#at < this.#end ? this.#bytes[this.#at] : undefined;
    if (byte === undefined) throw new Error(`the module ends within a value at ${this.#at}`);
    this.#at += 1;
    return byte;
  }

  /** LEB128 of an unsigned number of 32 bits */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error(`no number of 32 bits at ${this.#at}`);
  }

  /** LEB128 of a signed number of 32 bits */
  i32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return shift < 28 && (byte & 0x40) !== 0 ? value | (-1 << (shift + 7)) : value;
    }
    throw new Error(`no number of 32 bits at ${this.#at}`);
  }

  /** LEB128 of a number, which is not looked at. @param bits  that it may have at most */
  skipNumber(bits: number): void {
    for (let read = 0; read < bits; read += 7) if (this.byte() < 0x80) return;
    throw new Error(`no number of ${bits} bits at ${this.#at}`);
  }

  skip(count: number): void {
    this.take(count);
  }

  /** A reader of the next bytes, which this one leaves behind. */
  take(count: number): WasmReader {
    if (count > this.#end - this.#at) throw new Error(`the module ends within ${count} bytes at ${this.#at}`);
    const part = new WasmReader(this.#bytes, this.#at, this.#at + count);
    this.#at += count;
    return part;
  }

  /** UTF-8 with its length before it */
  name(): string {
    const { position } = this.take(this.u32());
    return Buffer.from(this.#bytes.subarray(position, this.#at)).toString();
  }

  /** All bytes of this reader, read or not. */
  whole(): Uint8Array {
    return this.#bytes.subarray(this.#from, this.#end);
  }

  /** What has not been read yet. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#end);
  }
}

/** LEB128 of an unsigned number of 32 bits */
export function unsigned(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** LEB128 of a signed number of 32 bits */
export function signed(value: number): readonly number[] {
  const isLast = value >= -0x40 && value < 0x40;
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

export type Bytes = Uint8Array | readonly number[];

export function concat(parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
