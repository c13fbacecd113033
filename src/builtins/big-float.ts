/**
 * Floating-point numbers as Go's `math/big.Float` has them: a mantissa of `precision` bits, each operation rounded to
 * the nearest, ties to even. OPA computes with these whatever is no integer, with 64 bits.
 *
 * The steps of the parser are Go's, since it rounds twice where the exponent is large, and the second time shows.
 * Infinities are left out: the budget of an evaluation ends long before an exponent of 2^31.
 */
import type { NumberParts } from './number-parts.ts';

export interface BigFloat {
  readonly negative: boolean;
  /** 0 for a zero; else of at most `precision` bits, or of any length before it is rounded */
  readonly mantissa: bigint;
  /** of 2 */
  readonly exponent: number;
  readonly precision: number;
}

/** Of what is read from text. */
export const PRECISION_BITS = 64;
const MORE_BITS = 64;
/** the largest power of 5 that Go has in a table */
const TABLED_POWER = 27;

const float64 = new Float64Array(1);
const words = new Uint32Array(float64.buffer);
const EXPONENT_SHIFT = 20;
const EXPONENT_BIAS = 1_023;
const FRACTION = 0xf_ffff;
const INFINITE = 0x7ff;

/** A double has the length in its exponent; one too many where it was rounded up, which makes a power of 2. */
export function bitLength(natural: bigint): number {
  if (natural === 0n) return 0;
  float64[0] = Number(natural);
  const high = words[1] ?? 0;
  const exponent = high >>> EXPONENT_SHIFT;
  if (exponent === INFINITE) return bitLengthOfHex(natural.toString(16));
  const last = exponent - EXPONENT_BIAS;
  if ((high & FRACTION) !== 0 || words[0] !== 0) return last + 1;
  return natural >> BigInt(last) === 0n ? last : last + 1;
}

function bitLengthOfHex(hex: string): number {
  return hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 28;
}

/** @param hasMore  below the last bit of the mantissa, of which there are more than are kept then */
export function round(float: BigFloat, precision: number, hasMore = false): BigFloat {
  const { negative, mantissa, exponent } = float;
  const excess = bitLength(mantissa) - precision;
  if (excess <= 0) return { negative, mantissa, exponent, precision };
  const shift = BigInt(excess);
  const kept = mantissa >> shift;
  const rest = mantissa - (kept << shift);
  const half = 1n << (shift - 1n);
  const isUp = rest > half || (rest === half && (hasMore || (kept & 1n) === 1n));
  return { negative, mantissa: isUp ? kept + 1n : kept, exponent: exponent + excess, precision };
}

export function fromInteger(integer: bigint, precision?: number): BigFloat {
  const negative = integer < 0n;
  const mantissa = negative ? -integer : integer;
  const own = precision ?? Math.max(bitLength(mantissa), PRECISION_BITS);
  return round({ negative, mantissa, exponent: 0, precision: own }, own);
}

export function add(x: BigFloat, y: BigFloat, precision = Math.max(x.precision, y.precision)): BigFloat {
  if (y.mantissa === 0n && x.mantissa === 0n)
    return { ...x, negative: x.negative && y.negative, exponent: 0, precision };
  if (y.mantissa === 0n) return round(x, precision);
  if (x.mantissa === 0n) return round(y, precision);
  const exponent = Math.min(x.exponent, y.exponent);
  const sum = signedAt(x, exponent) + signedAt(y, exponent);
  const negative = sum < 0n;
  return round({ negative, mantissa: negative ? -sum : sum, exponent, precision }, precision);
}

function signedAt({ negative, mantissa, exponent }: BigFloat, lower: number): bigint {
  const shifted = mantissa << BigInt(exponent - lower);
  return negative ? -shifted : shifted;
}

export function negate(x: BigFloat): BigFloat {
  return { ...x, negative: !x.negative };
}

export function multiply(x: BigFloat, y: BigFloat, precision = Math.max(x.precision, y.precision)): BigFloat {
  const negative = x.negative !== y.negative;
  const mantissa = x.mantissa * y.mantissa;
  const exponent = mantissa === 0n ? 0 : x.exponent + y.exponent;
  return round({ negative, mantissa, exponent, precision }, precision);
}

/** @param y  not 0 */
export function divide(x: BigFloat, y: BigFloat, precision = Math.max(x.precision, y.precision)): BigFloat {
  const negative = x.negative !== y.negative;
  if (x.mantissa === 0n) return { negative, mantissa: 0n, exponent: 0, precision };
  // at least one bit more than is kept: it decides
  const shift = Math.max(0, precision + 2 - bitLength(x.mantissa) + bitLength(y.mantissa));
  const dividend = x.mantissa << BigInt(shift);
  const mantissa = dividend / y.mantissa;
  const hasMore = mantissa * y.mantissa !== dividend;
  const exponent = x.exponent - y.exponent - shift;
  return round({ negative, mantissa, exponent, precision }, precision, hasMore);
}

/** Towards 0. */
export function toInteger({ negative, mantissa, exponent }: BigFloat): bigint {
  const magnitude = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa >> BigInt(-exponent);
  return negative ? -magnitude : magnitude;
}

export function isInteger({ mantissa, exponent }: BigFloat): boolean {
  return exponent >= 0 || BigInt.asUintN(-exponent, mantissa) === 0n;
}

export function compareFloats(x: BigFloat, y: BigFloat): number {
  const exponent = Math.min(x.exponent, y.exponent);
  const difference = signedAt(x, exponent) - signedAt(y, exponent);
  if (difference === 0n) return 0;
  return difference < 0n ? -1 : 1;
}

export function toFloat({ negative, digits, exponent }: NumberParts): BigFloat {
  const precision = PRECISION_BITS;
  if (digits === 0n) return { negative, mantissa: 0n, exponent: 0, precision };
  const binary: BigFloat = { negative, mantissa: digits, exponent, precision };
  if (exponent === 0) return round(binary, precision);
  const power = powerOf5(Math.abs(exponent));
  return exponent < 0 ? divide(binary, power, precision) : multiply(binary, power, precision);
}

const FIRST_POWERS = 64;
const powers: BigFloat[] = [];

function powerOf5(exponent: number): BigFloat {
  if (exponent >= FIRST_POWERS) return computePowerOf5(exponent);
  return (powers[exponent] ??= computePowerOf5(exponent));
}

/** More digits than are kept are rounded at each step, as Go does. */
function computePowerOf5(exponent: number): BigFloat {
  const precision = PRECISION_BITS + MORE_BITS;
  if (exponent <= TABLED_POWER) return fromInteger(5n ** BigInt(exponent), precision);
  let power = fromInteger(5n ** BigInt(TABLED_POWER), precision);
  let factor = fromInteger(5n, precision + MORE_BITS);
  for (let left = exponent - TABLED_POWER; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = multiply(power, factor, precision);
    factor = multiply(factor, factor, precision + MORE_BITS);
  }
  return power;
}
