/** JSON as Go writes it: keys sorted, numbers as they were, and escaped so that it may stand in HTML. */
import { fail } from './implementation.ts';
import { compareStrings, isArray, RegoNumber, RegoObject, RegoSet, type Value } from './value.ts';

/** U+2028 and U+2029 stand for themselves in JavaScript's JSON and not in Go's; so do these three. */
const ESCAPED_BY_GO = /[<>&\u2028\u2029]/g;

/** What `to_number` gives may be none: `.5`. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

export function jsonString(text: string): string {
  return JSON.stringify(text).replace(
    ESCAPED_BY_GO,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A key that is no string stands in JSON as the JSON of itself. */
export function jsonKey(key: Value): string {
  return typeof key === 'string' ? key : jsonText(key);
}

export function jsonText(value: Value): string {
  if (typeof value === 'string') return jsonString(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof RegoNumber) return JSON_NUMBER.test(value.text) ? value.text : fail();
  if (isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (value instanceof RegoSet) return `[${value.sorted.map(jsonText).join(',')}]`;
  return `{${jsonEntries(value)
    .map(([key, member]) => `${jsonString(key)}:${jsonText(member)}`)
    .join(',')}}`;
}

/** Sorted by the text of the keys; of two with the same text the last one counts. */
export function jsonEntries(object: RegoObject): readonly (readonly [string, Value])[] {
  const members = new Map(object.sorted.map(([key, value]) => [jsonKey(key), value]));
  return [...members].toSorted(([a], [b]) => compareStrings(a, b));
}
