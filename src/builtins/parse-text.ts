/** Rego text, as `opa_value_dump` writes it, into a value: JSON, sets, and object keys of any type. */
import { Failure } from '../core/failure.ts';
import { type Entry, RegoNumber, RegoObject, RegoSet, type Value } from './value.ts';

/** Deeper than this the stack would end first. */
export const MAX_DEPTH = 1_000;
export const MAX_TEXT_CHARS = 64 * 1024 * 1024;

/** of JSON, and what `to_number` lets be one: `+1`, `.5`, `1.`, `007` */
const NUMBER = /[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** @throws Failure policy_failed  for what is too deep or too large, and for text that no module writes */
export function parseText(text: string): Value {
  if (text.length > MAX_TEXT_CHARS)
    throw new Failure('policy_failed', 'A value is too large for a built-in function');
  if (text.charCodeAt(0) === QUOTE && !text.includes('"', 1 - text.length)) return JSON.parse(text) as string;
  return new Parser(text).whole();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Value {
    const value = this.#value();
    if (this.#peek() !== '') this.#fail();
    return value;
  }

  #value(): Value {
    switch (this.#peek()) {
      case '"':
        return this.#string();
      case '{':
        return this.#nested(() => this.#braces());
      case '[':
        return this.#nested(() => this.#array());
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      case 's':
        return this.#emptySet();
      default:
        return this.#number();
    }
  }

  #nested(read: () => Value): Value {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH)
      throw new Failure('policy_failed', 'A value is too deep for a built-in function');
    this.#at += 1;
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #array(): Value {
    const members: Value[] = [];
    if (this.#takes(']')) return members;
    do members.push(this.#value());
    while (this.#takes(','));
    this.#expect(']');
    return members;
  }

  #braces(): Value {
    if (this.#takes('}')) return new RegoObject([]);
    const first = this.#value();
    return this.#takes(':') ? this.#object(first) : this.#set(first);
  }

  #object(firstKey: Value): RegoObject {
    const entries: Entry[] = [[firstKey, this.#value()]];
    while (this.#takes(',')) {
      const key = this.#value();
      this.#expect(':');
      entries.push([key, this.#value()]);
    }
    this.#expect('}');
    return new RegoObject(entries);
  }

  #set(first: Value): RegoSet {
    const members = [first];
    while (this.#takes(',')) members.push(this.#value());
    this.#expect('}');
    return new RegoSet(members);
  }

  #string(): string {
    const from = this.#at;
    let end = from + 1;
    let isPlain = true;
    for (let unit = this.#text.charCodeAt(end); unit !== QUOTE; unit = this.#text.charCodeAt(end)) {
      if (Number.isNaN(unit)) this.#fail();
      if (unit === BACKSLASH) isPlain = false;
      end += unit === BACKSLASH ? 2 : 1;
    }
    this.#at = end + 1;
    return isPlain
      ? this.#text.slice(from + 1, end)
      : (JSON.parse(this.#text.slice(from, end + 1)) as string);
  }

  #number(): RegoNumber {
    NUMBER.lastIndex = this.#at;
    const text = NUMBER.exec(this.#text)?.[0];
    if (text === undefined) return this.#fail();
    this.#at += text.length;
    return new RegoNumber(text);
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail();
    this.#at += word.length;
    return value;
  }

  #emptySet(): RegoSet {
    this.#word('set(', undefined);
    this.#expect(')');
    return new RegoSet([]);
  }

  /** @returns the next character that is no space, which is at `#at` then; '' at the end */
  #peek(): string {
    let next = this.#text.charAt(this.#at);
    while (next === ' ' || next === '\n' || next === '\t' || next === '\r') {
      this.#at += 1;
      next = this.#text.charAt(this.#at);
    }
    return next;
  }

  #takes(expected: string): boolean {
    if (this.#peek() !== expected) return false;
    this.#at += 1;
    return true;
  }

  #expect(expected: string): void {
    if (!this.#takes(expected)) this.#fail();
  }

  #fail(): never {
    throw new Failure('policy_failed', 'An argument of a built-in function is no Rego value');
  }
}
