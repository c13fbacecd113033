/** How many requests there are at once. Who comes later waits, in order, for as long as they like. */
export interface Slots {
  /** @throws what the signal was aborted with */
  take(signal: AbortSignal): Promise<void>;
  give(): void;
  waiting(): number;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();
  return {
    take(signal) {
      if (signal.aborted) return Promise.reject(signal.reason as Error);
      if (free > 0) {
        free -= 1;
        return Promise.resolve();
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const onAbort = (): void => {
        waiting.delete(next);
        reject(signal.reason as Error);
      };
      const next = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      waiting.add(next);
      signal.addEventListener('abort', onAbort, { once: true });
      return promise;
    },
    give() {
      const [next] = waiting;
      if (next === undefined) {
        free += 1;
        return;
      }
      waiting.delete(next);
      next();
    },
    waiting: () => waiting.size,
  };
}
