import { Failure } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import { startWasmInstance, type WasmInstance } from './wasm-instance.ts';

/**
 * What an entrypoint says. `text` is the value as JSON with numbers as the policy wrote them, which `value` has lost:
 * `403.0` and `4e2` are not integers for whoever asks for one (number-text.ts).
 */
export type Evaluation =
  | { readonly defined: false }
  | { readonly defined: true; readonly value: Json; readonly text: string };

/** Evaluates one compiled policy, in this thread. */
export interface Evaluator {
  readonly entrypoints: readonly string[];
  /** of OPA's WASM interface, for example `1.3` */
  readonly abi: string;
  /**
   * @param entrypoint  for example `envoy/authz/allow`
   * @param input  JSON, as UTF-8
   * @throws Failure policy_failed  whatever the policy did wrong: no such entrypoint, conflicting rules, memory
   *         exhausted, an input that it cannot take. The instance is replaced, so the next evaluation is not affected.
   */
  evaluate(entrypoint: string, input: Uint8Array): Evaluation;
}

export interface EvaluatorOptions {
  /** static data, a JSON object as UTF-8 */
  readonly data: Uint8Array;
  readonly maxMemoryMiB: number;
}

const DEFINED = '[{"result":';
const END = '}]';
const UNDEFINED: Evaluation = Object.freeze({ defined: false });

/** @throws Failure policy_not_loaded  when the module cannot be started */
export function createEvaluator(module: WebAssembly.Module, options: EvaluatorOptions): Evaluator {
  const start = (): WasmInstance => {
    try {
      return startWasmInstance(module, options.data, options.maxMemoryMiB);
    } catch (thrown) {
      throw Failure.from(thrown, 'policy_not_loaded', 'The compiled policy cannot be started');
    }
  };
  const first = start();
  let instance: WasmInstance | undefined = first;

  return {
    entrypoints: [...first.entrypoints.keys()],
    abi: first.abi,
    evaluate(entrypoint, input) {
      const id = first.entrypoints.get(entrypoint);
      if (id === undefined) throw new Failure('policy_failed', `The policy has no entrypoint ${entrypoint}`);
      instance ??= start();
      const running = instance;
      instance = undefined;
      const evaluation = evaluateWith(running, id, input);
      instance = running;
      return evaluation;
    },
  };
}

function evaluateWith(instance: WasmInstance, entrypoint: number, input: Uint8Array): Evaluation {
  try {
    return toEvaluation(instance.evaluate(entrypoint, input));
  } catch (thrown) {
    throw Failure.from(thrown, 'policy_failed');
  }
}

function toEvaluation(resultSet: string): Evaluation {
  if (resultSet === '[]') return UNDEFINED;
  if (!resultSet.startsWith(DEFINED) || !resultSet.endsWith(END)) {
    throw new Error('the result set has an unexpected form');
  }
  const text = resultSet.slice(DEFINED.length, -END.length);
  return { defined: true, value: JSON.parse(text) as Json, text };
}
