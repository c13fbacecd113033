import type { Span } from './span.ts';

/** Up to so many entries are compared with each other; beyond, their keys are made strings. */
const FEW = 64;

/**
 * A map field as it came: where its keys and values stand. Of most maps a policy reads one member or none, so nothing
 * is made a string or put into a table before somebody asks.
 *
 * As protobuf says, of several entries with one key the last one counts.
 *
 * @typeParam M  a message; a map holds messages or strings
 */
export class WireMap<M> {
  readonly #bytes: Buffer;
  /** of each entry four: from where to where its key, and its value */
  readonly #spans: number[] = [];
  /** the values, of a map that holds messages */
  readonly #messages: M[] = [];
  #distinct: readonly number[] | undefined;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** of entries as they came: one key may be there several times */
  get size(): number {
    return this.#spans.length >> 2;
  }

  add(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    this.#spans.push(keyStart, keyEnd, valueStart, valueEnd);
  }

  addMessage(keyStart: number, keyEnd: number, value: M): void {
    this.#messages.push(value);
    this.add(keyStart, keyEnd, 0, 0);
  }

  /** @returns the number of the entry that counts; -1: there is none */
  find(key: string): number {
    const wanted = toUtf8(key);
    if (wanted === undefined) return -1;
    for (let at = this.#spans.length - 4; at >= 0; at -= 4) if (this.#isKey(at, wanted)) return at >> 2;
    return -1;
  }

  /** The entries that count, in the order in which their keys came first. */
  distinct(): readonly number[] {
    this.#distinct ??= this.size <= FEW ? this.#compareAll() : [...this.#byKey().values()];
    return this.#distinct;
  }

  keyAt(entry: number): Span {
    return this.#spanAt(entry * 4);
  }

  keyTextAt(entry: number): string {
    const { start, end } = this.keyAt(entry);
    return this.#bytes.toString('utf8', start, end);
  }

  valueAt(entry: number): Span {
    return this.#spanAt(entry * 4 + 2);
  }

  messageAt(entry: number): M | undefined {
    return this.#messages[entry];
  }

  #spanAt(at: number): Span {
    return { start: this.#spans[at] as number, end: this.#spans[at + 1] as number };
  }

  #isKey(at: number, key: Uint8Array): boolean {
    const start = this.#spans[at] as number;
    if ((this.#spans[at + 1] as number) - start !== key.length) return false;
    for (let index = 0; index < key.length; index += 1) {
      if (this.#bytes[start + index] !== key[index]) return false;
    }
    return true;
  }

  #compareAll(): readonly number[] {
    const distinct: number[] = [];
    for (let entry = 0; entry < this.size; entry += 1) {
      let place = 0;
      while (place < distinct.length && !this.#haveOneKey(entry * 4, (distinct[place] as number) * 4))
        place += 1;
      distinct[place] = entry;
    }
    return distinct;
  }

  #haveOneKey(a: number, b: number): boolean {
    const spans = this.#spans;
    const [start, other] = [spans[a] as number, spans[b] as number];
    const length = (spans[a + 1] as number) - start;
    if ((spans[b + 1] as number) - other !== length) return false;
    for (let at = 0; at < length; at += 1) {
      if (this.#bytes[start + at] !== this.#bytes[other + at]) return false;
    }
    return true;
  }

  #byKey(): ReadonlyMap<string, number> {
    const byKey = new Map<string, number>();
    for (let entry = 0; entry < this.size; entry += 1) byKey.set(this.keyTextAt(entry), entry);
    return byKey;
  }
}

/** What is asked for are words of our own and of policies, again and again. */
const known = new Map<string, Uint8Array>();
const MOST_KNOWN = 10_000;

/** @returns undefined for what no UTF-8 says */
function toUtf8(key: string): Uint8Array | undefined {
  const before = known.get(key);
  if (before !== undefined) return before;
  if (!key.isWellFormed()) return undefined;
  if (known.size === MOST_KNOWN) known.clear();
  const utf8 = Buffer.from(key);
  known.set(key, utf8);
  return utf8;
}
