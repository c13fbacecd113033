/**
 * Built-ins of integers below 2^53, which machine numbers answer exactly: almost every call in almost every policy. The
 * module's values are read where they lie, so such a call needs no text.
 *
 * What is not answered is NaN, and then the function of the same name is asked; it says the same, and more.
 */

/** @param integers  as many as the built-in has arguments, or the members of its one collection in any order */
export type SmallFunction = (integers: readonly number[]) => number;

const NOT_ANSWERED = Number.NaN;

function binary(operation: (x: number, y: number) => number): SmallFunction {
  return ([x = NOT_ANSWERED, y = NOT_ANSWERED]) => safe(operation(x, y));
}

function safe(result: number): number {
  return Number.isSafeInteger(result) ? result : NOT_ANSWERED;
}

const itself: SmallFunction = ([x = NOT_ANSWERED]) => x;

/** By name. */
export const SMALL: ReadonlyMap<string, SmallFunction> = new Map<string, SmallFunction>([
  ['plus', binary((x, y) => x + y)],
  ['minus', binary((x, y) => x - y)],
  ['mul', binary((x, y) => x * y)],
  // 0 / -1 is -0, which is no integer
  ['div', binary((x, y) => (x === 0 ? NOT_ANSWERED : x / y))],
  ['rem', binary((x, y) => x % y)],
  ['abs', ([x = NOT_ANSWERED]) => Math.abs(x)],
  ['round', itself],
  ['ceil', itself],
  ['floor', itself],
]);

/** Of collections. The sum of what is too large is not answered at any point, in whichever order. */
export const SMALL_OF_ALL: ReadonlyMap<string, SmallFunction> = new Map<string, SmallFunction>([
  ['sum', (all) => all.reduce((sum, each) => safe(sum + each), 0)],
  ['max', (all) => (all.length === 0 ? NOT_ANSWERED : all.reduce((most, each) => Math.max(most, each)))],
  ['min', (all) => (all.length === 0 ? NOT_ANSWERED : all.reduce((least, each) => Math.min(least, each)))],
  ['product', (all) => all.reduce((product, each) => safe(product * each), 1)],
]);
