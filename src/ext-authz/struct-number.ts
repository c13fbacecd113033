import { Failure } from '../core/failure.ts';

/**
 * A number of a `google.protobuf.Struct` as Go prints a float64 with format `g` and the fewest digits: an exponent
 * of at least two digits from 1e+06 on and below 1e-04. Equal when compared; the text shows in policies that turn
 * it into a string.
 *
 * @throws Failure request_malformed  for NaN and infinities, which a Struct cannot hold
 */
export function toStructNumber(value: number): string {
  if (!Number.isFinite(value))
    throw new Failure('request_malformed', 'a number in the metadata is not finite');
  if (Object.is(value, -0)) return '-0';
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
