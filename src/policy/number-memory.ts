/**
 * Numbers where the module has them: what `opa_number_t` and the collections look like in its memory. The layout is that
 * of the pinned OPA (`wasm/src/value.h`), and only modules from its compiler call what is answered with it; a number
 * that lies there in another way is not read, which costs time and changes nothing.
 */

/** What is needed of the instance. */
interface Allocator {
  opa_malloc(size: number): number;
}

export interface NumberMemory {
  /** @returns NaN  for what is no integer below 2^53, or is written in another way than with digits alone */
  readInteger(address: number): number;
  /** @returns undefined  for what is no number, or one that is not held as text */
  readText(address: number): string | undefined;
  /** @returns the members of an array or set; undefined  when one is no such integer, or it is no collection */
  readIntegers(address: number): readonly number[] | undefined;
  /** @returns the address of the new value */
  writeInteger(integer: number): number;
  /** The text stays as it is, JSON or not. */
  writeText(text: string): number;
}

const NUMBER = 3;
const ARRAY = 5;
const SET = 7;
/** type and representation, as the two bytes lie there */
const INTEGER = NUMBER | (1 << 8);
const TEXT = NUMBER | (2 << 8);
const NUMBER_BYTES = 24;
const UNION = 8;
const LENGTH = 12;
/** so many digits are below 2^53 */
const MOST_DIGITS = 15;
const TWO_32 = 2 ** 32;
const MOST_HIGH = 2 ** 21;
const MINUS = 0x2d;
const DIGIT_0 = 0x30;

export function createNumberMemory(exports: Allocator, bytes: Buffer): NumberMemory {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (address: number): number => view.getUint32(address, true);

  const readDigits = (from: number, length: number): number => {
    const isNegative = bytes[from] === MINUS;
    const first = isNegative ? from + 1 : from;
    const end = from + length;
    if (first === end || end - first > MOST_DIGITS) return Number.NaN;
    // 007 is written as it is
    if (bytes[first] === DIGIT_0 && end - first > 1) return Number.NaN;
    let value = 0;
    for (let at = first; at < end; at += 1) {
      const digit = (bytes[at] ?? 0) - DIGIT_0;
      if (digit < 0 || digit > 9) return Number.NaN;
      value = value * 10 + digit;
    }
    // -0 is written as it is
    if (isNegative) return value === 0 ? Number.NaN : -value;
    return value;
  };

  const readInteger = (address: number): number => {
    const kind = view.getUint16(address, true);
    if (kind === TEXT) return readDigits(word(address + UNION), word(address + LENGTH));
    if (kind !== INTEGER) return Number.NaN;
    const high = view.getInt32(address + LENGTH, true);
    if (high >= MOST_HIGH || high < -MOST_HIGH) return Number.NaN;
    return high * TWO_32 + word(address + UNION);
  };

  const readAll = (members: Iterable<number>): readonly number[] | undefined => {
    const integers: number[] = [];
    for (const member of members) {
      const integer = readInteger(member);
      if (Number.isNaN(integer)) return undefined;
      integers.push(integer);
    }
    return integers;
  };

  function* ofArray(address: number): Iterable<number> {
    const elements = word(address + 4);
    const count = word(address + 8);
    for (let at = 0; at < count; at += 1) yield word(elements + at * 8 + 4);
  }

  function* ofSet(address: number): Iterable<number> {
    const buckets = word(address + 4);
    const count = word(address + 8);
    for (let at = 0; at < count; at += 1) {
      for (let element = word(buckets + at * 4); element !== 0; element = word(element + 4))
        yield word(element);
    }
  }

  return {
    readInteger,
    readText(address) {
      if (view.getUint16(address, true) !== TEXT) return undefined;
      const from = word(address + UNION);
      return bytes.toString('latin1', from, from + word(address + LENGTH));
    },
    readIntegers(address) {
      if (bytes[address] === ARRAY) return readAll(ofArray(address));
      return bytes[address] === SET ? readAll(ofSet(address)) : undefined;
    },
    writeInteger(integer) {
      const address = exports.opa_malloc(NUMBER_BYTES);
      view.setUint16(address, INTEGER, true);
      view.setInt32(address + UNION, integer | 0, true);
      view.setInt32(address + LENGTH, Math.floor(integer / TWO_32), true);
      return address;
    },
    writeText(text) {
      const address = exports.opa_malloc(NUMBER_BYTES);
      const characters = exports.opa_malloc(text.length);
      for (let at = 0; at < text.length; at += 1) bytes[characters + at] = text.charCodeAt(at);
      view.setUint16(address, TEXT, true);
      view.setUint32(address + UNION, characters, true);
      view.setUint32(address + LENGTH, text.length, true);
      bytes[address + LENGTH + 4] = 0;
      return address;
    },
  };
}
