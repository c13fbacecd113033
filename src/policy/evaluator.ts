import type { AnsweredCall } from '../builtins/builtin.ts';
import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import { systemRandom } from '../journal/random.ts';
import type { NetworkCall } from '../outbound/network-call.ts';
import { type ContextDeps, type EvaluationMemory, newBuiltinContext, newMemory } from './builtin-context.ts';
import { type Builtins, NO_BUILTINS } from './builtin-port.ts';
import { createFailureAllowance } from './failure-allowance.ts';
import { Suspension } from './remembered.ts';
import { createUsualCost } from './usual-cost.ts';
import { type InstanceOptions, startWasmInstance, type WasmInstance } from './wasm-instance.ts';

/**
 * What an entrypoint says. `text` is the value as JSON with numbers as the policy wrote them, which `value` has lost:
 * `403.0` and `4e2` are not integers for whoever asks for one (number-text.ts).
 */
export type Evaluation =
  | { readonly defined: false }
  | { readonly defined: true; readonly value: Json; readonly text: string };

/** It waits for the network, and is begun again with the answer in its memory. */
export interface Suspended {
  readonly call: NetworkCall;
  readonly memory: EvaluationMemory;
  /** until here, all attempts together */
  readonly units: number;
}

/**
 * What became of an evaluation; `cut_short`: at the smaller budget that there is while failing ones have taken too much
 * time; `refused`: it was not begun.
 */
export type EvaluationOutcome = 'answered' | 'failed' | 'over_budget' | 'cut_short' | 'refused' | 'suspended';

export interface EvaluationCost {
  readonly outcome: EvaluationOutcome;
  /** the same for the same module and input on every machine (metering.ts); of all attempts together */
  readonly units: number;
  /** what built-ins have answered that may say something else each time */
  readonly answered?: ReadonlyMap<string, AnsweredCall>;
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
  /**
   * As `evaluate`, but what waits for the network is no failure.
   *
   * @param from  an attempt that has been suspended, with the answer in its memory
   */
  attempt(entrypoint: string, input: Uint8Array, from?: Suspended): Evaluation | Suspended;
  /** of the last call of `evaluate` or `attempt` */
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
const OF_THE_SYSTEM: ContextDeps = { clock: systemClock, random: systemRandom };
const RETRY_SECONDS = 1;

/**
 * @param module  metered
 * @throws Failure policy_not_loaded  when the module cannot be started
 */
export function createEvaluator(module: WebAssembly.Module, options: EvaluatorOptions): Evaluator {
  const { maxUnits, now = () => performance.now(), given = OF_THE_SYSTEM } = options;
  /** of the evaluation in progress, once it has called a built-in */
  let memory: EvaluationMemory | undefined;
  const instance = start(module, options, (charge) => {
    memory ??= newMemory(given);
    return newBuiltinContext(memory, given, charge);
  });
  const allowance = createFailureAllowance(now());
  const usual = createUsualCost();
  let cost = NOT_BEGUN;

  /** @param budget  of all attempts together */
  const costOf = (outcome: EvaluationOutcome, budget: number): EvaluationCost => {
    const units = budget - Math.max(instance.unitsLeft(), 0);
    return { outcome, units, ...(memory && { answered: memory.answered }) };
  };

  const fail = (thrown: unknown, budget: number, startedMs: number): Failure => {
    const isOverBudget = instance.unitsLeft() < 0;
    const isCutShort = isOverBudget && budget < maxUnits;
    cost = costOf(isCutShort ? 'cut_short' : isOverBudget ? 'over_budget' : 'failed', budget);
    instance.restore();
    allowance.spend(startedMs, now());
    if (isCutShort) return tooManyFailures(thrown);
    const detail = isOverBudget ? `The evaluation needs more than ${maxUnits} units` : undefined;
    return Failure.from(thrown, 'policy_failed', detail);
  };

  const suspend = ({ call }: Suspension, budget: number): Suspended => {
    cost = costOf('suspended', budget);
    instance.restore();
    return { call, memory: memory ?? newMemory(given), units: cost.units };
  };

  const attempt = (entrypoint: string, input: Uint8Array, from?: Suspended): Evaluation | Suspended => {
    cost = NOT_BEGUN;
    memory = from?.memory;
    const id = idOf(instance, entrypoint);
    const startedMs = now();
    const budget = allowance.isUsedUp(startedMs) ? Math.min(maxUnits, usual.budget()) : maxUnits;
    try {
      const evaluation = toEvaluation(instance.evaluate(id, input, budget - (from?.units ?? 0)));
      cost = costOf('answered', budget);
      usual.answered(cost.units);
      return evaluation;
    } catch (thrown) {
      if (thrown instanceof Suspension) return suspend(thrown, budget);
      throw fail(thrown, budget, startedMs);
    }
  };

  return {
    entrypoints: [...instance.entrypoints.keys()],
    abi: instance.abi,
    builtins: instance.builtins,
    evaluate(entrypoint, input) {
      const outcome = attempt(entrypoint, input);
      if (!isSuspended(outcome)) return outcome;
      cost = { ...cost, outcome: 'failed' };
      throw new Failure('policy_failed', `${outcome.call.name} cannot be asked here`);
    },
    attempt,
    lastCost: () => cost,
  };
}

export function isSuspended(outcome: Evaluation | Suspended): outcome is Suspended {
  return 'call' in outcome;
}

function start(
  module: WebAssembly.Module,
  { data, maxMemoryMiB, builtins = NO_BUILTINS }: EvaluatorOptions,
  newContext: InstanceOptions['newContext'],
): WasmInstance {
  try {
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
  return { defined: true, value: parseJson(text) as Json, text };
}
