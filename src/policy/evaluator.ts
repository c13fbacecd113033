import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import { systemRandom } from '../journal/random.ts';
import { type ContextDeps, newBuiltinContext } from './builtin-context.ts';
import { type Builtins, NO_BUILTINS } from './builtin-port.ts';
import { createFailureAllowance } from './failure-allowance.ts';
import { createUsualCost } from './usual-cost.ts';
import { startWasmInstance, type WasmInstance } from './wasm-instance.ts';

/**
 * What an entrypoint says. `text` is the value as JSON with numbers as the policy wrote them, which `value` has lost:
 * `403.0` and `4e2` are not integers for whoever asks for one (number-text.ts).
 */
export type Evaluation =
  | { readonly defined: false }
  | { readonly defined: true; readonly value: Json; readonly text: string };

/**
 * What became of an evaluation; `cut_short`: at the smaller budget that there is while failing ones have taken too much
 * time; `refused`: it was not begun.
 */
export type EvaluationOutcome = 'answered' | 'failed' | 'over_budget' | 'cut_short' | 'refused';

export interface EvaluationCost {
  readonly outcome: EvaluationOutcome;
  /** the same for the same module and input on every machine (metering.ts) */
  readonly units: number;
}

/** Evaluates one compiled policy, in this thread. */
export interface Evaluator {
  readonly entrypoints: readonly string[];
  /** of OPA's WASM interface, for example `1.3` */
  readonly abi: string;
  /** names of the built-in functions that the module calls and does not bring */
  readonly builtins: readonly string[];
  /**
   * @param entrypoint  for example `envoy/authz/allow`
   * @param input  JSON, as UTF-8
   * @throws Failure policy_failed  whatever the policy did wrong: no such entrypoint, conflicting rules, the budget or
   *         the memory used up, an input that it cannot take. The next evaluation is not affected.
   * @throws Failure overloaded  evaluations that failed have taken too much of the thread's time lately, and this one needs
   *         far more than those that were answered
   */
  evaluate(entrypoint: string, input: Uint8Array): Evaluation;
  /** of the last call of `evaluate` */
  lastCost(): EvaluationCost;
}

export interface EvaluatorOptions {
  /** static data, a JSON object as UTF-8 */
  readonly data: Uint8Array;
  readonly maxMemoryMiB: number;
  /** that an evaluation may cost: reading the input and writing the result are part of it */
  readonly maxUnits: number;
  /** who answers the built-in functions that the module does not bring; default: nobody */
  readonly builtins?: Builtins;
  /** what they answer from; default: those of the system */
  readonly given?: ContextDeps;
  /** milliseconds, from any beginning; default: the time of this process */
  readonly now?: () => number;
}

const DEFINED = '[{"result":';
const END = '}]';
const UNDEFINED: Evaluation = Object.freeze({ defined: false });
const TRUE: Evaluation = Object.freeze({ defined: true, value: true, text: 'true' });
const FALSE: Evaluation = Object.freeze({ defined: true, value: false, text: 'false' });
const NOT_BEGUN: EvaluationCost = Object.freeze({ outcome: 'refused', units: 0 });
const RETRY_SECONDS = 1;

/**
 * @param module  metered
 * @throws Failure policy_not_loaded  when the module cannot be started
 */
export function createEvaluator(module: WebAssembly.Module, options: EvaluatorOptions): Evaluator {
  const { maxUnits, now = () => performance.now() } = options;
  const instance = start(module, options);
  const allowance = createFailureAllowance(now());
  const usual = createUsualCost();
  let cost = NOT_BEGUN;

  const fail = (thrown: unknown, budget: number, startedMs: number): Failure => {
    const unitsLeft = instance.unitsLeft();
    const isOverBudget = unitsLeft < 0;
    const isCutShort = isOverBudget && budget < maxUnits;
    const outcome = isCutShort ? 'cut_short' : isOverBudget ? 'over_budget' : 'failed';
    cost = { outcome, units: budget - Math.max(unitsLeft, 0) };
    instance.restore();
    allowance.spend(startedMs, now());
    if (isCutShort) return tooManyFailures(thrown);
    const detail = isOverBudget ? `The evaluation needs more than ${maxUnits} units` : undefined;
    return Failure.from(thrown, 'policy_failed', detail);
  };

  return {
    entrypoints: [...instance.entrypoints.keys()],
    abi: instance.abi,
    builtins: instance.builtins,
    evaluate(entrypoint, input) {
      cost = NOT_BEGUN;
      const id = idOf(instance, entrypoint);
      const startedMs = now();
      const budget = allowance.isUsedUp(startedMs) ? Math.min(maxUnits, usual.budget()) : maxUnits;
      try {
        const evaluation = toEvaluation(instance.evaluate(id, input, budget));
        cost = { outcome: 'answered', units: budget - instance.unitsLeft() };
        usual.answered(cost.units);
        return evaluation;
      } catch (thrown) {
        throw fail(thrown, budget, startedMs);
      }
    },
    lastCost: () => cost,
  };
}

const OF_THE_SYSTEM: ContextDeps = { clock: systemClock, random: systemRandom };

function start(
  module: WebAssembly.Module,
  { data, maxMemoryMiB, builtins = NO_BUILTINS, given = OF_THE_SYSTEM }: EvaluatorOptions,
): WasmInstance {
  try {
    const newContext = (charge: (units: number) => void) => newBuiltinContext(given, charge);
    return startWasmInstance(module, { data, maxMemoryMiB, builtins, newContext });
  } catch (thrown) {
    throw Failure.from(thrown, 'policy_not_loaded', 'The compiled policy cannot be started');
  }
}

function tooManyFailures(cause: unknown): Failure {
  return new Failure(
    'overloaded',
    'Evaluations of this policy that failed have taken too much time, and this one needs far more than usual',
    { retryAfterSeconds: RETRY_SECONDS, cause },
  );
}

function idOf({ entrypoints }: WasmInstance, entrypoint: string): number {
  const id = entrypoints.get(entrypoint);
  if (id === undefined) throw new Failure('policy_failed', `The policy has no entrypoint ${entrypoint}`);
  return id;
}

function toEvaluation(resultSet: string): Evaluation {
  if (resultSet === '[{"result":true}]') return TRUE;
  if (resultSet === '[{"result":false}]') return FALSE;
  if (resultSet === '[]') return UNDEFINED;
  if (!resultSet.startsWith(DEFINED) || !resultSet.endsWith(END)) {
    throw new Error('the result set has an unexpected form');
  }
  const text = resultSet.slice(DEFINED.length, -END.length);
  return { defined: true, value: JSON.parse(text) as Json, text };
}
