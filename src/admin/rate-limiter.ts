/**
 * Token buckets by key: each holds up to `burst`, and fills at `perSecond`. The least recently used are forgotten
 * beyond `maxKeys`, which makes them full again: memory is bounded, and the limit errs towards letting through.
 */
import type { Clock } from '../core/clock.ts';

interface RateLimit {
  /** > 0 */
  readonly perSecond: number;
  /** ≥ 1 */
  readonly burst: number;
  readonly maxKeys: number;
}

export interface RateLimiter {
  /** Takes one of the bucket. @returns 0, or the seconds (at least 1) until there is one to take */
  take(key: string): number;
  /** number of buckets that are kept */
  size(): number;
}

interface Bucket {
  readonly level: number;
  readonly atMs: number;
}

export function createRateLimiter({ perSecond, burst, maxKeys }: RateLimit, clock: Clock): RateLimiter {
  // in the order of their last use: a Map keeps the order of insertion
  const buckets = new Map<string, Bucket>();

  const levelNow = (key: string, nowMs: number): number => {
    const bucket = buckets.get(key);
    if (bucket === undefined) return burst;
    // a clock that was set back fills nothing, and takes nothing away
    const elapsedMs = Math.max(0, nowMs - bucket.atMs);
    return Math.min(burst, bucket.level + (elapsedMs / 1_000) * perSecond);
  };

  return {
    take(key) {
      const nowMs = clock.nowMs();
      const level = levelNow(key, nowMs);
      const isTaken = level >= 1;
      buckets.delete(key);
      buckets.set(key, { level: isTaken ? level - 1 : level, atMs: nowMs });
      const [oldest] = buckets.keys();
      if (buckets.size > maxKeys && oldest !== undefined) buckets.delete(oldest);
      return isTaken ? 0 : Math.max(1, Math.ceil((1 - level) / perSecond));
    },
    size: () => buckets.size,
  };
}
