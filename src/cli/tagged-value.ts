/** Compares a value whose kinds are known with the JSON that a compiled module wrote, where a set is an array. */
import { isJsonObject, type Json } from '../core/json.ts';
import type { TaggedValue } from '../rego/test-messages.ts';

/** @param expected  undefined: undefined in Rego */
export function isSame(expected: TaggedValue | undefined, actual: Json | undefined): boolean {
  if (expected === undefined || actual === undefined) return expected === actual;
  if ('json' in expected) return expected.json === actual;
  if ('object' in expected) {
    if (!isJsonObject(actual)) return false;
    const names = Object.keys(expected.object);
    return (
      names.length === Object.keys(actual).length &&
      names.every((name) => Object.hasOwn(actual, name) && isSame(expected.object[name], actual[name]))
    );
  }
  if (!Array.isArray(actual)) return false;
  const members = actual as readonly Json[];
  if ('set' in expected) return isSameSet(expected.set, members);
  return (
    expected.array.length === members.length &&
    expected.array.every((member, index) => isSame(member, members[index]))
  );
}

/** Members of a set differ from each other, so each has one partner at most. */
function isSameSet(expected: readonly TaggedValue[], actual: readonly Json[]): boolean {
  return (
    expected.length === actual.length &&
    expected.every((member) => actual.some((candidate) => isSame(member, candidate)))
  );
}

/** @returns JSON, as OPA writes it: a set is an array in OPA's order */
export function toPlain(value: TaggedValue | undefined): Json | undefined {
  if (value === undefined) return undefined;
  if ('json' in value) return value.json;
  if ('object' in value) {
    return Object.fromEntries(
      Object.entries(value.object).map(([name, each]) => [name, toPlain(each) ?? null]),
    );
  }
  return ('set' in value ? value.set : value.array).map((member) => toPlain(member) ?? null);
}
