/**
 * Arithmetic as OPA's evaluator does it (`topdown/arithmetic.go`), quirks included: integers of any length exactly,
 * everything else with 64 bits, and unary functions of what is beyond 32 bits with 64 bits, too.
 *
 * The module's own arithmetic is decimal and exact, so it says something else.
 */
import {
  add,
  type BigFloat,
  compareFloats,
  divide,
  fromInteger,
  multiply,
  negate,
  toFloat,
  toInteger,
} from './big-float.ts';
import { textOf } from './big-float-text.ts';
import type { BuiltinContext } from './builtin.ts';
import { type Family, fail, type Implementation } from './implementation.ts';
import { toInt64 } from './number.ts';
import { exponentOf, readNumber, toWhole } from './number-parts.ts';
import { membersOf, numberOf } from './operands.ts';
import { compare, isArray, RegoNumber, RegoSet, toNumber, type Value } from './value.ts';

/** A product of two such fits into 64 bits; OPA computes with these as with machine integers. */
const LEAST_SMALL = -(2n ** 31n);
const MOST_SMALL = 2n ** 31n - 1n;
/** Of the float that a product begins with: Go's `big.NewFloat`. */
const FLOAT64_BITS = 53;
const HALF: BigFloat = { negative: false, mantissa: 1n, exponent: -1, precision: FLOAT64_BITS };
const ONE: BigFloat = { negative: false, mantissa: 1n, exponent: 0, precision: FLOAT64_BITS };
const NO_FLOAT: BigFloat = { negative: false, mantissa: 0n, exponent: 0, precision: 0 };

function toNumberOf(float: BigFloat): RegoNumber {
  return new RegoNumber(textOf(float));
}

function smallOf(text: string): bigint | undefined {
  const integer = toInt64(text);
  return integer !== undefined && integer >= LEAST_SMALL && integer <= MOST_SMALL ? integer : undefined;
}

/** The work with a number grows with its length, of a power of ten faster. */
const UNITS_PER_DIGIT = 12;
const DIGITS_PER_UNIT = 64;

function chargeFor(numbers: readonly RegoNumber[], charge: BuiltinContext['charge']): void {
  charge(numbers.reduce((sum, number) => sum + unitsOfDigits(digitsOf(number)), 0));
}

function digitsOf({ text }: RegoNumber): number {
  return text.length + exponentOf(text);
}

function unitsOfDigits(digits: number): number {
  return digits * UNITS_PER_DIGIT + (digits * digits) / DIGITS_PER_UNIT;
}

interface Binary {
  readonly exact: (x: bigint, y: bigint) => bigint;
  readonly float?: (x: BigFloat, y: BigFloat) => BigFloat;
}

function evaluate({ exact, float }: Binary, x: RegoNumber, y: RegoNumber): RegoNumber {
  const [xParts, yParts] = [readNumber(x.text), readNumber(y.text)];
  const a = toWhole(xParts, x.text.length);
  const b = a === undefined ? undefined : toWhole(yParts, y.text.length);
  if (a !== undefined && b !== undefined) return toNumber(exact(a, b));
  return float === undefined ? fail() : toNumberOf(float(toFloat(xParts), toFloat(yParts)));
}

function floatOf({ text }: RegoNumber): BigFloat {
  return toFloat(readNumber(text));
}

function binary(operation: Binary): Implementation {
  return ([x, y], { charge }) => {
    const [a, b] = [numberOf(x), numberOf(y)];
    chargeFor([a, b], charge);
    return evaluate(operation, a, b);
  };
}

function unary(float: (x: BigFloat) => BigFloat, small = (x: bigint): bigint => x): Implementation {
  return ([x], { charge }) => {
    const number = numberOf(x);
    chargeFor([number], charge);
    const integer = smallOf(number.text);
    return integer === undefined ? toNumberOf(float(floatOf(number))) : toNumber(small(integer));
  };
}

const subtract = (x: BigFloat, y: BigFloat): BigFloat => add(x, negate(y));

const quotient: Implementation = ([x, y], { charge }) => {
  const [a, b] = [numberOf(x), numberOf(y)];
  chargeFor([a, b], charge);
  const [dividend, divisor] = [smallOf(a.text), smallOf(b.text)];
  if (dividend !== undefined && divisor !== undefined && divisor !== 0n) {
    if (dividend !== 0n && dividend % divisor === 0n) return toNumber(dividend / divisor);
  }
  const by = floatOf(b);
  return by.mantissa === 0n ? fail() : toNumberOf(divide(floatOf(a), by));
};

function round(x: BigFloat): BigFloat {
  return fromInteger(toInteger(x.negative ? subtract(x, HALF) : add(x, HALF)));
}

/** OPA's: of -0.5 it is 1, since the integer below it has no sign. */
function ceil(x: BigFloat): BigFloat {
  const whole = fromInteger(toInteger(x));
  return whole.negative || compareFloats(x, whole) === 0 ? whole : add(whole, ONE);
}

/** OPA's: of -0.5 it is 0. */
function floor(x: BigFloat): BigFloat {
  const whole = fromInteger(toInteger(x));
  return !whole.negative || compareFloats(x, whole) === 0 ? whole : subtract(whole, ONE);
}

/** Of an array in its order, of a set in that of its members. */
function numbersOf(value: Value | undefined): readonly RegoNumber[] {
  if (value instanceof RegoSet) return value.sorted.map(numberOf);
  return value !== undefined && isArray(value) ? value.map(numberOf) : fail();
}

function aggregate(
  exact: (sum: bigint, each: bigint) => bigint,
  float: (sum: BigFloat, each: BigFloat) => BigFloat,
  first: { readonly exact: bigint; readonly float: BigFloat; readonly isGrowing: boolean },
): Implementation {
  return ([collection], { charge }) => {
    const numbers = numbersOf(collection);
    chargeFor(numbers, charge);
    if (first.isGrowing) charge(unitsOfDigits(numbers.reduce((sum, each) => sum + digitsOf(each), 0)));
    const integers = numbers.map(({ text }) => toWhole(readNumber(text), text.length));
    if (integers.every((each) => each !== undefined)) return toNumber(integers.reduce(exact, first.exact));
    return toNumberOf(numbers.map(floatOf).reduce(float, first.float));
  };
}

/** The last one that is as much as any; of values of different types, too. */
function extreme(isMore: (order: number) => boolean): Implementation {
  return ([collection], { charge }) => {
    const values = membersOf(collection);
    charge(values.length * UNITS_PER_COMPARISON);
    const [first, ...rest] = values;
    return first === undefined
      ? undefined
      : rest.reduce((most, each) => (isMore(compare(each, most)) ? each : most), first);
  };
}

const UNITS_PER_COMPARISON = 50;

export const arithmetic: Family = {
  max: extreme((order) => order >= 0),
  min: extreme((order) => order <= 0),
  plus: binary({ exact: (x, y) => x + y, float: (x, y) => add(x, y) }),
  minus: binary({ exact: (x, y) => x - y, float: subtract }),
  mul: binary({ exact: (x, y) => x * y, float: (x, y) => multiply(x, y) }),
  div: quotient,
  rem: binary({ exact: (x, y) => (y === 0n ? fail() : x % y) }),
  abs: unary(
    (x) => ({ ...x, negative: false }),
    (x) => (x < 0n ? -x : x),
  ),
  round: unary(round),
  ceil: unary(ceil),
  floor: unary(floor),
  sum: aggregate(
    (sum, each) => sum + each,
    (sum, each) => add(sum, each),
    { exact: 0n, float: NO_FLOAT, isGrowing: false },
  ),
  product: aggregate(
    (product, each) => product * each,
    (product, each) => multiply(product, each, FLOAT64_BITS),
    { exact: 1n, float: ONE, isGrowing: true },
  ),
};
