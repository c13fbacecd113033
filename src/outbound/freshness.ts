/** How long a response may be given again, as OPA reads `Cache-Control`, `Date` and `Expires`. */
import type { Reply } from './received.ts';
import { SendError } from './send-error.ts';

const MOST_SECONDS = 2_147_483_647;
const MS_PER_SECOND = 1_000;
/** RFC 9110 calls them cacheable by default; OPA's list. */
const CACHEABLE: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501]);

type Headers = Reply['headers'];

/** @param forcedSeconds  above 0: whatever the response says */
export function mayStore(
  { statusCode, headers }: Pick<Reply, 'statusCode' | 'headers'>,
  forcedSeconds: number,
): boolean {
  return CACHEABLE.has(statusCode) && (forcedSeconds > 0 || !directivesOf(headers).has('no-store'));
}

/**
 * @returns milliseconds since the epoch; 0: it must be asked for anew
 * @throws SendError  `max-age` without a date, or what is no number or date
 */
export function expiryOf(headers: Headers, forcedSeconds: number, nowMs: number): number {
  if (forcedSeconds > 0) return nowMs + forcedSeconds * MS_PER_SECOND;
  const maxAge = directivesOf(headers).get('max-age');
  if (maxAge === undefined) return parseHttpDate(first(headers, 'expires') ?? '') ?? 0;
  if (!/^\d+$/.test(maxAge)) throw new SendError('max-age is no number');
  const seconds = Math.min(Number(maxAge), MOST_SECONDS);
  const date = first(headers, 'date');
  if (date === undefined || date === '') throw new SendError('no date header');
  const madeAtMs = parseHttpDate(date);
  if (madeAtMs === undefined) throw new SendError('the date header is no date');
  return madeAtMs + seconds * MS_PER_SECOND;
}

export function first(headers: Headers, name: string): string | undefined {
  return headers.get(name)?.[0];
}

function directivesOf(headers: Headers): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (const each of (first(headers, 'cache-control') ?? '').split(',')) {
    const [name = '', ...values] = each.replace(/^ +| +$/g, '').split('=');
    if (name === '' || values.length > 1) continue;
    directives.set(values.length === 1 ? name.replace(/^ +| +$/g, '') : name, values[0] ?? '');
  }
  return directives;
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const TIME = String.raw`(?<time>\d{2}:\d{2}:\d{2})`;
/** The three forms of RFC 9110, section 5.6.7. */
const DATES = [
  new RegExp(String.raw`^\w{3}, (?<day>\d{2}) (?<month>\w{3}) (?<year>\d{4}) ${TIME} GMT$`),
  new RegExp(String.raw`^\w{6,9}, (?<day>\d{2})-(?<month>\w{3})-(?<year>\d{2}) ${TIME} GMT$`),
  new RegExp(String.raw`^\w{3} (?<month>\w{3}) (?<day>[ \d]\d) ${TIME} (?<year>\d{4})$`),
];

/** @returns milliseconds since the epoch */
function parseHttpDate(text: string): number | undefined {
  const found = DATES.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined);
  if (found === undefined) return undefined;
  const { day, month = '', year = '', time = '' } = found;
  const [hours, minutes, seconds] = time.split(':').map(Number);
  // as Go reads two digits
  const century = year.length === 4 ? 0 : Number(year) >= 69 ? 1_900 : 2_000;
  const date = [century + Number(year), MONTHS.indexOf(month), Number(day)] as const;
  const ms = Date.UTC(...date, hours, minutes, seconds);
  return date[1] < 0 || Number.isNaN(ms) ? undefined : ms;
}
