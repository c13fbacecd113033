/** `object.subset`, and `object.union_n`, of which the module answers all but that of nothing. */
import { type Family, fail } from './implementation.ts';
import { arrayOf, objectOf } from './operands.ts';
import { type Entry, isArray, isEqual, RegoObject, RegoSet, type Value } from './value.ts';

/** @returns undefined  for two types that do not go together */
function isSubset(whole: Value, part: Value): boolean | undefined {
  if (whole instanceof RegoObject && part instanceof RegoObject) return isObjectSubset(whole, part);
  if (whole instanceof RegoSet && part instanceof RegoSet) {
    return part.members.every((each) => whole.members.some((own) => isEqual(own, each)));
  }
  if (whole === null || part === null || !isArray(whole)) return undefined;
  if (isArray(part)) return isArraySubset(whole, part);
  return part instanceof RegoSet ? isInArray(whole, part) : undefined;
}

function isObjectSubset(whole: RegoObject, part: RegoObject): boolean {
  return part.entries.every(([key, member]) => {
    const own = whole.get(key);
    if (own === undefined) return false;
    if (isEqual(own, member)) return true;
    return !(isArrayLike(own) && member instanceof RegoSet) && isSubset(own, member) === true;
  });
}

function isArrayLike(value: Value): boolean {
  return value !== null && isArray(value);
}

/** OPA's search gives up what it has matched when it fails, but goes on with the next position: all runs are seen. */
function isArraySubset(whole: readonly Value[], part: readonly Value[]): boolean {
  for (let from = 0; from + part.length <= whole.length; from += 1) {
    if (part.every((each, at) => isEqual(each, whole[from + at] ?? null))) return true;
  }
  return false;
}

/** Each member of the array that is in the set counts, also when it stands there twice; an empty array has nothing. */
function isInArray(whole: readonly Value[], part: RegoSet): boolean {
  let unmatched = part.members.length;
  return whole.some((each) => {
    if (part.members.some((own) => isEqual(own, each))) unmatched -= 1;
    return unmatched === 0;
  });
}

/** Where both have an object their union counts, else what the later one says. */
function unionOf(one: RegoObject, other: RegoObject): RegoObject {
  const merged = one.entries.map(([key, value]): Entry => {
    const later = other.get(key);
    if (later === undefined) return [key, value];
    return [key, value instanceof RegoObject && later instanceof RegoObject ? unionOf(value, later) : later];
  });
  return new RegoObject([...merged, ...other.entries.filter(([key]) => one.get(key) === undefined)]);
}

function sizeOf(value: Value): number {
  if (value instanceof RegoObject) return value.entries.reduce((sum, [, each]) => sum + sizeOf(each), 1);
  if (value instanceof RegoSet) return value.members.reduce<number>((sum, each) => sum + sizeOf(each), 1);
  return value !== null && isArray(value) ? value.reduce<number>((sum, each) => sum + sizeOf(each), 1) : 1;
}

const UNITS_PER_COMPARISON = 100;

export const objects: Family = {
  'object.subset': ([whole, part], context) => {
    if (whole === undefined || part === undefined) return fail();
    context.charge(sizeOf(whole) * sizeOf(part) * UNITS_PER_COMPARISON);
    return isSubset(whole, part) ?? fail();
  },
  'object.union_n': ([list], context) => {
    const all = arrayOf(list).map(objectOf);
    context.charge(sizeOf(all) ** 2 * UNITS_PER_COMPARISON);
    return all.reduce(unionOf, new RegoObject([]));
  },
};
