/** Expiry is data: it is compared where it is used, with a time that is given. */
import type { Grant } from './model.ts';

const FORM = /^(\d{4})-(\d{2})-(\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * Milliseconds since 1970 of an RFC 3339 time, rounded down.
 *
 * @returns undefined  when there is no such time, for example on 30 February
 */
export function parseInstant(text: string): number | undefined {
  const [, year, month, day] = FORM.exec(text) ?? [];
  // Date.parse takes 30 February for 2 March
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  const instant = Date.parse(text);
  return Number.isNaN(instant) || !(Number(day) <= days) ? undefined : instant;
}

/** When a grant ends; undefined: never. One that cannot be read has ended. */
export function endOf({ expiresAt }: Pick<Grant, 'expiresAt'>): number | undefined {
  return expiresAt === undefined ? undefined : (parseInstant(expiresAt) ?? Number.NEGATIVE_INFINITY);
}

export function isLive(grant: Pick<Grant, 'expiresAt'>, atMs: number): boolean {
  const endMs = endOf(grant);
  return endMs === undefined || endMs > atMs;
}
