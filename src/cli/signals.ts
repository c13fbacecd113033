import { constants } from 'node:os';

/** What `npm` hands on a second time is the same wish. */
const SAME_MS = 250;

/** Resolves at the first SIGINT or SIGTERM; further ones change nothing, the stop is under way. */
export function untilSignalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.on('SIGINT', resolve);
    process.on('SIGTERM', resolve);
  });
}

/**
 * From here on one more SIGINT or SIGTERM ends this process at once. Nothing is lost by that which anybody was told
 * to be done: the journal is written before it is answered.
 */
export function exitWhenSignalledAgain(): void {
  const sinceMs = performance.now();
  const exit = (signal: NodeJS.Signals): void => {
    if (performance.now() - sinceMs > SAME_MS) process.exit(128 + constants.signals[signal]);
  };
  process.on('SIGINT', exit);
  process.on('SIGTERM', exit);
}

/** Aborted at the first SIGINT or SIGTERM: a command that is stopped ends by itself, and leaves things in order. */
export function abortWhenSignalled(): AbortSignal {
  const controller = new AbortController();
  void untilSignalled().then((name) => controller.abort(name));
  return controller.signal;
}
