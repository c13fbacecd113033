/**
 * Values of Rego in TypeScript. Numbers keep their text, since OPA compares them as numbers and prints them as they were
 * written (`1.0`, `1e400`, integers of any length).
 */
import { compareNumbers } from './number.ts';

export class RegoNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object: its entries have distinct keys of any type. */
export class RegoObject {
  readonly entries: readonly Entry[];
  #sorted: readonly Entry[] | undefined;

  constructor(entries: readonly Entry[]) {
    this.entries = entries;
  }

  /** in OPA's order of the keys, which is also that of printing */
  get sorted(): readonly Entry[] {
    this.#sorted ??= this.entries.toSorted(([a], [b]) => compare(a, b));
    return this.#sorted;
  }

  /** @returns undefined  where there is none */
  get(key: Value): Value | undefined {
    for (const [own, value] of this.entries) if (own === key || compare(own, key) === 0) return value;
    return undefined;
  }
}

export class RegoSet {
  readonly members: readonly Value[];
  #sorted: readonly Value[] | undefined;

  /** @param members  distinct */
  constructor(members: readonly Value[]) {
    this.members = members;
  }

  /** Of two that are equal, the first one stays. */
  static of(members: readonly Value[]): RegoSet {
    const sorted = members.toSorted(compare);
    return new RegoSet(sorted.filter((each, at) => at === 0 || compare(sorted[at - 1] ?? null, each) !== 0));
  }

  get sorted(): readonly Value[] {
    this.#sorted ??= this.members.toSorted(compare);
    return this.#sorted;
  }
}

export type Entry = readonly [key: Value, value: Value];
export type Value = null | boolean | string | RegoNumber | readonly Value[] | RegoObject | RegoSet;

export function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** An integer that TypeScript counted; it is safe to count with `number` up to 2^53. */
export function toNumber(count: number | bigint): RegoNumber {
  return new RegoNumber(count.toString());
}

/** Where a type stands in OPA's order. */
function rank(value: Value): number {
  if (value === null) return 0;
  if (typeof value === 'boolean') return 1;
  if (value instanceof RegoNumber) return 2;
  if (typeof value === 'string') return 3;
  if (isArray(value)) return 7;
  return value instanceof RegoObject ? 8 : 9;
}

/** OPA's total order of values: null, booleans, numbers, strings, arrays, objects, sets. */
export function compare(a: Value, b: Value): number {
  if (a === b) return 0;
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
  const difference = rank(a) - rank(b);
  if (difference !== 0) return difference;
  if (a === false) return -1;
  if (a === true) return 1;
  if (a instanceof RegoNumber && b instanceof RegoNumber) return compareNumbers(a.text, b.text);
  if (a instanceof RegoObject && b instanceof RegoObject)
    return compareLists(a.sorted, b.sorted, compareEntries);
  if (a instanceof RegoSet && b instanceof RegoSet) return compareLists(a.sorted, b.sorted, compare);
  return compareLists(a as readonly Value[], b as readonly Value[], compare);
}

export function isEqual(a: Value, b: Value): boolean {
  return compare(a, b) === 0;
}

function compareEntries(a: Entry, b: Entry): number {
  return compare(a[0], b[0]) || compare(a[1], b[1]);
}

function compareLists<T>(a: readonly T[], b: readonly T[], each: (a: T, b: T) => number): number {
  const common = Math.min(a.length, b.length);
  for (let at = 0; at < common; at += 1) {
    const difference = each(a[at] as T, b[at] as T);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const FIRST_SURROGATE = 0xd800;
const AFTER_SURROGATES = 0xe000;

/** In the order of UTF-8, which is that of code points: in UTF-16 a surrogate stands before U+E000 and is more. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  const common = Math.min(a.length, b.length);
  for (let at = 0; at < common; at += 1) {
    const one = a.charCodeAt(at);
    const other = b.charCodeAt(at);
    if (one !== other) return codePointRank(one) - codePointRank(other);
  }
  return a.length - b.length;
}

function codePointRank(unit: number): number {
  if (unit < FIRST_SURROGATE) return unit;
  return unit < AFTER_SURROGATES ? unit + 0x10000 : unit;
}
