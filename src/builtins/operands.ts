/** Arguments as a built-in wants them; another type is an error of the built-in, as in OPA. */
import { fail } from './implementation.ts';
import { toInt64 } from './number.ts';
import { isArray, RegoNumber, RegoObject, RegoSet, type Value } from './value.ts';

export function stringOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : fail();
}

export function numberOf(value: Value | undefined): RegoNumber {
  return value instanceof RegoNumber ? value : fail();
}

/** an int64: `1.0` is one, `1e3` is none */
export function int64Of(value: Value | undefined): bigint {
  return toInt64(numberOf(value).text) ?? fail();
}

export function objectOf(value: Value | undefined): RegoObject {
  return value instanceof RegoObject ? value : fail();
}

export function arrayOf(value: Value | undefined): readonly Value[] {
  return value !== undefined && isArray(value) ? value : fail();
}

/** the strings of an array, or of a set in its order */
export function stringsOf(value: Value | undefined): readonly string[] {
  return membersOf(value).map(stringOf);
}

export function membersOf(value: Value | undefined): readonly Value[] {
  return value instanceof RegoSet ? value.sorted : arrayOf(value);
}
