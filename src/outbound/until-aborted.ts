import { Failure } from '../core/failure.ts';

export function tooLate(): Failure {
  return new Failure('deadline_exceeded', 'What the policy asks for was not answered in time');
}

/** For what cannot be cancelled. @throws Failure deadline_exceeded */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(tooLate());
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
