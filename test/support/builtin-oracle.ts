/** Calls of built-in functions, answered by TypeScript and by OPA's own evaluator. */
import { type Arbitrary, sample } from 'fast-check';
import { expect } from 'vitest';
import type { BuiltinContext } from '../../src/builtins/builtin.ts';
import { callBuiltin } from '../../src/builtins/call.ts';
import { isJson, jsonToValue } from '../../src/builtins/json-read.ts';
import { jsonText } from '../../src/builtins/json-text.ts';
import { parseText } from '../../src/builtins/parse-text.ts';
import { RegoSet } from '../../src/builtins/value.ts';
import { Failure } from '../../src/core/failure.ts';
import type { Toolchain } from '../../src/rego/toolchain.ts';

/** Another one may be given, to look for what this one does not show. */
const SEED = Number(process.env['BUILTINS_SEED'] ?? 20_261_129);
process.stdout.write(`built-ins are called with seed ${SEED}\n`);

export function generated<T>(what: Arbitrary<T>, count = 200): readonly T[] {
  return sample(what, { seed: SEED, numRuns: count });
}

export interface Call {
  readonly name: string;
  /** Rego text */
  readonly args: readonly string[];
}

export function aCall(name: string, ...args: readonly unknown[]): Call {
  return { name, args: args.map((each) => JSON.stringify(each)) };
}

export function aContext(overrides: Partial<BuiltinContext> = {}): BuiltinContext {
  return {
    nowNs: 1_700_000_000_123_456_789n,
    randomBytes: (count) => new Uint8Array(count).fill(7),
    said: new Map(),
    answered: new Map(),
    sent: new Map(),
    charge: () => {},
    ...overrides,
  };
}

/** Rather no answer than another one than OPA's: seldom, and tested by name. */
const REFUSED = Symbol('refused');

/** Both in one form: whether it is a set, and the value as JSON with the text of its numbers. */
function ours({ name, args }: Call, context: BuiltinContext): string | typeof REFUSED | undefined {
  let text: string | undefined;
  try {
    text = callBuiltin(name, args, context);
  } catch (thrown) {
    if (thrown instanceof Failure && thrown.code === 'policy_failed') return REFUSED;
    throw thrown;
  }
  if (text === undefined) return undefined;
  const value = isJson(text) ? jsonToValue(text) : parseText(text);
  return jsonText([value instanceof RegoSet, value]);
}

/**
 * Asks OPA all calls in one evaluation each, of one compilation.
 *
 * @returns per name how many calls were made and how many of them are defined
 */
export async function compareWithOpa(
  toolchain: Toolchain,
  calls: readonly Call[],
  context = aContext(),
): Promise<ReadonlyMap<string, readonly [made: number, defined: number]>> {
  const forms = new Map<string, number>();
  const rules: string[] = [];
  const inputs = calls.map(({ name, args }) => {
    const isPlain = args.every(isJson);
    const call = `${name}(${args.map((each, at) => (isPlain ? `input.a[${at}]` : `untyped(${each})`)).join(', ')})`;
    const form = forms.get(call) ?? forms.size;
    if (form === forms.size) {
      forms.set(call, form);
      rules.push(`answer := [is_set(x), x] if { input.f == ${form}; x := ${call} }`);
    }
    return `{"f": ${form}, "a": [${isPlain ? args.join(',') : ''}]}`;
  });
  const modules = { 't.rego': ['package t', 'untyped(x) := x', ...rules].join('\n') };
  const entrypoint = 't/answer';
  const theirs = await toolchain.evaluate({ modules, data: {}, builtins: [], entrypoint, inputs });
  const counts = new Map<string, [number, number]>();
  let refused = 0;
  const differences = calls.flatMap((call, at) => {
    const { text, error } = theirs[at] ?? {};
    const expected = error?.message ?? (text === undefined ? undefined : jsonText(jsonToValue(text)));
    const [made, defined] = counts.get(call.name) ?? [0, 0];
    counts.set(call.name, [made + 1, defined + (expected === undefined ? 0 : 1)]);
    const actual = ours(call, context);
    if (actual === REFUSED) refused += 1;
    return actual === expected || actual === REFUSED ? [] : [{ call, actual, expected }];
  });
  expect(differences.slice(0, 20)).toEqual([]);
  expect(refused).toBeLessThanOrEqual(calls.length / 20);
  return counts;
}

/** Nothing is shown by calls that are undefined in both. */
export function expectMostDefined(counts: Awaited<ReturnType<typeof compareWithOpa>>): void {
  expect([...counts].filter(([, [made, defined]]) => defined * 2 < made)).toEqual([]);
}
