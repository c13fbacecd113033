/**
 * Meters a compiled policy and evaluates its smoke cases on two hosts: the metered module on ours, the one from the
 * compiler on that of `@open-policy-agent/opa-wasm`, which shares no code with it (where the module brings all
 * built-in functions itself: that host has few of them, and other answers). All in a worker: it is much work,
 * and an evaluation without a budget that does not end can only be killed.
 */
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { CompleteSource } from './source.ts';
import { runInWorker } from './worker-task.ts';

export interface SmokeRequest {
  readonly wasm: Uint8Array;
  readonly source: Pick<CompleteSource, 'data' | 'entrypoints' | 'smoke'>;
  readonly maxMemoryMiB: number;
  readonly maxUnits: number;
  /** linear memory of OPA's own built-in functions */
  readonly maxToolchainMiB: number;
}

export interface SmokeReport {
  /** the metered module */
  readonly metered: Uint8Array;
  /** of the module, for example `1.3` */
  readonly abi: string;
  /** what each case has cost, in their order */
  readonly units: readonly number[];
  readonly issues: readonly FailureIssue[];
  /** that were asked */
  readonly hosts: 1 | 2;
}

/** What the worker says: the report, or why there is none. */
export type SmokeAnswer = SmokeReport | { readonly refusal: string };

/** Evaluations have budgets, but for those of the second host; a machine may be busy. */
const TIMEOUT_MS = 20_000;

/**
 * @throws Failure policy_rejected  when the module cannot be metered or loaded, or does not end in time;
 *         deadline_exceeded  the signal
 */
export async function runSmoke(request: SmokeRequest, signal?: AbortSignal): Promise<SmokeReport> {
  const answer = await runInWorker<SmokeAnswer>({
    name: 'smoke-worker',
    request,
    timeoutMs: TIMEOUT_MS,
    signal,
    onTimeout: () => new Failure('policy_rejected', `The smoke cases took longer than ${TIMEOUT_MS} ms`),
    onError: (cause) => new Failure('policy_rejected', 'The compiled policy cannot be loaded', { cause }),
  });
  if ('refusal' in answer) throw new Failure('policy_rejected', answer.refusal);
  return answer;
}
