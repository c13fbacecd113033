/** Strings: what the module has not, or answers in another way. */
import { type Family, fail, refuse } from './implementation.ts';
import { membersOf, objectOf, stringOf, stringsOf } from './operands.ts';
import { toNumber, type Value } from './value.ts';

const NON_ASCII = /[^\0-\u007f]/;

type Pair = readonly [old: string, replacement: string];

/** At each position the first pair that fits is taken, the empty string once. */
/** OPA finds the empty string between the bytes of a character too, and what it cuts apart so is no text any more. */
function replaceAll(text: string, pairs: readonly Pair[]): string {
  const isCutting = pairs.some(([old, to]) => old === '' && to !== '');
  let replaced = '';
  let isAfterEmpty = false;
  for (let at = 0; at <= text.length; ) {
    const pair = pairs.find(([old]) => text.startsWith(old, at) && !(isAfterEmpty && old === ''));
    if (pair === undefined && isCutting && NON_ASCII.test(text.charAt(at)))
      refuse('Bytes of a character are cut apart');
    isAfterEmpty = pair?.[0] === '';
    replaced += pair?.[1] ?? text.charAt(at);
    at += pair?.[0].length ?? 1;
  }
  return replaced;
}

/** Positions of code points, as OPA counts. */
function positions(text: string, searched: string, isEvery: boolean): readonly number[] {
  if (searched === '') return fail();
  const found: number[] = [];
  let points = 0;
  let counted = 0;
  for (let at = text.indexOf(searched); at !== -1; at = text.indexOf(searched, at + 1)) {
    points += countPoints(text, counted, at);
    counted = at;
    found.push(points);
    if (!isEvery) break;
  }
  return found;
}

function countPoints(text: string, from: number, to: number): number {
  let points = 0;
  for (let at = from; at < to; at += 1) if ((text.charCodeAt(at) & 0xfc00) !== 0xdc00) points += 1;
  return points;
}

function countOf(text: string, searched: string): number {
  return searched === '' ? countPoints(text, 0, text.length) + 1 : text.split(searched).length - 1;
}

/** A single one is a string, too. */
function oneOrMore(value: Value | undefined): readonly string[] {
  return typeof value === 'string' ? [value] : stringsOf(value);
}

function isAny(
  search: Value | undefined,
  base: Value | undefined,
  fits: (one: string, other: string) => boolean,
): boolean {
  const bases = oneOrMore(base);
  return oneOrMore(search).some((one) => bases.some((other) => fits(one, other)));
}

const UNITS_PER_COMPARISON = 20;

export const strings: Family = {
  concat: ([delimiter, collection], context) => {
    const [between, members] = [stringOf(delimiter), stringsOf(collection)];
    context.charge(members.length * (between.length + UNITS_PER_COMPARISON));
    return members.join(between);
  },
  replace: ([text, old, replacement], context) => {
    const [whole, from, to] = [stringOf(text), stringOf(old), stringOf(replacement)];
    const most = from === '' ? whole.length + 1 : whole.length / from.length;
    context.charge(Math.ceil(most * (to.length + UNITS_PER_COMPARISON)) * 2);
    return from === '' ? replaceAll(whole, [[from, to]]) : whole.replaceAll(from, () => to);
  },
  'strings.replace_n': ([patterns, text], context) => {
    const whole = stringOf(text);
    const pairs = objectOf(patterns).sorted.map(([old, to]): Pair => [stringOf(old), stringOf(to)]);
    const longest = Math.max(0, ...pairs.map(([, to]) => to.length));
    context.charge((whole.length + 1) * (pairs.length * UNITS_PER_COMPARISON + longest));
    return replaceAll(whole, pairs);
  },
  'strings.count': ([text, searched]) => toNumber(countOf(stringOf(text), stringOf(searched))),
  'strings.any_prefix_match': ([search, base], context) => {
    chargeForPairs(search, base, context.charge);
    return isAny(search, base, (one, other) => one.startsWith(other));
  },
  'strings.any_suffix_match': ([search, base], context) => {
    chargeForPairs(search, base, context.charge);
    return isAny(search, base, (one, other) => one.endsWith(other));
  },
  indexof: ([text, searched]) => toNumber(positions(stringOf(text), stringOf(searched), false)[0] ?? -1),
  indexof_n: ([text, searched]) => positions(stringOf(text), stringOf(searched), true).map(toNumber),
};

function chargeForPairs(
  search: Value | undefined,
  base: Value | undefined,
  charge: (units: number) => void,
): void {
  const count = (value: Value | undefined): number =>
    typeof value === 'string' ? 1 : membersOf(value).length;
  charge(count(search) * count(base) * UNITS_PER_COMPARISON);
}
