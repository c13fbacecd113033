/**
 * Items in order, a chunk at a time to where they go: a chunk is begun when enough is there, or after a while. One that
 * could not be delivered is tried again, first after a moment and then after longer ones, each with jitter; what comes
 * meanwhile waits. How much may wait is not decided here: the thread that answers Checks counts (`sink-queue.ts`).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LogItem, SinkDeps } from './sink.ts';

/** `retry`: it may be taken later; `refused`: never. */
export type Delivery = 'delivered' | 'retry' | 'refused';

export interface ChunksDeps extends Pick<SinkDeps, 'settle'> {
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly maxDelayMs: number;
  readonly maxAttempts?: number;
  deliver(items: readonly LogItem[], signal: AbortSignal): Promise<Delivery>;
}

export interface Chunks {
  write(items: readonly LogItem[]): void;
  close(signal: AbortSignal): Promise<void>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

export function createChunks(deps: ChunksDeps): Chunks {
  const { maxDelayMs, maxAttempts = Number.POSITIVE_INFINITY, settle } = deps;
  const waiting: LogItem[] = [];
  const stop = new AbortController();
  let bytes = 0;
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let delivering: Promise<void> | undefined;

  const isFull = (): boolean => bytes >= deps.maxBytes || waiting.length >= deps.maxItems;

  function schedule(): void {
    if (delivering !== undefined || waiting.length === 0) return;
    if (closing || isFull()) {
      clearTimeout(timer);
      timer = undefined;
      delivering = next().finally(() => {
        delivering = undefined;
        schedule();
      });
      return;
    }
    timer ??= setTimeout(
      () => {
        timer = undefined;
        if (delivering !== undefined) return;
        delivering = next().finally(() => {
          delivering = undefined;
          schedule();
        });
      },
      maxDelayMs * (0.5 + Math.random() / 2),
    );
  }

  function take(): readonly LogItem[] {
    let size = 0;
    let count = 0;
    for (const { line } of waiting) {
      size += line.length;
      if (count > 0 && (size > deps.maxBytes || count >= deps.maxItems)) break;
      count += 1;
    }
    const taken = waiting.splice(0, count);
    for (const { line } of taken) bytes -= line.length;
    return taken;
  }

  async function next(): Promise<void> {
    const items = take();
    for (let attempt = 1; items.length > 0; attempt += 1) {
      if (stop.signal.aborted) return settle(items, 'stopped');
      const delivery = await deps.deliver(items, stop.signal).catch((): Delivery => 'retry');
      if (delivery === 'delivered') return settle(items);
      if (delivery === 'refused' || attempt >= maxAttempts)
        return settle(items, delivery === 'refused' ? 'refused' : 'sink_failed');
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
      await delay(pause * (0.5 + Math.random()), undefined, { signal: stop.signal }).catch(() => {});
    }
  }

  return {
    write(items) {
      waiting.push(...items);
      for (const { line } of items) bytes += line.length;
      schedule();
    },
    async close(signal) {
      closing = true;
      clearTimeout(timer);
      timer = undefined;
      if (signal.aborted) stop.abort();
      else signal.addEventListener('abort', () => stop.abort(), { once: true });
      while (waiting.length > 0 || delivering !== undefined) {
        schedule();
        await delivering;
      }
    },
  };
}
