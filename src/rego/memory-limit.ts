/**
 * Gives a WebAssembly module that defines its memory a maximum: Go's linker writes none, and a policy's test could
 * then take 4 GiB. Growing beyond it fails, and Go's runtime ends with "out of memory".
 *
 * @see WebAssembly core specification, 5.5.8 "Memory Section"
 */
const MEMORY_SECTION = 5;
const HEADER_BYTES = 8;

export const PAGE_BYTES = 65_536;

/**
 * @param maximum  pages of 64 KiB
 * @throws Error  when the module defines no memory, or needs more than `maximum` from the start
 */
export function limitMemory(wasm: Uint8Array, maximum: number): Uint8Array<ArrayBuffer> {
  let at = HEADER_BYTES;
  while (at < wasm.length) {
    const id = wasm[at];
    const size = readUnsigned(wasm, at + 1);
    const end = size.next + size.value;
    if (id === MEMORY_SECTION) {
      const count = readUnsigned(wasm, size.next);
      const flags = readUnsigned(wasm, count.next);
      const minimum = readUnsigned(wasm, flags.next);
      if (count.value !== 1 || minimum.value > maximum)
        throw new Error('memory section of an unexpected form');
      const body = [1, 1, ...unsigned(minimum.value), ...unsigned(maximum)];
      const section = [MEMORY_SECTION, ...unsigned(body.length), ...body];
      return Buffer.concat([wasm.subarray(0, at), Buffer.from(section), wasm.subarray(end)]);
    }
    at = end;
  }
  throw new Error('the module defines no memory');
}

function readUnsigned(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, next: at + index + 1 };
  }
  throw new Error('not an unsigned LEB128 number');
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(Math.floor(value / 0x80))];
}
