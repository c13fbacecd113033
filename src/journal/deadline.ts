/** Waiting with an end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../core/failure.ts';

/**
 * The result of `work`, or a failure as soon as `signal` is aborted. The work itself goes on: only the wait ends.
 *
 * @throws Failure deadline_exceeded
 */
export async function until<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  detail: string,
): Promise<T> {
  if (signal === undefined) return work;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new Failure('deadline_exceeded', detail, { cause: signal.reason }));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}

/** Sleeps `ms` at most; an abort ends it early, without an error. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {});
}
