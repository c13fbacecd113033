/** `semver.*`, as OPA compares: numbers are int64, and a pre-release with one identifier more comes later. */
import { type Family, fail } from './implementation.ts';
import { stringOf } from './operands.ts';
import { compareStrings, toNumber } from './value.ts';

const IDENTIFIERS = /^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/;
const NUMERIC = /^(?:0|[1-9]\d*)$/;
const ZERO_FIRST = /^0\d+$/;
const DIGITS = /^\d+$/;
const MOST = 2n ** 63n - 1n;

interface Version {
  readonly numbers: readonly bigint[];
  readonly preRelease: string;
}

/** @returns undefined  for what is no version */
function parse(text: string): Version | undefined {
  const [withoutMetadata, metadata] = cut(text.replace(/^v/, ''), '+');
  if (metadata !== undefined && !IDENTIFIERS.test(metadata)) return undefined;
  const [core, preRelease] = cut(withoutMetadata, '-');
  if (preRelease !== undefined && !isPreRelease(preRelease)) return undefined;
  const numbers = core.split('.');
  if (numbers.length !== 3 || !numbers.every((each) => NUMERIC.test(each) && isInt64(each))) return undefined;
  return { numbers: numbers.map(BigInt), preRelease: preRelease ?? '' };
}

/** Very long digits are not read: that takes the square of their number. */
function isInt64(digits: string): boolean {
  return digits.length <= 19 && BigInt(digits) <= MOST;
}

function cut(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function isPreRelease(text: string): boolean {
  return IDENTIFIERS.test(text) && !text.split('.').some((each) => ZERO_FIRST.test(each));
}

function compareVersions(a: Version, b: Version): number {
  for (const [at, number] of a.numbers.entries()) {
    const other = b.numbers[at] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.preRelease === b.preRelease) return 0;
  if (a.preRelease === '' || b.preRelease === '') return a.preRelease === '' ? 1 : -1;
  return comparePreReleases(a.preRelease.split('.'), b.preRelease.split('.'));
}

function comparePreReleases(a: readonly string[], b: readonly string[]): number {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    const difference = compareIdentifiers(a[at] ?? '', b[at] ?? '');
    if (difference !== 0) return difference;
  }
  return Math.sign(a.length - b.length);
}

function compareIdentifiers(a: string, b: string): number {
  if (DIGITS.test(a) !== DIGITS.test(b)) return DIGITS.test(a) ? -1 : 1;
  if (!DIGITS.test(a)) return Math.sign(compareStrings(a, b));
  const [x, y] = [clamped(a), clamped(b)];
  if (x === y) return 0;
  return x < y ? -1 : 1;
}

function clamped(digits: string): bigint {
  const significant = digits.replace(/^0+/, '');
  return isInt64(significant) ? BigInt(significant) : MOST;
}

export const semver: Family = {
  'semver.is_valid': ([text]) => typeof text === 'string' && parse(text) !== undefined,
  'semver.compare': ([a, b]) =>
    toNumber(compareVersions(parse(stringOf(a)) ?? fail(), parse(stringOf(b)) ?? fail())),
};
