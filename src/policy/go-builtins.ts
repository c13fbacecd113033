import type { CallBuiltin } from '../builtins/builtin.ts';
import { parseJson } from '../core/parse-json.ts';
import { type Instance, startInstance } from '../rego/instance.ts';
import type { Answer, BuiltinResult } from '../rego/messages.ts';

/**
 * What a call costs, besides what is read and written: some 150 µs, most of it the way into Go and back. Its work inside
 * is bounded by the deadline only.
 */
const UNITS_PER_CALL = 200_000;
const UNITS_PER_CHARACTER = 40;

/**
 * Built-in functions as OPA implements them: in the toolchain's module, in this thread.
 *
 * The module is started with the first call, and anew after a call that it did not survive.
 */
export function createGoBuiltins(maxMemoryMiB: number): CallBuiltin {
  let instance: Instance | undefined;
  return (name, args, { nowNs, charge }) => {
    charge(UNITS_PER_CALL + UNITS_PER_CHARACTER * args.reduce((sum, { length }) => sum + length, 0));
    instance ??= startInstance(new URL('../rego/toolchain.wasm.br', import.meta.url), maxMemoryMiB);
    const request = JSON.stringify({ do: 'builtin', name, args, nowNs: String(nowNs) });
    let answer: Answer;
    try {
      answer = parseJson(instance.call(request)) as Answer;
    } catch (thrown) {
      instance = undefined;
      throw thrown;
    }
    if (answer.error !== undefined) throw new Error(`${name} was not answered: ${answer.error}`);
    const { text, halt } = answer.result as BuiltinResult;
    if (halt !== undefined) throw new Error(`${name} ended the evaluation: ${halt.message}`);
    if (text !== undefined) charge(UNITS_PER_CHARACTER * text.length);
    return text;
  };
}
