/** JSON lines on a file descriptor, as OPA's console logger writes them. A reader that is slow makes the queue fill. */
import { write } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogItem, Sink, SinkDeps } from './sink.ts';

const STDOUT = 1;
/** The reader of a pipe has taken nothing yet. */
const TRY_AGAIN_MS = 10;

export function createConsoleSink({ settle, warn }: SinkDeps, fd: number = STDOUT): Sink {
  const stopped = new AbortController();
  let last = Promise.resolve();

  async function put(items: readonly LogItem[]): Promise<void> {
    try {
      if (stopped.signal.aborted) return settle(items, 'stopped');
      await writeAll(fd, Buffer.from(items.map(toConsoleLine).join('')), stopped.signal);
      settle(items);
    } catch (error) {
      warn('decisions cannot be written to standard output', { error: codeOf(error) });
      settle(items, stopped.signal.aborted ? 'stopped' : 'sink_failed');
    }
  }

  return {
    name: 'console',
    write(items) {
      last = last.then(() => put(items));
    },
    async close(signal) {
      signal.addEventListener('abort', () => stopped.abort(), { once: true });
      await last;
    },
  };
}

/** @returns with its line break */
export function toConsoleLine({ line }: LogItem): string {
  const time = new Date().toISOString();
  const end = `"level":"info","msg":"Decision Log","time":"${time}","type":"openpolicyagent.org/decision_logs"}\n`;
  return `${line.slice(0, -1)},${end}`;
}

async function writeAll(fd: number, bytes: Buffer, signal: AbortSignal): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) {
    try {
      rest = rest.subarray(await writeSome(fd, rest));
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      await delay(TRY_AGAIN_MS, undefined, { signal });
    }
  }
}

function writeSome(fd: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, (error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
