/** What the toolchain compiled, run as production runs it: metered, by our evaluator, within the default budget. */
import { Failure } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import { createOfflineBuiltins } from '../policy/all-builtins.ts';
import { createEvaluator, type Evaluator } from '../policy/evaluator.ts';
import { meterModule } from '../policy/metering.ts';
import { DEFAULT_MAX_UNITS } from '../policy/options.ts';
import type { Expected } from '../rego/test-messages.ts';
import { isSame, toPlain } from './tagged-value.ts';

export interface CompiledOptions {
  /** below `data` */
  readonly data: object;
  readonly maxUnits?: number;
  readonly maxMemoryMiB?: number;
}

const MEMORY_MIB = 256;

/** @throws Failure policy_not_loaded */
export function startCompiled(
  wasm: Uint8Array,
  { data, maxUnits = DEFAULT_MAX_UNITS, maxMemoryMiB = MEMORY_MIB }: CompiledOptions,
): Evaluator {
  return createEvaluator(new WebAssembly.Module(meterModule(wasm)), {
    data: Buffer.from(JSON.stringify(data)),
    maxMemoryMiB,
    maxUnits,
    builtins: createOfflineBuiltins({ maxToolchainMiB: MEMORY_MIB }),
    // a clock that stands still: evaluations that fail never use up the time that failures may take
    now: () => 0,
  });
}

/** What a module answered: a value, nothing, or why not. */
export type CompiledAnswer = {
  readonly units: number;
} & ({ readonly value?: Json } | { readonly failure: Failure; readonly overBudget: boolean });

export function ask(evaluator: Evaluator, entrypoint: string, input: string): CompiledAnswer {
  try {
    const evaluation = evaluator.evaluate(entrypoint, Buffer.from(input));
    const { units } = evaluator.lastCost();
    return evaluation.defined ? { units, value: evaluation.value } : { units };
  } catch (thrown) {
    const { outcome, units } = evaluator.lastCost();
    return { units, failure: Failure.from(thrown), overBudget: outcome === 'over_budget' };
  }
}

/** @returns how the two differ; undefined when they do not: an evaluation that failed on both is no difference */
export function differenceOf(expected: Expected, answer: CompiledAnswer): string | undefined {
  const theirs =
    expected.error === undefined ? textOf(toPlain(expected.value)) : `"${expected.error.message}"`;
  if ('failure' in answer) {
    if (expected.error !== undefined && !answer.overBudget) return undefined;
    return `OPA says ${theirs}, and the compiled module fails: ${answer.failure.detail}`;
  }
  if (expected.error === undefined && isSame(expected.value, answer.value)) return undefined;
  return `OPA says ${theirs}, and the compiled module ${textOf(answer.value)}`;
}

function textOf(value: Json | undefined): string {
  return value === undefined ? 'undefined' : JSON.stringify(value);
}
