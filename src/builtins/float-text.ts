/** Below the first power of ten, and from the second one on, Go writes an exponent. */
const LEAST_POWER = -4;
const EXPONENT_FROM = 6;

/** A float64 as Go's `strconv.FormatFloat(f, 'g', -1, 64)` writes it: the shortest digits that say it. */
export function floatText(float: number): string {
  if (Object.is(float, -0)) return '-0';
  const [digits = '', power = '0'] = float.toExponential().split('e');
  if (Number(power) >= LEAST_POWER && Number(power) < EXPONENT_FROM) return float.toString();
  return `${digits}e${power.startsWith('-') ? '-' : '+'}${power.slice(1).padStart(2, '0')}`;
}
