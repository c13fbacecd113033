/** The text of a number, and OPA's order of them (`ast.NumberCompare`), quirk included. */

/** Up to so many significant digits two different decimals are two different float64. */
const EXACT_DIGITS = 15;
const EXACT_EXPONENT = 300;
/** more digits than these are no int64 to OPA, whatever they say */
const INT64_DIGITS = 19;
const NUMBER = /^([-+]?)(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d+))?$/;
const PLAIN_INTEGER = /^-?\d{1,15}$/;

/** ± 0.digits × 10^point: without zeros at either end of the digits; those of 0 are empty. */
interface Decimal {
  readonly negative: boolean;
  readonly digits: string;
  readonly point: number;
}

/** @param text  a number of JSON or of Rego */
function readDecimal(text: string): Decimal {
  const [, sign, integer = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? [];
  const all = integer + fraction;
  const leading = countLeadingZeros(all);
  const digits = trimEndZeros(all.slice(leading));
  return { negative: sign === '-', digits, point: integer.length - leading + Number(exponent) };
}

function countLeadingZeros(digits: string): number {
  let at = 0;
  while (digits.charCodeAt(at) === 0x30) at += 1;
  return at;
}

function trimEndZeros(digits: string): string {
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 0x30) end -= 1;
  return digits.slice(0, end);
}

export function compareNumbers(a: string, b: string): number {
  if (a === b) return 0;
  if (PLAIN_INTEGER.test(a) && PLAIN_INTEGER.test(b)) return Number(a) - Number(b);
  const x = readDecimal(a);
  const y = readDecimal(b);
  if (areSameFloats(a, b) && !(isExact(x) && isExact(y)) && !(isInt64(a) && isInt64(b))) return 0;
  return compareDecimals(x, y);
}

/** OPA compares fractions with zeros at their end as float64, and only these; then more digits are no difference. */
function areSameFloats(a: string, b: string): boolean {
  return endsInFractionZeros(a) && endsInFractionZeros(b) && Number(a) === Number(b);
}

function endsInFractionZeros(text: string): boolean {
  const trimmed = text.replace(/[.0]+$/, '');
  return trimmed !== text && trimmed.includes('.') && Number.isFinite(Number(text));
}

function isExact({ digits, point }: Decimal): boolean {
  return digits.length <= EXACT_DIGITS && Math.abs(point) <= EXACT_EXPONENT;
}

function compareDecimals(a: Decimal, b: Decimal): number {
  const signs = signOf(a) - signOf(b);
  if (signs !== 0 || a.digits === '') return signs;
  const magnitude = a.point - b.point || compareDigits(a.digits, b.digits);
  return a.negative ? -magnitude : magnitude;
}

function signOf({ negative, digits }: Decimal): number {
  if (digits === '') return 0;
  return negative ? -1 : 1;
}

function compareDigits(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** What OPA takes for an int64 when a function wants an integer: `1.0` is one, `1e3` is none. */
export function isInt64(text: string): boolean {
  return toInt64(text) !== undefined;
}

const INT64_TEXT = /^[-+]?(\d*)(?:\.0*)?$/;

export function toInt64(text: string): bigint | undefined {
  const unsigned = text.startsWith('-') || text.startsWith('+') ? text.length - 1 : text.length;
  if (unsigned === 0 || unsigned > INT64_DIGITS) return undefined;
  const digits = INT64_TEXT.exec(text)?.[1];
  if (digits === undefined) return undefined;
  const value = BigInt(text.startsWith('-') ? `-${digits || '0'}` : digits || '0');
  return BigInt.asIntN(64, value) === value ? value : undefined;
}
