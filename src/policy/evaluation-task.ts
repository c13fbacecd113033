/** What a thread that evaluates is asked and what it says. A Failure loses its class between threads. */
import type { FailureCode } from '../core/failure.ts';
import type { Evaluation, EvaluationCost, Suspended } from './evaluator.ts';

/** A policy as a thread needs it. */
export interface PolicyImage {
  /** unique in this process: a thread keeps what it has started under it */
  readonly id: number;
  /** metered */
  readonly module: WebAssembly.Module;
  /** the static data, a JSON object as UTF-8; shared, so that it is not copied with each task */
  readonly data: Uint8Array<SharedArrayBuffer>;
  readonly maxMemoryMiB: number;
  readonly maxUnits: number;
}

export interface EvaluationTask {
  readonly image: PolicyImage;
  readonly entrypoint: string;
  /** JSON, as UTF-8 */
  readonly input: Uint8Array;
  /** an attempt that waited for the network, with the answer in its memory */
  readonly from?: Suspended | undefined;
}

export type EvaluationReport = { readonly cost: EvaluationCost } & (
  | { readonly evaluation: Evaluation | Suspended }
  | { readonly failure: { readonly code: FailureCode; readonly detail: string } }
);

/** What each thread is started with. */
export interface ThreadOptions {
  /** linear memory of OPA's own built-in functions */
  readonly maxToolchainMiB: number;
}
