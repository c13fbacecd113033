/**
 * Checks a JSON text and writes it again, for a reader that checks nothing itself: the WASM runtime accepts `[1,]`,
 * `01` and trailing junk, so that text of a client never reaches it as it came.
 *
 * RFC 8259, without extensions: no BOM, nothing after the value. The text of numbers stays (`1.0`, `1e400`,
 * `9007199254740993`), of members with one name the last stays, a lone surrogate becomes U+FFFD.
 */
import { expectSpread } from './key-spread.ts';
import { ParseFailure } from './parse-failure.ts';

/** The runtime overflows its stack somewhere above 4,000 levels; nothing sensible needs a fraction of this. */
export const MAX_JSON_DEPTH = 1000;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERAL = /true|false|null/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Pieces of text, joined once at the end: joining at each level would copy deep text over and over. */
type Pieces = string | readonly Pieces[];

/**
 * @returns the same value as compact, well-formed JSON
 * @throws ParseFailure  when it is not JSON, or deeper than {@link MAX_JSON_DEPTH}; Failure request_malformed  with
 *         names that were chosen to collide
 */
export function rewriteJson(text: string): string {
  const reader = new JsonTextReader(text);
  const value = reader.value(1);
  reader.end();
  const flat: string[] = [];
  flatten(value, flat);
  return flat.join('');
}

class JsonTextReader {
  readonly #text: string;
  readonly #isWellFormed: boolean;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#isWellFormed = text.isWellFormed();
  }

  value(depth: number): Pieces {
    if (depth > MAX_JSON_DEPTH) throw new ParseFailure('the JSON body is nested too deeply');
    switch (this.#peek()) {
      case 0x7b:
        return this.#object(depth);
      case 0x5b:
        return this.#array(depth);
      case QUOTE:
        return this.#string();
      default:
        return this.#take(LITERAL) || this.#take(NUMBER) || this.#refuse();
    }
  }

  end(): void {
    this.#peek();
    if (this.#at < this.#text.length) this.#refuse();
  }

  #object(depth: number): Pieces {
    this.#at += 1;
    if (this.#next(0x7d)) return '{}';
    const members = new Map<string, Pieces>();
    do {
      this.#peek();
      const key = this.#string();
      if (!this.#next(COLON)) this.#refuse();
      members.set(key, this.value(depth + 1));
    } while (this.#next(COMMA));
    if (!this.#next(0x7d)) this.#refuse();
    expectSpread({ size: members.size, keys: () => members.keys().map(unquote) });
    const pieces: Pieces[] = ['{'];
    for (const [key, value] of members) pieces.push(pieces.length === 1 ? key : `,${key}`, ':', value);
    pieces.push('}');
    return pieces;
  }

  #array(depth: number): Pieces {
    this.#at += 1;
    if (this.#next(0x5d)) return '[]';
    const pieces: Pieces[] = [];
    do pieces.push(pieces.length === 0 ? '[' : ',', this.value(depth + 1));
    while (this.#next(COMMA));
    if (!this.#next(0x5d)) this.#refuse();
    pieces.push(']');
    return pieces;
  }

  /** In one spelling, so that equal names are equal text. */
  #string(): string {
    const start = this.#at;
    if (this.#text.charCodeAt(start) !== QUOTE) this.#refuse();
    let end = start + 1;
    let isPlain = this.#isWellFormed;
    for (let code = this.#text.charCodeAt(end); code !== QUOTE; code = this.#text.charCodeAt(end)) {
      // false beyond the end of the text too, where the code is NaN
      if (!(code >= 0x20)) this.#refuse();
      if (code === BACKSLASH) isPlain = false;
      end += code === BACKSLASH ? 2 : 1;
    }
    this.#at = end + 1;
    const quoted = this.#text.slice(start, end + 1);
    return isPlain ? quoted : (respell(quoted) ?? this.#refuse());
  }

  #next(code: number): boolean {
    if (this.#peek() !== code) return false;
    this.#at += 1;
    return true;
  }

  /** @returns the next character that is no space, which is at `#at` then; NaN at the end */
  #peek(): number {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code;
      this.#at += 1;
    }
  }

  #take(pattern: RegExp): string {
    const start = this.#at;
    pattern.lastIndex = start;
    if (!pattern.test(this.#text)) return '';
    this.#at = pattern.lastIndex;
    return this.#text.slice(start, this.#at);
  }

  #refuse(): never {
    throw new ParseFailure(`the body is not valid JSON at character ${this.#at}`);
  }
}

/** @returns undefined when an escape is wrong */
function respell(quoted: string): string | undefined {
  try {
    return JSON.stringify((JSON.parse(quoted) as string).toWellFormed());
  } catch {
    return undefined;
  }
}

function unquote(quoted: string): string {
  return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

function flatten(pieces: Pieces, into: string[]): void {
  if (typeof pieces === 'string') into.push(pieces);
  else for (const piece of pieces) flatten(piece, into);
}
