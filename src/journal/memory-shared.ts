/** Shared state of one process: for tests, and for `serve` without a store. */
import type { Clock } from '../core/clock.ts';
import {
  expectSharedCount,
  expectSharedKey,
  expectSharedPrefix,
  expectSharedTime,
  expectSharedValue,
  MAX_LISTED,
  MAX_SHARED_KEYS,
  type Shared,
  tooManyKeys,
} from './shared.ts';

export interface MemorySharedOptions {
  readonly clock: Clock;
  readonly maxKeys?: number;
}

export function createMemoryShared({ clock, maxKeys = MAX_SHARED_KEYS }: MemorySharedOptions): Shared {
  const claims = new Expiring<true>(clock, maxKeys);
  const counts = new Expiring<number>(clock, maxKeys);
  const values = new Expiring<string>(clock, maxKeys);
  return {
    async claim(key, ttlMs) {
      expectSharedKey(key);
      expectSharedTime(ttlMs);
      if (claims.get(key) !== undefined) return false;
      claims.set(key, true, ttlMs);
      return true;
    },
    async add(key, windowMs, n) {
      expectSharedKey(key);
      expectSharedTime(windowMs);
      expectSharedCount(n);
      const count = Math.min((counts.get(key) ?? 0) + n, Number.MAX_SAFE_INTEGER);
      if (count === n) counts.set(key, n, windowMs);
      else counts.replace(key, count);
      return count;
    },
    async put(key, value, ttlMs) {
      expectSharedKey(key);
      expectSharedValue(value);
      expectSharedTime(ttlMs);
      values.set(key, value, ttlMs);
    },
    async remove(key) {
      expectSharedKey(key);
      values.delete(key);
    },
    async list(prefix) {
      expectSharedPrefix(prefix);
      const found = values.live().filter(({ key }) => key.startsWith(prefix));
      // keys are ASCII: the order of code units is that of bytes
      return found.sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, MAX_LISTED);
    },
  };
}

/** What is expired is as good as gone; it is swept out when the map has doubled, so that a write costs little. */
class Expiring<T> {
  readonly #clock: Clock;
  readonly #maxKeys: number;
  readonly #entries = new Map<string, { readonly value: T; readonly endsMs: number }>();
  #sweepAt = 1_024;

  constructor(clock: Clock, maxKeys: number) {
    this.#clock = clock;
    this.#maxKeys = maxKeys;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.endsMs > this.#clock.nowMs() ? entry.value : undefined;
  }

  /** @throws Failure overloaded */
  set(key: string, value: T, ttlMs: number): void {
    const size = this.#entries.size;
    if (size >= Math.min(this.#sweepAt, this.#maxKeys) && !this.#entries.has(key)) this.#sweep();
    if (this.#entries.size >= this.#maxKeys && !this.#entries.has(key)) throw tooManyKeys();
    this.#entries.set(key, { value, endsMs: this.#clock.nowMs() + ttlMs });
  }

  /** Another value for what is there; it ends when it would have. */
  replace(key: string, value: T): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#entries.set(key, { ...entry, value });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  live(): { key: string; value: T }[] {
    this.#sweep();
    return [...this.#entries].map(([key, { value }]) => ({ key, value }));
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const [key, { endsMs }] of this.#entries) if (endsMs <= nowMs) this.#entries.delete(key);
    this.#sweepAt = Math.max(1_024, 2 * this.#entries.size);
  }
}
