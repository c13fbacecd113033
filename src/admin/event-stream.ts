/**
 * Server-sent events (WHATWG HTML, "Server-sent events") of something that can be looked at: told when it has
 * changed, until it is done or the time is over. A reader that wants more asks again, as `EventSource` does.
 *
 * It looks again and again instead of being told: what it looks at changes in several places, and a look is cheap.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface Watch<T> {
  /** name of the events */
  readonly event: string;
  readonly look: () => T;
  readonly isDone: (value: T) => boolean;
  /** asked before each look; after a no nothing more is told */
  readonly mayLook: () => boolean;
  /** nobody reads any more, or the server stops */
  readonly signal: AbortSignal;
  readonly times?: Partial<WatchTimes>;
}

interface WatchTimes {
  /** between two looks */
  readonly intervalMs: number;
  /** after so long without a change a comment is sent, so that nobody takes the connection for dead */
  readonly heartbeatMs: number;
  /** of the whole stream */
  readonly maxMs: number;
}

const TIMES: WatchTimes = { intervalMs: 100, heartbeatMs: 10_000, maxMs: 120_000 };

/** @returns the text of the stream, in pieces */
export async function* watchAsEvents<T>(watch: Watch<T>): AsyncGenerator<string> {
  const { event, look, isDone, mayLook, signal } = watch;
  const { intervalMs, heartbeatMs, maxMs } = { ...TIMES, ...watch.times };
  const endMs = performance.now() + maxMs;
  let told = '';
  let toldAtMs = 0;
  while (mayLook()) {
    const value = look();
    const text = JSON.stringify(value);
    if (text !== told) {
      yield `event: ${event}\ndata: ${text}\n\n`;
      [told, toldAtMs] = [text, performance.now()];
    } else if (performance.now() - toldAtMs >= heartbeatMs) {
      yield ': no change\n\n';
      toldAtMs = performance.now();
    }
    if (isDone(value) || signal.aborted || performance.now() >= endMs) return;
    // an abort ends the wait: the next round says what there is, and returns
    await delay(intervalMs, undefined, { signal }).catch(() => {});
  }
}
