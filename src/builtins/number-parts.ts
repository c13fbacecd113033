/** What the text of a number says: whole digits and a power of 10. */
import { fail } from './implementation.ts';

/** ± digits × 10^exponent */
export interface NumberParts {
  readonly negative: boolean;
  readonly digits: bigint;
  readonly exponent: number;
}

/** Of JSON, and what `to_number` takes besides: `+1`, `.5`, `1.`, `007`. */
const NUMBER = /^([-+]?)(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d+))?$/;
const MINUS = 0x2d;
const POINT = 0x2e;
const DIGIT_0 = 0x30;
/** so many characters hold no more than 2^53 */
const SHORT = 16;

export function readNumber(text: string): NumberParts {
  return readShort(text) ?? readAny(text);
}

/** Almost every number: it has a few digits and no exponent. */
function readShort(text: string): NumberParts | undefined {
  if (text.length > SHORT) return undefined;
  let digits = 0;
  let pointAt = -1;
  const first = text.charCodeAt(0) === MINUS ? 1 : 0;
  for (let at = first; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === POINT && pointAt === -1) pointAt = at;
    else if (unit >= DIGIT_0 && unit <= DIGIT_0 + 9) digits = digits * 10 + (unit - DIGIT_0);
    else return undefined;
  }
  if (digits > Number.MAX_SAFE_INTEGER) return undefined;
  return {
    negative: first === 1,
    digits: BigInt(digits),
    exponent: pointAt === -1 ? 0 : pointAt - text.length + 1,
  };
}

function readAny(text: string): NumberParts {
  const [, sign, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? fail();
  return {
    negative: sign === '-',
    digits: BigInt(whole + fraction),
    exponent: Number(exponent) - fraction.length,
  };
}

/** @returns undefined  for what is no integer: `1.50`, but not `1.0` or `1e3` */
export function toWhole({ negative, digits, exponent }: NumberParts, textLength: number): bigint | undefined {
  const magnitude = timesPowerOf10(digits, exponent, textLength);
  return magnitude === undefined || !negative ? magnitude : -magnitude;
}

/** @param most  digits that there can be */
function timesPowerOf10(digits: bigint, exponent: number, most: number): bigint | undefined {
  if (exponent === 0 || digits === 0n) return digits;
  if (exponent > 0) return digits * 10n ** BigInt(exponent);
  if (-exponent > most) return undefined;
  const power = 10n ** BigInt(-exponent);
  return digits % power === 0n ? digits / power : undefined;
}

/** What it costs to compute with a number, and to write it, grows with its exponent, too. */
export function exponentOf(text: string): number {
  const at = text.search(/[eE]/);
  return at === -1 ? 0 : Math.abs(Number(text.slice(at + 1)));
}
