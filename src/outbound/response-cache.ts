/** Responses that may be given again to other evaluations: OPA's inter-query cache, bounded. */
import { LRUCache } from 'lru-cache';
import type { Reply } from './received.ts';

export interface KeptResponse {
  readonly reply: Reply;
  /** milliseconds since the epoch; 0: it must be asked for anew, and may be confirmed */
  readonly expiresAtMs: number;
}

export interface ResponseCache {
  get(key: string): KeptResponse | undefined;
  set(key: string, kept: KeptResponse): void;
  delete(key: string): void;
}

/** What an entry takes besides its texts. */
const BYTES_PER_ENTRY = 512;

export function createResponseCache(maxBytes: number): ResponseCache {
  const kept = new LRUCache<string, KeptResponse>({
    maxSize: maxBytes,
    sizeCalculation: ({ reply }, key) => BYTES_PER_ENTRY + key.length * 2 + sizeOf(reply),
  });
  return {
    get: (key) => kept.get(key),
    set: (key, value) => void kept.set(key, value),
    delete: (key) => void kept.delete(key),
  };
}

function sizeOf({ text, decoded, headers }: Reply): number {
  const texts = text.length + (decoded === text ? 0 : (decoded?.length ?? 0));
  return [...headers].reduce((sum, [name, values]) => sum + name.length + values.join().length, texts) * 2;
}
