/** JSON lines in a file that is rotated by size; `path.1` is the newest of the older ones. */
import { basename, dirname } from 'node:path';
import { createStream, type RotatingFileStream } from 'rotating-file-stream';
import { codeOf } from './console-sink.ts';
import type { FileSinkOptions } from './options.ts';
import type { LogItem, Sink, SinkDeps } from './sink.ts';

const MODE = 0o600;
/** After an error the next events are lost for so long, and counted: a disk that is full stays so for a while. */
const PAUSE_MS = 1_000;

export function createFileSink(options: FileSinkOptions, { settle, warn }: SinkDeps): Sink {
  let stream: RotatingFileStream | undefined;
  let pausedUntilMs = 0;
  let waiting: LogItem[][] = [];

  const fail = (error: Error): void => {
    stream = undefined;
    pausedUntilMs = performance.now() + PAUSE_MS;
    warn('decisions cannot be written to the file', { error: codeOf(error) });
    const lost = waiting;
    waiting = [];
    for (const items of lost) settle(items, 'sink_failed');
  };

  function open(): RotatingFileStream {
    const opened = createStream(nameOf(basename(options.path)), {
      path: dirname(options.path),
      size: `${options.maxFileMiB}M`,
      rotate: options.maxFiles,
      mode: MODE,
    });
    opened.on('error', (error: Error) => {
      if (opened === stream) fail(error);
    });
    opened.on('warning', (error: Error) =>
      warn('the file of decisions cannot be rotated', { error: codeOf(error) }),
    );
    return opened;
  }

  return {
    name: 'file',
    write(given) {
      const items = [...given];
      if (stream === undefined && performance.now() < pausedUntilMs) return settle(items, 'sink_failed');
      stream ??= open();
      waiting.push(items);
      stream.write(items.map(({ line }) => `${line}\n`).join(''), (error) => {
        const at = waiting.indexOf(items);
        // one that failed was settled with all others that waited
        if (error || at < 0) return;
        waiting.splice(at, 1);
        settle(items);
      });
    },
    async close(signal) {
      const closing = stream;
      if (closing === undefined) return;
      const ended = new Promise<void>((resolve) => closing.once('close', resolve).end());
      const late = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([ended, late]);
      for (const items of waiting.splice(0)) settle(items, 'stopped');
    },
  };
}

function nameOf(name: string): (index: number | Date | null) => string {
  return (index) => (typeof index === 'number' ? `${name}.${index}` : name);
}
