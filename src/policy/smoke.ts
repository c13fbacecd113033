/**
 * Evaluates the smoke cases of a compiled policy on two hosts: ours, and the one of `@open-policy-agent/opa-wasm`,
 * which shares no code with it. They run in a worker, because an evaluation that does not end can only be killed.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { CompleteSource } from './source.ts';

export interface SmokeRequest {
  readonly wasm: Uint8Array;
  readonly source: Pick<CompleteSource, 'data' | 'entrypoints' | 'smoke'>;
  readonly maxMemoryMiB: number;
}

export interface SmokeReport {
  /** of the module, for example `1.3` */
  readonly abi: string;
  readonly issues: readonly FailureIssue[];
}

const TIMEOUT_MS = 5_000;

/** @throws Failure policy_rejected  when the module cannot be loaded, or does not end in time; deadline_exceeded  the signal */
export async function runSmoke(request: SmokeRequest, signal?: AbortSignal): Promise<SmokeReport> {
  const file = new URL(`./smoke-worker${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(file, { workerData: request, execArgv: [], env: {} });
  const { promise, resolve, reject } = Promise.withResolvers<SmokeReport>();
  const tooLong = setTimeout(
    () => reject(new Failure('policy_rejected', `The smoke cases took longer than ${TIMEOUT_MS} ms`)),
    TIMEOUT_MS,
  );
  const onAbort = (): void => reject(new Failure('deadline_exceeded', 'The call was abandoned'));
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  worker.once('message', resolve);
  worker.once('error', (cause) =>
    reject(new Failure('policy_rejected', 'The compiled policy cannot be loaded', { cause })),
  );
  try {
    return await promise;
  } finally {
    clearTimeout(tooLong);
    signal?.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}
