/** A duration as Go writes it (`1h2m`, `1.5s`, `300ms`), in milliseconds. @returns undefined  for what is none */
export function parseGoDuration(text: string): number | undefined {
  const [, sign, rest = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  if (!WHOLE.test(rest)) return undefined;
  const total = [...rest.matchAll(PART)].reduce(
    (sum, [, count = '', unit = '']) => sum + Number(count) * (MS_PER_UNIT[unit] ?? 0),
    0,
  );
  return sign === '-' ? -total : total;
}

const NUMBER = String.raw`(?:\d+\.?\d*|\.\d+)`;
const UNIT = 'ns|us|µs|μs|ms|s|m|h';
const WHOLE = new RegExp(`^(?:${NUMBER}(?:${UNIT}))+$`);
const PART = new RegExp(`(${NUMBER})(${UNIT})`, 'g');
const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
