/** Who evaluates a policy: this thread, or one that can be ended. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { knownBuiltins, needsThread } from './all-builtins.ts';
import type { EvaluationPool } from './evaluation-pool.ts';
import type { PolicyImage } from './evaluation-task.ts';
import {
  createEvaluator,
  type Evaluation,
  type EvaluationCost,
  type Evaluator,
  isSuspended,
  type Suspended,
} from './evaluator.ts';
import { createFailureAllowance } from './failure-allowance.ts';
import type { PolicyOptions } from './options.ts';
import { type Network, type ReplayDeps, replayed } from './replay.ts';

export interface Runner {
  readonly entrypoints: readonly string[];
  /** whether a thread evaluates, since only OPA itself implements a built-in function that the policy calls */
  readonly inThread: boolean;
  /**
   * At once, or a promise where a thread evaluates or the network is asked.
   *
   * @param input  JSON, as UTF-8
   * @param deadlineMs  milliseconds since the epoch; for a thread and the network
   * @param observe  is told what it has cost; undefined: it is to warm the policy, asks nobody and counts for nothing
   * @throws Failure policy_failed, overloaded; from a thread or the network deadline_exceeded; from a thread
   *         policy_not_loaded
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
  /** undefined: the network is not for policies */
  readonly network?: Network | undefined;
  readonly clock: Clock;
}

const NOT_BEGUN: EvaluationCost = Object.freeze({ outcome: 'refused', units: 0 });
const UNDEFINED: Evaluation = Object.freeze({ defined: false });
/** A few deadlines: no other Check waits behind these evaluations but those of the policies in threads. */
const THREAD_BURST_MS = 10_000;
let images = 0;

/**
 * @param module  metered
 * @param data  the static data, a JSON object as UTF-8
 * @throws Failure policy_not_loaded  when the module cannot be started
 */
export function createRunner(module: WebAssembly.Module, data: Uint8Array, deps: RunnerDeps): Runner {
  const { network, clock, options } = deps;
  const evaluator = createEvaluator(module, { ...options, data, builtins: knownBuiltins(network?.peek) });
  const { entrypoints } = evaluator;
  const replay = { network, clock, maxRequests: options.httpSend?.maxRequests ?? 0 };
  if (!needsThread(evaluator.builtins))
    return { entrypoints, inThread: false, run: runHere(evaluator, replay) };
  const { maxMemoryMiB, maxUnits } = options;
  images += 1;
  const image = { id: images, module, data: shared(data), maxMemoryMiB, maxUnits };
  return { entrypoints, inThread: true, run: runInThread(image, deps, replay) };
}

type Replay = Omit<ReplayDeps, 'network'> & { readonly network: Network | undefined };

function runHere(evaluator: Evaluator, replay: Replay): Runner['run'] {
  return (entrypoint, input, deadlineMs, observe) => {
    let cost = NOT_BEGUN;
    const attempt = (from?: Suspended): Evaluation | Suspended => {
      try {
        return evaluator.attempt(entrypoint, input, from);
      } finally {
        cost = evaluator.lastCost();
      }
    };
    const tell = (): void => observe?.(cost);
    let outcome: Evaluation | Suspended;
    try {
      outcome = attempt();
    } catch (thrown) {
      tell();
      throw thrown;
    }
    if (isSuspended(outcome) && observe !== undefined)
      return ended(outcome, attempt, deadlineMs, replay).finally(tell);
    tell();
    return isSuspended(outcome) ? UNDEFINED : outcome;
  };
}

/** Nobody is asked to warm a policy. */
async function ended(
  first: Suspended,
  again: (from: Suspended) => Evaluation | Suspended | Promise<Evaluation | Suspended>,
  deadlineMs: number,
  { network, ...replay }: Replay,
): Promise<Evaluation> {
  if (network === undefined) throw new Failure('policy_failed', `${first.call.name} cannot be asked here`);
  return replayed(first, again, deadlineMs, { network, ...replay });
}

/** Evaluations that no thread finished in time count as the failed ones of a thread do: for some time there are no more. */
function runInThread(image: PolicyImage, { pool, clock }: RunnerDeps, replay: Replay): Runner['run'] {
  const allowance = createFailureAllowance(clock.nowMs(), THREAD_BURST_MS);
  return async (entrypoint, input, deadlineMs, observe) => {
    let cost = NOT_BEGUN;
    const attempt = async (from?: Suspended): Promise<Evaluation | Suspended> => {
      const startedMs = clock.nowMs();
      try {
        if (allowance.isUsedUp(startedMs)) {
          throw new Failure(
            'overloaded',
            'Evaluations of this policy have ended at their deadline too often',
          );
        }
        const report = await pool.evaluate({ image, entrypoint, input, from }, deadlineMs);
        cost = report.cost;
        if ('evaluation' in report) return report.evaluation;
        throw new Failure(report.failure.code, report.failure.detail);
      } catch (thrown) {
        const failure = Failure.from(thrown, 'policy_failed');
        if (failure.code === 'deadline_exceeded' && observe !== undefined)
          allowance.spend(startedMs, clock.nowMs());
        throw failure;
      }
    };
    try {
      const outcome = await attempt();
      if (!isSuspended(outcome)) return outcome;
      return observe === undefined ? UNDEFINED : await ended(outcome, attempt, deadlineMs, replay);
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
