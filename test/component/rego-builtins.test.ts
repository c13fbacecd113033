/** The module against OPA's own evaluator: whatever a policy may call must answer the same in both. */
import { fileURLToPath } from 'node:url';
import {
  assert,
  asyncProperty,
  constantFrom,
  dictionary,
  jsonValue,
  array as many,
  option,
  record,
  string,
} from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { toCanonicalJson } from '../../src/core/canonical-json.ts';
import { isJsonObject, type Json } from '../../src/core/json.ts';
import { knownBuiltins } from '../../src/policy/all-builtins.ts';
import { ALL_BUILTINS, HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { readPolicyFolder } from '../../src/policy/folder.ts';
import type { Evaluated } from '../../src/rego/messages.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { anEvaluator, meteredModule } from '../support/metered-evaluator.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

/** Members of sets and objects have no order: arrays are compared as bags. */
function unordered(value: Json): Json {
  if (Array.isArray(value)) return value.map((each: Json) => toCanonicalJson(unordered(each))).sort();
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, unordered(member)]));
}

function outcomeOf({ text, error }: Evaluated): unknown {
  if (error !== undefined) return { failed: true };
  return text === undefined ? { undefined: true } : { value: unordered(JSON.parse(text) as Json) };
}

/** Both answers for each rule of a module, whose rules are named r0, r1 …. */
async function compareRules(rules: readonly string[], inputs: readonly string[]): Promise<void> {
  const lines = rules.map((rule, index) => `r${index} := ${rule}`);
  const wrapped = rules.map((_, index) => `"r${index}": [x | x := r${index}]`);
  const modules = { 't.rego': ['package t', ...lines].join('\n') };
  const source = { builtins: ALL_BUILTINS, data: {} };
  const entrypoints = rules.map((_, index) => `t/r${index}`);
  const { wasm } = await toolchain.compile({ ...source, modules, entrypoints, host: HOST_BUILTINS });
  const evaluator = anEvaluator(meteredModule(wasm), { builtins: knownBuiltins() });
  const oracle = { 't.rego': [modules['t.rego'], `all_of_them := {${wrapped.join(', ')}}`].join('\n') };
  const expected = await toolchain.evaluate({
    ...source,
    modules: oracle,
    entrypoint: 't/all_of_them',
    inputs,
  });
  inputs.forEach((input, at) => {
    const answers = JSON.parse(expected[at]?.text ?? 'null') as Record<string, Json>;
    rules.forEach((rule, index) => {
      const evaluation = evaluator.evaluate(`t/r${index}`, Buffer.from(input));
      const ours = evaluation.defined ? [evaluation.value] : [];
      expect({ rule, input, says: unordered(ours) }).toEqual({
        rule,
        input,
        says: unordered(answers[`r${index}`] ?? null),
      });
    });
  });
}

const STRINGS = [
  '',
  'a',
  'Ab c',
  ' x\t\n',
  'héé',
  '日本語',
  'ß',
  'İ',
  '😀x😀',
  'a.b.c',
  '\u00a0a\u00a0',
  'a\u0000b',
  'ΑΣ',
  '/api//v1/',
  'aaa',
];

const ON_A_STRING = [
  'count(input.s)',
  'lower(input.s)',
  'upper(input.s)',
  'trim_space(input.s)',
  'strings.reverse(input.s)',
  'base64.encode(input.s)',
  'base64url.encode(input.s)',
  'type_name(input.s)',
  'substring(input.s, 1, 2)',
  'substring(input.s, 0, -1)',
  'split(input.s, "")',
  'split(input.s, "/")',
  'split(input.s, ".")',
  'trim(input.s, "a ")',
  'trim_left(input.s, "a")',
  'trim_right(input.s, "c")',
  'trim_prefix(input.s, "/")',
  'trim_suffix(input.s, "/")',
  'contains(input.s, "b")',
  'contains(input.s, "")',
  'startswith(input.s, "/api")',
  'endswith(input.s, "語")',
  'concat("/", [input.s, "x"])',
  'concat(input.s, ["1", "2"])',
  'input.s in ["a", "aaa"]',
  'input.s == "a"',
  'input.s < "b"',
  'sort([input.s, "b", ""])',
  'regex.match("^[a-z]+$", input.s)',
  'regex.match(`^/api/.*`, input.s)',
  'regex.match("^$", input.s)',
  'regex.match(`\\p{L}`, input.s)',
  'regex.is_valid("[")',
  'regex.find_all_string_submatch_n("(a)(b)?", input.s, -1)',
  'object.get({"a": 1}, input.s, 2)',
  '{input.s: 1}',
];

const WITHOUT_INPUT = [
  '0.1 + 0.2',
  '1 - 3',
  '2 * 3.5',
  '7 % 3',
  '-7 % 3',
  '7 % 0',
  '1 == 1.0',
  '10 < 9',
  'abs(-1.5)',
  'ceil(1.2)',
  'floor(-1.2)',
  'round(2.5)',
  'round(-2.5)',
  '100000000000000000000 + 1',
  '9007199254740993 + 2',
  'numbers.range(3, 1)',
  'numbers.range(1.5, 3)',
  'sum([1, 2.5, -1])',
  'sum(set())',
  'product([2, 3])',
  'max([1, 3, 2])',
  'max([])',
  'min({"b", "a"})',
  'sort([3, "a", null, true, [1], {"a": 1}, 2])',
  '{1, 2} & {2, 3}',
  '{1, 2} | {3}',
  '{1, 2} - {2}',
  '{1, 2} == {2, 1, 1}',
  'union({{1}, {2}})',
  'intersection({{1, 2}, {2}})',
  'array.concat([1], [2])',
  'array.flatten([1, [2, [3]]])',
  'array.reverse([1, 2])',
  'array.slice([1, 2, 3], -1, 2)',
  'array.slice([1, 2, 3], 2, 9)',
  'object.filter({"a": 1, "b": 2}, ["a"])',
  'object.get({"a": {"b": 1}}, ["a", "b"], 0)',
  'object.get({"a": [5]}, ["a", 0], 0)',
  'object.keys({"a": 1})',
  'object.remove({"a": 1, "b": 2}, {"a"})',
  'object.union({"a": {"b": 1}}, {"a": {"c": 2}})',
  'object.union_n([{"a": 1}, {"a": 2}])',
  '[p | walk({"a": [1, {"b": 2}]}, [p, _])]',
  'graph.reachable({"a": {"b"}, "b": {"c"}, "c": set()}, {"a"})',
  'count({"a": 1})',
  'count({1, 1})',
  '1 in {1, 2}',
  '"a", 1 in {"a": 1}',
  'is_array([])',
  'is_boolean(0)',
  'is_null(null)',
  'is_number("1")',
  'is_object({})',
  'is_set(set())',
  'is_string("")',
  'type_name({1})',
  '{x: count(v) | some x, v in {"a": [1], "b": []}}',
  '[x | x := [1, 2, 3][_]; x > 1]',
  '{"b": 1, "a": {"d": 2, "c": null}}',
  '1e3',
  '1.50',
];

describe('a compiled policy and OPA itself', () => {
  it('say the same of strings', async () => {
    await compareRules(
      ON_A_STRING,
      STRINGS.map((s) => JSON.stringify({ s })),
    );
  });

  it('say the same of numbers, sets, arrays and objects', async () => {
    await compareRules(WITHOUT_INPUT, ['{}']);
  });

  it('between them call every built-in that a policy may call, if by another name', () => {
    const infix = [
      'eq',
      'equal',
      'assign',
      'neq',
      'lt',
      'lte',
      'gt',
      'gte',
      'plus',
      'minus',
      'mul',
      'rem',
      'and',
      'or',
    ];
    const text = [...ON_A_STRING, ...WITHOUT_INPUT].join('\n');
    const deprecated = ['any', 'all', 'set_diff', 're_match'];
    const compiledAway = ['print', 'rego.metadata.chain', 'rego.metadata.rule'];
    const others = [...infix, ...deprecated, ...compiledAway];
    const missed = NATIVE_BUILTINS.filter((name) => !name.startsWith('internal.') && !others.includes(name));
    expect(missed.filter((name) => !text.includes(`${name}(`))).toEqual([]);
  });

  it('say the same of whatever is asked of the quickstart', async () => {
    const { modules } = readPolicyFolder(
      fileURLToPath(new URL('../../policies/quickstart', import.meta.url)),
    );
    const source = { modules, data: {}, builtins: NATIVE_BUILTINS };
    const { wasm, entrypoints } = await toolchain.compile({ ...source, entrypoints: ['envoy/authz/allow'] });
    const [entrypoint = ''] = entrypoints;
    const evaluator = anEvaluator(meteredModule(wasm));
    const segment = constantFrom('public', 'hello', 'articles', '', 'other', '😀');
    const user = record(
      {
        subject: string(),
        claims: record({ roles: many(constantFrom('editor', 'reader')) }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    const request = record({
      attributes: record({
        request: record({ http: record({ method: constantFrom('GET', 'HEAD', 'POST', 'PUT') }) }),
      }),
      parsed_path: many(segment, { minLength: 1, maxLength: 3 }),
      identity: record({ user: option(user, { nil: null }) }, { requiredKeys: [] }),
      other: dictionary(string(), jsonValue({ noUnicodeString: false })),
    });
    const seen = new Set<unknown>();
    await assert(
      asyncProperty(many(request, { minLength: 40, maxLength: 60 }), async (requests) => {
        const inputs = requests.map((each) => JSON.stringify(each));
        const theirs = await toolchain.evaluate({ ...source, entrypoint, inputs });
        inputs.forEach((input, at) => {
          const evaluation = evaluator.evaluate(entrypoint, Buffer.from(input));
          const ours = evaluation.defined ? { value: unordered(evaluation.value) } : { undefined: true };
          expect(ours).toEqual(outcomeOf(theirs[at] ?? {}));
          if (evaluation.defined)
            seen.add(JSON.stringify((evaluation.value as { allowed: unknown }).allowed));
        });
      }),
      { numRuns: 20, seed: 1, endOnFailure: true },
    );
    expect(seen).toEqual(new Set(['false', 'true']));
  });

  it('reaches every line of the quickstart with its tests', async () => {
    const { modules } = readPolicyFolder(
      fileURLToPath(new URL('../../policies/quickstart', import.meta.url)),
    );
    const report = await toolchain.test({ modules, builtins: NATIVE_BUILTINS, coverage: true });
    expect(report.coverage).toEqual({ percent: 100, notCovered: [] });
    expect(report.tests.map(({ outcome }) => outcome)).toEqual(report.tests.map(() => 'pass'));
  });
});
