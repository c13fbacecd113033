/**
 * State that processes share and that expires by itself. It is no truth: losing all of it costs accuracy (a rate is
 * counted anew, a process is unknown for some seconds), never safety. The clock of the store decides what is expired.
 */
import { Failure } from '../core/failure.ts';

/**
 * A key has 1 to 256 visible ASCII characters; claims, counts and values each have keys of their own. Times are
 * whole milliseconds, at most a day.
 *
 * Every method throws Failure `request_malformed` for an argument of another form, and may throw `store_unavailable`;
 * those that may make a key throw `overloaded` when there are too many.
 */
export interface Shared {
  /** @returns true for exactly one of all who ask within `ttlMs`, in whatever process */
  claim(key: string, ttlMs: number): Promise<boolean>;
  /**
   * Counts in a window that begins with the first count and is not moved by later ones.
   *
   * @param n  1 to 1,000,000
   * @returns the count of the window, this one included
   */
  add(key: string, windowMs: number, n: number): Promise<number>;
  /** Replaces what was there. @param value  at most `MAX_SHARED_VALUE_BYTES` of UTF-8 */
  put(key: string, value: string, ttlMs: number): Promise<void>;
  /** Ends a value before its time; without an error when there is none. */
  remove(key: string): Promise<void>;
  /** @returns values that are not expired, in order of key, at most `MAX_LISTED`. @param prefix  may be empty */
  list(prefix: string): Promise<readonly SharedValue[]>;
}

export interface SharedValue {
  readonly key: string;
  readonly value: string;
}

export const MAX_SHARED_VALUE_BYTES = 1_024;
/** of claims, of counts and of values, each */
export const MAX_SHARED_KEYS = 50_000;
export const MAX_LISTED = 1_000;
const MAX_MS = 86_400_000;
const MAX_ADDED = 1_000_000;
const KEY = /^[!-~]{1,256}$/;
const PREFIX = /^[!-~]{0,256}$/;

/** What every store checks before it asks its tables. @throws Failure request_malformed */
export function expectSharedKey(key: string): void {
  expect(KEY.test(key), 'a shared key has 1 to 256 visible ASCII characters');
}

export function expectSharedPrefix(prefix: string): void {
  expect(PREFIX.test(prefix), 'a prefix of shared keys has at most 256 visible ASCII characters');
}

export function expectSharedTime(ms: number): void {
  expect(Number.isInteger(ms) && ms >= 1 && ms <= MAX_MS, `a shared time has 1 to ${MAX_MS} ms`);
}

export function expectSharedCount(n: number): void {
  expect(Number.isInteger(n) && n >= 1 && n <= MAX_ADDED, `1 to ${MAX_ADDED} are added at a time`);
}

export function expectSharedValue(value: string): void {
  const fits = Buffer.byteLength(value) <= MAX_SHARED_VALUE_BYTES && value.isWellFormed();
  expect(fits, `a shared value has at most ${MAX_SHARED_VALUE_BYTES} bytes of UTF-8`);
}

function expect(holds: boolean, detail: string): void {
  if (!holds) throw new Failure('request_malformed', detail);
}

export function tooManyKeys(): Failure {
  return new Failure('overloaded', 'there are too many shared keys');
}
