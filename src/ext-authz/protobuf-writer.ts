/**
 * Writes protobuf messages (protobuf.dev, "Encoding"). A nested message is written in place; its length is put in
 * front afterwards.
 */
export class ProtobufWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** int32, uint32, enum or bool; not negative */
  varint(no: number, value: number): void {
    this.#tag(no, 0);
    this.#varint(value);
  }

  double(no: number, value: number): void {
    this.#tag(no, 1);
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  /** A lone surrogate becomes U+FFFD. */
  string(no: number, text: string): void {
    this.#tag(no, 2);
    const size = Buffer.byteLength(text);
    this.#varint(size);
    this.#reserve(size);
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
  }

  message(no: number, write: () => void): void {
    this.#tag(no, 2);
    // room for a length of one byte, the usual one
    this.#reserve(1);
    const start = ++this.#length;
    write();
    const size = this.#length - start;
    const more = varintSize(size) - 1;
    if (more > 0) {
      this.#reserve(more);
      this.#bytes.copyWithin(start + more, start, this.#length);
    }
    this.#length = start - 1;
    this.#varint(size);
    this.#length += size;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #tag(no: number, wireType: number): void {
    this.#varint((no << 3) | wireType);
  }

  #varint(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) size += 1;
  return size;
}
