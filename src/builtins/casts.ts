/** `to_number`. */
import { bitLength, toFloat } from './big-float.ts';
import { type Family, fail, refuse } from './implementation.ts';
import { exponentOf, readNumber } from './number-parts.ts';
import { RegoNumber, toNumber } from './value.ts';

/** What Go's `strconv.ParseFloat` takes; the text itself becomes the number. */
const DECIMAL = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;
/** It takes these, too, and OPA computes with them; the module cannot. */
const HEXADECIMAL = /^[-+]?0[xX][\da-fA-F_.]*[pP]/;
const UNDERSCORE = /^[-+]?[\d.][\d_.eE+-]*$/;
/** OPA's limits of a number: 2^100000, and its inverse. Up to so many powers of 10 no number can be beyond. */
const MOST_BITS = 100_000;
const FEW_POWERS = 25_000;

function isInLimits(text: string): boolean {
  if (text.length + exponentOf(text) <= FEW_POWERS) return true;
  const { mantissa, exponent } = toFloat(readNumber(text));
  const bits = exponent + bitLength(mantissa);
  return mantissa === 0n || Math.abs(bits) <= MOST_BITS || (bits < LEAST_BITS && isGoExponent(text));
}

/** Go's own limit: a float below it is 0, and so within the limits, unless the exponent as written is beyond it, too. */
const LEAST_BITS = -(2 ** 31);

function isGoExponent(text: string): boolean {
  return exponentOf(text) <= -LEAST_BITS;
}

function numberOfText(text: string): RegoNumber {
  if (HEXADECIMAL.test(text)) return refuse('A hexadecimal number is no number of the module');
  if (text.includes('_') && UNDERSCORE.test(text))
    return refuse('A number with _ is no number of the module');
  if (!DECIMAL.test(text) || !Number.isFinite(Number(text))) return fail();
  return isInLimits(text) ? new RegoNumber(text) : fail();
}

export const casts: Family = {
  to_number: ([value]) => {
    if (value === null || value === false) return toNumber(0);
    if (value === true) return toNumber(1);
    if (value instanceof RegoNumber) return value;
    return typeof value === 'string' ? numberOfText(value) : fail();
  },
};
