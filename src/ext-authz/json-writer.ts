import type { Json } from '../core/json.ts';
import type { Span } from './protobuf-message.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = '0123456789abcdef';
const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;

/**
 * JSON as UTF-8 bytes, written straight from the bytes of the request: text that needs no escape is copied.
 *
 * What it writes is well-formed always: no raw control character (NUL ends the text for the WASM runtime), no lone
 * surrogate and no invalid UTF-8 (both make the runtime abort).
 */
export class JsonWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** ASCII that is JSON already: punctuation, literals, numbers, keys with their quotes. */
  raw(ascii: string): void {
    this.#reserve(ascii.length);
    const target = this.#bytes;
    let to = this.#length;
    // a loop: for a few characters a call out of JavaScript costs more
    for (let at = 0; at < ascii.length; at++) target[to++] = ascii.charCodeAt(at);
    this.#length = to;
  }

  string(text: string): void {
    this.#reserve(text.length + 2);
    const target = this.#bytes;
    let to = this.#length;
    target[to++] = QUOTE;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7e || !isPlain(code)) return this.json(JSON.stringify(text.toWellFormed()));
      target[to++] = code;
    }
    target[to++] = QUOTE;
    this.#length = to;
  }

  /** A string whose UTF-8 was checked when the message was read. */
  utf8(source: Buffer, span: Span): void {
    // the longest escape is six bytes for one
    this.#reserve((span.end - span.start) * 6 + 2);
    const target = this.#bytes;
    let to = this.#length;
    target[to++] = QUOTE;
    for (let from = span.start; from < span.end; from++) {
      const byte = source[from] as number;
      if (isPlain(byte)) target[to++] = byte;
      else to += target.write(escapeOf(byte), to, 'latin1');
    }
    target[to++] = QUOTE;
    this.#length = to;
  }

  /** RFC 4648, section 4, with padding */
  base64(source: Buffer, span: Span): void {
    this.#reserve(Math.ceil((span.end - span.start) / 3) * 4 + 2);
    const target = this.#bytes;
    let to = this.#length;
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
    this.#length = to;
  }

  value(value: Json): void {
    this.json(toWellFormedJson(value));
  }

  /** Text that is well-formed JSON already. */
  json(text: string): void {
    this.#reserve(Buffer.byteLength(text));
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
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

/** `JSON.stringify` writes a lone surrogate as an escape, which the WASM runtime refuses; here it is U+FFFD. */
function toWellFormedJson(value: Json): string {
  const json = JSON.stringify(value);
  return json.includes('\\ud') ? JSON.stringify(wellFormed(value)) : json;
}

function wellFormed(value: Json): Json {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(wellFormed);
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key.toWellFormed(), wellFormed(member)]),
  );
}
