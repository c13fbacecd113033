/** One task in a worker of its own, which ends with it: for work that would hold up this thread, or might not end. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Failure } from '../core/failure.ts';

export interface WorkerTask {
  /** of the file in this folder, without its extension; it posts one message: the result */
  readonly name: string;
  /** becomes `workerData` */
  readonly request: unknown;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onTimeout: () => Failure;
  /** @param cause  what the worker did not catch */
  readonly onError: (cause: unknown) => Failure;
}

/** @throws Failure  what `onTimeout` or `onError` says; deadline_exceeded  the signal */
export async function runInWorker<Result>(task: WorkerTask): Promise<Result> {
  const { name, request, timeoutMs, signal, onTimeout, onError } = task;
  const file = new URL(`./${name}${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(file, { workerData: request, execArgv: [], env: {} });
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const tooLong = setTimeout(() => reject(onTimeout()), timeoutMs);
  const onAbort = (): void => reject(new Failure('deadline_exceeded', 'The call was abandoned'));
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  worker.once('message', resolve);
  worker.once('error', (cause) => reject(onError(cause)));
  try {
    return await promise;
  } finally {
    clearTimeout(tooLong);
    signal?.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}
