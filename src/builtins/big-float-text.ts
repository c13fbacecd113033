/**
 * Text of a float as Go writes it (`Text('g', -1)`, of an integer `Text('f', -1)`): the fewest digits that are rounded
 * to just this float at its precision, found digit by digit as Go finds them.
 */
import { type BigFloat, bitLength, isInteger } from './big-float.ts';

/** 0.digits × 10^point, without zeros at either end. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** The first digits of one that may have more: then its length is past them all. */
interface Prefix extends Decimal {
  readonly length: number;
}

/** Two neighbours of 64 bits differ within 21 digits; one of more bits is an integer, and has its digits counted. */
const SPARE_DIGITS = 5;
const LOG10_OF_2 = Math.log10(2);

const LEAST_POWER = -4;
const EXPONENT_FROM = 6;

export function textOf(float: BigFloat): string {
  const sign = float.negative ? '-' : '';
  if (float.mantissa === 0n) return `${sign}0`;
  if (isInteger(float)) return sign + (integerText(float) ?? plain(shortest(float)));
  const decimal = shortestOfDouble(float) ?? shortest(float);
  const power = decimal.point - 1;
  return sign + (power < LEAST_POWER || power >= EXPONENT_FROM ? scientific(decimal) : plain(decimal));
}

/** No other integer is rounded to one that has no more bits than are kept. */
function integerText(float: BigFloat): string | undefined {
  const { mantissa, exponent, precision } = float;
  if (bitLength(mantissa) + exponent > precision) return undefined;
  return (exponent >= 0 ? mantissa << BigInt(exponent) : mantissa >> BigInt(-exponent)).toString();
}

function plain({ digits, point }: Decimal): string {
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return digits + '0'.repeat(point - digits.length);
  return `${digits.slice(0, point)}.${digits.slice(point)}`;
}

function scientific({ digits, point }: Decimal): string {
  const power = point - 1;
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
  return `${digits.charAt(0)}${fraction}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** The first digits of mantissa × 2^exponent, as those of an integer: it is cut after that of 10^-power. */
function toPrefix(mantissa: bigint, exponent: number, power: number): Prefix {
  const scaled = power >= 0 ? mantissa * powerOf10(power) : mantissa;
  const shifted = exponent >= 0 ? scaled << BigInt(exponent) : scaled >> BigInt(-exponent);
  const divisor = power >= 0 ? 1n : powerOf10(-power);
  const whole = power >= 0 ? shifted : shifted / divisor;
  const isExact =
    (exponent >= 0 || BigInt.asUintN(-exponent, scaled) === 0n) &&
    (power >= 0 || whole * divisor === shifted);
  const written = whole.toString();
  const point = written.length - power;
  if (!isExact) return { digits: written, point, length: Number.POSITIVE_INFINITY };
  const digits = withoutEndZeros(written);
  return { digits, point, length: digits.length };
}

const FIRST_POWERS = 64;
const powers: bigint[] = [];

function powerOf10(power: number): bigint {
  return power >= FIRST_POWERS ? 10n ** BigInt(power) : (powers[power] ??= 10n ** BigInt(power));
}

function withoutEndZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end -= 1;
  return digits.slice(0, end);
}

/** Within them a double has no rounding but that of its bits. */
const MOST_EXPONENT = 900;
/** so many digits are one number of 64 bits each */
const MOST_DIGITS = 17;

/**
 * What JavaScript writes of the nearest float64, where that is said of this float, too: then nothing shorter is, since
 * it would have been said of the float64, and nothing else as short, since neighbours of 64 bits are too close.
 */
function shortestOfDouble({ mantissa, exponent, precision }: BigFloat): Decimal | undefined {
  if (precision < 64 || Math.abs(exponent) > MOST_EXPONENT) return undefined;
  const { digits, point } = decimalOf(String(Number(mantissa) * 2 ** exponent));
  const last = point - digits.length;
  if (digits.length > MOST_DIGITS || last > 0) return undefined;
  const shift = precision + 1 - bitLength(mantissa);
  const lowest = exponent - shift;
  const scale = powerOf10(-last);
  // both as multiples of 2^lowest, which is half of the last bit, and of 10^last
  const difference = (BigInt(digits) << BigInt(-lowest)) - (mantissa << BigInt(shift)) * scale;
  return difference < scale && difference > -scale ? { digits, point } : undefined;
}

/** @param written  by JavaScript, of a finite number above 0 */
function decimalOf(written: string): Decimal {
  const exponentAt = written.indexOf('e');
  const mantissa = exponentAt === -1 ? written : written.slice(0, exponentAt);
  const power = exponentAt === -1 ? 0 : Number(written.slice(exponentAt + 1));
  const pointAt = mantissa.indexOf('.');
  if (pointAt === -1) return { digits: withoutEndZeros(mantissa), point: mantissa.length + power };
  const all = mantissa.slice(0, pointAt) + mantissa.slice(pointAt + 1);
  let first = 0;
  while (all.charCodeAt(first) === 0x30) first += 1;
  return { digits: all.slice(first), point: pointAt - first + power };
}

function shortest({ mantissa, exponent, precision }: BigFloat): Decimal {
  // in halves of the last bit
  const bits = bitLength(mantissa);
  const shift = precision + 1 - bits;
  const halves = mantissa << BigInt(shift);
  const lowest = exponent - shift;
  const before = Math.ceil((bits + exponent) * LOG10_OF_2);
  const power = Math.ceil(precision * LOG10_OF_2) + SPARE_DIGITS - before;
  const exact = toPrefix(halves, lowest, power);
  const lower = toPrefix(halves - 1n, lowest, power);
  const upper = toPrefix(halves + 1n, lowest, power);
  const isInclusive = (halves & 2n) === 0n;
  for (let at = 0; at < exact.digits.length; at += 1) {
    const digit = exact.digits.charAt(at);
    const below = lower.digits.charAt(at) || '0';
    const above = upper.digits.charAt(at) || '0';
    const mayGoDown = below !== digit || (isInclusive && at + 1 === lower.length);
    const mayGoUp =
      digit !== above && (isInclusive || String(Number(digit) + 1) < above || at + 1 < upper.length);
    if (mayGoDown && mayGoUp) return nearest(exact, at + 1);
    if (mayGoDown) return cut(exact, at + 1);
    if (mayGoUp) return raised(exact, at + 1);
  }
  return exact;
}

function nearest(decimal: Prefix, kept: number): Decimal {
  const { digits, length } = decimal;
  if (kept >= length) return decimal;
  const next = digits.charAt(kept);
  const isHalf = next === '5' && kept + 1 === length;
  const isUp = isHalf ? Number(digits.charAt(kept - 1)) % 2 === 1 : next >= '5';
  return isUp ? raised(decimal, kept) : cut(decimal, kept);
}

function cut({ digits, point }: Prefix, kept: number): Decimal {
  return { digits: withoutEndZeros(digits.slice(0, kept)), point };
}

function raised(decimal: Prefix, kept: number): Decimal {
  const { digits, point, length } = decimal;
  if (kept >= length) return decimal;
  let last = kept;
  while (last > 0 && digits.charAt(last - 1) === '9') last -= 1;
  if (last === 0) return { digits: '1', point: point + 1 };
  return { digits: digits.slice(0, last - 1) + String(Number(digits.charAt(last - 1)) + 1), point };
}
