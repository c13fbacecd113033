/** `time.now_ns`, `time.parse_rfc3339_ns`, and what is random: the same at each call within an evaluation. */
import type { BuiltinContext } from './builtin.ts';
import { type Family, fail } from './implementation.ts';
import { int64Of, stringOf } from './operands.ts';
import { toNumber, type Value } from './value.ts';
import { Verbatim, writeText } from './write-text.ts';

/** As strict as Go, which takes a comma for the point of a second, and an hour of one digit. */
const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:Z|([-+])(\d{2}):(\d{2}))$/;
const NS_PER_MS = 1_000_000n;
const MS_PER_MINUTE = 60_000;

function parseRfc3339(text: string): bigint {
  const found = RFC3339.exec(text);
  if (found === null) return fail();
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map(Number);
  const [fraction = '', sign, zoneHour = '0', zoneMinute = '0'] = found.slice(7);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  const isTime = hour < 24 && minute < 60 && second < 60;
  if (!isDate || !isTime || Number(zoneHour) > 24 || Number(zoneMinute) > 60) fail();
  const offset = (Number(zoneHour) * 60 + Number(zoneMinute)) * (sign === '-' ? -1 : 1) * MS_PER_MINUTE;
  const ms = date.setUTCHours(hour, minute, second) - offset;
  const ns = BigInt(ms) * NS_PER_MS + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return BigInt.asIntN(64, ns) === ns ? ns : fail();
}

/** What was answered to this question first. */
function saidOnce(key: string, context: BuiltinContext, say: () => Value): Value | Verbatim {
  const said = context.said.get(key);
  if (said !== undefined) return new Verbatim(said);
  const value = say();
  context.said.set(key, writeText(value));
  return value;
}

function uuid(context: BuiltinContext): string {
  const bytes = Buffer.from(context.randomBytes(16));
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** 128 random bits leave no bias that could be seen. */
function randomBelow(limit: bigint, context: BuiltinContext): bigint {
  return BigInt(`0x${Buffer.from(context.randomBytes(16)).toString('hex')}`) % limit;
}

export const clock: Family = {
  'time.now_ns': (_, context) => toNumber(context.nowNs),
  'time.parse_rfc3339_ns': ([text]) => toNumber(parseRfc3339(stringOf(text))),
  'uuid.rfc4122': ([key], context) =>
    saidOnce(`uuid ${writeText(key ?? fail())}`, context, () => uuid(context)),
  'rand.intn': ([text, number], context) => {
    const said = stringOf(text);
    const signed = int64Of(number);
    const limit = signed < 0n ? -signed : signed;
    if (limit === 0n) return toNumber(0);
    return saidOnce(`rand ${said}-${limit}`, context, () => toNumber(randomBelow(limit, context)));
  },
};
