/**
 * Each test once more on the compiled module, by the evaluator that production runs.
 *
 * Both evaluators are asked the same: the value of the test's rule where the input is `{}`, for a compiled module has
 * no undefined input. Values are compared and not verdicts, since a table test gives its passing cases only.
 */

import type { TestCase } from '../rego/messages.ts';
import type { CompiledTest, CompiledTests } from '../rego/test-messages.ts';
import { ask, differenceOf, startCompiled } from './compiled-module.ts';

/** `opa-only`: the test cannot be compiled so that it means the same, for example as it replaces a function. */
export type Comparison =
  | { readonly outcome: 'same'; readonly units: number }
  | { readonly outcome: 'different'; readonly units: number; readonly difference: string }
  | { readonly outcome: 'opa-only'; readonly reason: string };

/** A test with its comparison; without one when it is skipped. */
export interface ComparedTest {
  readonly test: TestCase;
  readonly comparison?: Comparison;
}

/** @throws Failure policy_not_loaded */
export function compareTests(
  tests: readonly TestCase[],
  { wasm, tests: compiled }: CompiledTests,
  data: object,
): readonly ComparedTest[] {
  const byPlace = new Map(compiled.map((each) => [placeOf(each), each]));
  const evaluator = wasm === undefined ? undefined : startCompiled(Uint8Array.fromBase64(wasm), { data });
  const compare = ({ reason, entrypoint, expected }: CompiledTest): Comparison => {
    if (reason !== undefined || evaluator === undefined) return { outcome: 'opa-only', reason: reason ?? '' };
    const answer = ask(evaluator, entrypoint, '{}');
    const difference = differenceOf(expected, answer);
    const { units } = answer;
    return difference === undefined
      ? { outcome: 'same', units }
      : { outcome: 'different', units, difference };
  };
  return tests.map((test) => {
    const its = byPlace.get(placeOf(test));
    return { test, ...(its !== undefined && { comparison: compare(its) }) };
  });
}

function placeOf({ file, row, col }: { file: string; row: number; col: number }): string {
  return `${file}:${row}:${col}`;
}
