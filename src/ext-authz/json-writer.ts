import type { InputReads } from '../core/input-reads.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { Span } from './span.ts';

const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = '0123456789abcdef';
const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;
const LONGEST_ESCAPE = 6;

/**
 * Short texts lie one behind the other in memory that is had once for many of them. What was written there is never
 * written over: a text may wait for its reader.
 */
const SLAB = 65_536;
const SHORT = 4_096;
let slab = Buffer.allocUnsafeSlow(SLAB);
let taken = 0;

/**
 * JSON as UTF-8 bytes, written straight from the bytes of the request: text that needs no escape is copied.
 *
 * What it writes is well-formed always: no raw control character (NUL ends the text for the WASM runtime), no lone
 * surrogate and no invalid UTF-8 (both make the runtime abort).
 */
export class JsonWriter {
  #bytes: Buffer;
  #start: number;
  /** where the text ends by now, and where it may end */
  #at: number;
  #limit: number;

  /** @param capacity  in bytes; more is found when it is needed */
  constructor(capacity: number) {
    const isShort = capacity <= SHORT;
    if (isShort && capacity > SLAB - taken) [slab, taken] = [Buffer.allocUnsafeSlow(SLAB), 0];
    this.#bytes = isShort ? slab : Buffer.allocUnsafeSlow(capacity);
    this.#start = isShort ? taken : 0;
    this.#at = this.#start;
    this.#limit = this.#start + capacity;
    if (isShort) taken = this.#limit;
  }

  /** ASCII that is JSON already: punctuation, literals, numbers, keys with their quotes. */
  raw(ascii: string): void {
    this.#reserve(ascii.length);
    const target = this.#bytes;
    let to = this.#at;
    // a loop: for a few characters a call out of JavaScript costs more
    for (let at = 0; at < ascii.length; at++) target[to++] = ascii.charCodeAt(at);
    this.#at = to;
  }

  /** As `raw`, for what was made bytes before: a byte is read several times faster than a character. */
  bytes(ascii: Uint8Array): void {
    this.#reserve(ascii.length);
    const target = this.#bytes;
    let to = this.#at;
    for (let at = 0; at < ascii.length; at++) target[to++] = ascii[at] as number;
    this.#at = to;
  }

  string(text: string): void {
    this.#reserve(text.length + 2);
    const target = this.#bytes;
    let to = this.#at;
    target[to++] = QUOTE;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7e || !isPlain(code)) return this.json(JSON.stringify(text.toWellFormed()));
      target[to++] = code;
    }
    target[to++] = QUOTE;
    this.#at = to;
  }

  /** A string whose UTF-8 was checked when the message was read. */
  utf8(source: Buffer, { start, end }: Span): void {
    this.#reserve(end - start + 2);
    let target = this.#bytes;
    let to = this.#at;
    target[to++] = QUOTE;
    for (let from = start; from < end; from++) {
      const byte = source[from] as number;
      if (isPlain(byte)) {
        target[to++] = byte;
        continue;
      }
      this.#at = to;
      this.#reserve(LONGEST_ESCAPE + end - from);
      target = this.#bytes;
      to = this.#at + target.write(escapeOf(byte), this.#at, 'latin1');
    }
    target[to++] = QUOTE;
    this.#at = to;
  }

  /** RFC 4648, section 4, with padding */
  base64(source: Buffer, span: Span): void {
    this.#reserve(Math.ceil((span.end - span.start) / 3) * 4 + 2);
    const target = this.#bytes;
    let to = this.#at;
    target[to++] = QUOTE;
    for (let from = span.start; from < span.end; from += 3) {
      const left = span.end - from;
      const bits =
        ((source[from] as number) << 16) |
        (left > 1 ? (source[from + 1] as number) << 8 : 0) |
        (left > 2 ? (source[from + 2] as number) : 0);
      target[to++] = BASE64[bits >>> 18] as number;
      target[to++] = BASE64[(bits >>> 12) & 63] as number;
      target[to++] = left > 1 ? (BASE64[(bits >>> 6) & 63] as number) : PADDING;
      target[to++] = left > 2 ? (BASE64[bits & 63] as number) : PADDING;
    }
    target[to++] = QUOTE;
    this.#at = to;
  }

  /**
   * As `JSON.stringify` writes it, but well-formed: a lone surrogate, which it would write as an escape that the WASM
   * runtime refuses, is U+FFFD.
   *
   * @param reads  which members of an object are written; default: all
   */
  value(value: Json, reads: InputReads = true): void {
    if (typeof value === 'string') this.string(value);
    else if (typeof value === 'number') this.raw(Number.isFinite(value) ? String(value) : 'null');
    else if (typeof value === 'boolean') this.raw(value ? 'true' : 'false');
    else if (typeof value !== 'object' || value === null) this.raw('null');
    else if (isJsonObject(value)) this.#members(value, reads);
    else this.#list(value);
  }

  /** Ends an object or a list whose members each end with a comma. */
  end(bracket: '}' | ']'): void {
    if (this.#bytes[this.#at - 1] === COMMA) this.#at -= 1;
    this.raw(bracket);
  }

  /** Text that is well-formed JSON already. */
  json(text: string): void {
    this.#reserve(Buffer.byteLength(text));
    this.#at += this.#bytes.write(text, this.#at, 'utf8');
  }

  finish(): Uint8Array {
    const { buffer, byteOffset } = this.#bytes;
    if (this.#bytes === slab && taken === this.#limit) taken = this.#at;
    this.#limit = this.#at;
    return new Uint8Array(buffer, byteOffset + this.#start, this.#at - this.#start);
  }

  #list(list: readonly Json[]): void {
    this.raw('[');
    for (const element of list) {
      this.value(element);
      this.raw(',');
    }
    this.end(']');
  }

  #members(object: JsonObject, reads: InputReads): void {
    this.raw('{');
    if (reads === true) for (const name of Object.keys(object)) this.#member(name, object[name], true);
    else {
      for (const [name, below] of reads)
        if (Object.hasOwn(object, name)) this.#member(name, object[name], below);
    }
    this.end('}');
  }

  #member(name: string, value: Json | undefined, reads: InputReads): void {
    if (value === undefined) return;
    this.string(name);
    this.raw(':');
    this.value(value, reads);
    this.raw(',');
  }

  #reserve(count: number): void {
    if (count <= this.#limit - this.#at) return;
    const length = this.#at - this.#start;
    const larger = Buffer.allocUnsafeSlow(Math.max(length + count, length * 2));
    this.#bytes.copy(larger, 0, this.#start, this.#at);
    this.#bytes = larger;
    this.#start = 0;
    this.#at = length;
    this.#limit = larger.length;
  }
}

function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH;
}

function escapeOf(byte: number): string {
  if (byte === QUOTE) return '\\"';
  if (byte === BACKSLASH) return '\\\\';
  return `\\u00${HEX[byte >> 4]}${HEX[byte & 15]}`;
}
