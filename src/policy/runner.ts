/** Who evaluates a policy: this thread, or one that can be ended. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { KNOWN_BUILTINS, needsThread } from './all-builtins.ts';
import type { EvaluationPool } from './evaluation-pool.ts';
import type { PolicyImage } from './evaluation-task.ts';
import { createEvaluator, type Evaluation, type EvaluationCost, type Evaluator } from './evaluator.ts';
import { createFailureAllowance } from './failure-allowance.ts';
import type { PolicyOptions } from './options.ts';

export interface Runner {
  readonly entrypoints: readonly string[];
  /** whether a thread evaluates, since only OPA itself implements a built-in function that the policy calls */
  readonly inThread: boolean;
  /**
   * At once, or a promise where a thread evaluates.
   *
   * @param input  JSON, as UTF-8
   * @param deadlineMs  milliseconds since the epoch; for a thread
   * @param observe  is told what it has cost; undefined: it is to warm the policy, and counts for nothing
   * @throws Failure policy_failed, overloaded; from a thread deadline_exceeded and policy_not_loaded, too
   */
  run(
    entrypoint: string,
    input: Uint8Array,
    deadlineMs: number,
    observe: ((cost: EvaluationCost) => void) | undefined,
  ): Evaluation | Promise<Evaluation>;
}

export interface RunnerDeps {
  readonly options: PolicyOptions;
  readonly pool: EvaluationPool;
  readonly clock: Clock;
}

const NOT_BEGUN: EvaluationCost = Object.freeze({ outcome: 'refused', units: 0 });
/** A few deadlines: no other Check waits behind these evaluations but those of the policies in threads. */
const THREAD_BURST_MS = 10_000;
let images = 0;

/**
 * @param module  metered
 * @param data  the static data, a JSON object as UTF-8
 * @throws Failure policy_not_loaded  when the module cannot be started
 */
export function createRunner(module: WebAssembly.Module, data: Uint8Array, deps: RunnerDeps): Runner {
  const evaluator = createEvaluator(module, { ...deps.options, data, builtins: KNOWN_BUILTINS });
  const { entrypoints } = evaluator;
  if (!needsThread(evaluator.builtins)) return { entrypoints, inThread: false, run: runHere(evaluator) };
  const { maxMemoryMiB, maxUnits } = deps.options;
  images += 1;
  const image = { id: images, module, data: shared(data), maxMemoryMiB, maxUnits };
  return { entrypoints, inThread: true, run: runInThread(image, deps) };
}

function runHere(evaluator: Evaluator): Runner['run'] {
  return (entrypoint, input, _deadlineMs, observe) => {
    try {
      return evaluator.evaluate(entrypoint, input);
    } finally {
      observe?.(evaluator.lastCost());
    }
  };
}

/** Evaluations that no thread finished in time count as the failed ones of a thread do: for some time there are no more. */
function runInThread(image: PolicyImage, { pool, clock }: RunnerDeps): Runner['run'] {
  const allowance = createFailureAllowance(clock.nowMs(), THREAD_BURST_MS);
  return async (entrypoint, input, deadlineMs, observe) => {
    const startedMs = clock.nowMs();
    let cost = NOT_BEGUN;
    try {
      if (allowance.isUsedUp(startedMs)) {
        throw new Failure('overloaded', 'Evaluations of this policy have ended at their deadline too often');
      }
      const report = await pool.evaluate({ image, entrypoint, input }, deadlineMs);
      cost = report.cost;
      if ('evaluation' in report) return report.evaluation;
      throw new Failure(report.failure.code, report.failure.detail);
    } catch (thrown) {
      const failure = Failure.from(thrown, 'policy_failed');
      if (failure.code === 'deadline_exceeded' && observe !== undefined)
        allowance.spend(startedMs, clock.nowMs());
      throw failure;
    } finally {
      observe?.(cost);
    }
  };
}

function shared(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
