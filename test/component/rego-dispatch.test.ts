/** Rules that differ in a constant are found by a search tree: the answers stay OPA's, and the work hardly grows. */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { toCanonicalJson } from '../../src/core/canonical-json.ts';
import type { Json } from '../../src/core/json.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { anEvaluator, meteredModule } from '../support/metered-evaluator.ts';
import { similarRules } from '../support/metered-policies.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());
const SEED = Number(process.env['CHANCERY_TEST_SEED'] ?? Date.now() % 2 ** 31);

async function compile(rego: string) {
  const source = { modules: { 'p.rego': `package p\n\n${rego}\n` }, builtins: NATIVE_BUILTINS };
  const { wasm } = await toolchain.compile({ ...source, entrypoints: ['p/allow'] });
  return { source, evaluator: anEvaluator(meteredModule(wasm)) };
}

/** @returns each answer of OPA and of the compiled module: a value, `undefined`, or `failed` */
async function bothAnswers(rego: string, inputs: readonly Json[]): Promise<readonly (readonly string[])[]> {
  const { source, evaluator } = await compile(rego);
  const texts = inputs.map((input) => JSON.stringify(input));
  const theirs = await toolchain.evaluate({ ...source, entrypoint: 'p/allow', inputs: texts });
  return texts.map((text, at) => {
    const { error, text: value } = theirs[at] ?? {};
    const expected = error !== undefined ? 'failed' : value === undefined ? 'undefined' : sortedText(value);
    let ours: string;
    try {
      const evaluation = evaluator.evaluate('p/allow', Buffer.from(text));
      ours = evaluation.defined ? sortedText(evaluation.text) : 'undefined';
    } catch {
      ours = 'failed';
    }
    return [expected, ours];
  });
}

/** Members of sets come in any order. */
function sortedText(text: string): string {
  const value = JSON.parse(text) as Json;
  return toCanonicalJson(
    Array.isArray(value) ? value.map((each: Json) => toCanonicalJson(each)).toSorted() : value,
  );
}

const PATHS = [
  '',
  '/',
  '/a',
  '/a/b',
  '/b',
  '/é',
  '/z',
  '/\u{1f600}',
  '~',
  'A',
  '/a\u0000b',
  '/b/c',
  '/c',
  '/d',
];
const METHODS = ['GET', 'PUT', 'get'];

interface Rule {
  readonly path: string;
  readonly method: string | undefined;
  readonly value: number;
  readonly form: number;
}

const aRule: fc.Arbitrary<Rule> = fc.record({
  path: fc.constantFrom(...PATHS),
  method: fc.option(fc.constantFrom(...METHODS), { nil: undefined }),
  value: fc.nat(2),
  form: fc.nat(5),
});

/** One comparison in the ways in which people write it. */
function comparison({ path, form }: Rule): string {
  const constant = JSON.stringify(path);
  const forms = [
    `input.path == ${constant}`,
    `${constant} == input.path`,
    `input.path = ${constant}`,
    `http.path == ${constant}`,
    `alias.path == ${constant}`,
    `not input.path != ${constant}`,
  ];
  return forms[form] ?? '';
}

const bodyOf = (rule: Rule): string =>
  [comparison(rule), ...(rule.method === undefined ? [] : [`input.method == "${rule.method}"`])].join('\n\t');

const HEADER = 'import input as http\n\nalias := input';
const KINDS: Readonly<Record<string, (rules: readonly Rule[]) => string>> = {
  'a complete rule with values, which may conflict': (rules) =>
    rules.map((rule) => `allow := ${rule.value} if {\n\t${bodyOf(rule)}\n}`).join('\n\n'),
  'a boolean rule with a default': (rules) =>
    ['default allow := false', ...rules.map((rule) => `allow if {\n\t${bodyOf(rule)}\n}`)].join('\n\n'),
  'a set': (rules) =>
    rules.map((rule) => `allow contains ${rule.value} if {\n\t${bodyOf(rule)}\n}`).join('\n\n'),
  'a rule that others ask under `with`': (rules) =>
    [
      'allow := [count(found), count(other)] if {\n\tother := found with input as {"path": "/a", "method": "GET"}\n}',
      ...rules.map((rule) => `found contains ${rule.value} if {\n\t${bodyOf(rule)}\n}`),
    ].join('\n\n'),
  'a rule with `else` among others': (rules) =>
    rules
      .map((rule, index) =>
        index % 5 === 0
          ? `allow := ${rule.value} if {\n\t${bodyOf(rule)}\n} else := 9 if {\n\tinput.path == "/nowhere"\n}`
          : `allow := ${rule.value} if {\n\t${bodyOf(rule)}\n}`,
      )
      .join('\n\n'),
};

const INPUTS: readonly Json[] = [
  ...PATHS.flatMap((path) => METHODS.map((method) => ({ path, method }))),
  { path: '/absent', method: 'GET' },
  { method: 'GET' },
  {},
  null,
  ...[1, true, null, ['/a'], { a: '/a' }].map((path) => ({ path, method: 'GET' })),
];

describe('many rules that compare the input with a constant', () => {
  it.each(Object.entries(KINDS))('answer as OPA does: %s', async (_kind, write) => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(aRule, { minLength: 12, maxLength: 40 }), async (rules) => {
        const rego = `${HEADER}\n\n${write(rules)}`;
        for (const [at, [theirs = '', ours]] of (await bothAnswers(rego, INPUTS)).entries()) {
          seen.add(theirs);
          expect({ rego, input: INPUTS[at], says: ours }).toEqual({ rego, input: INPUTS[at], says: theirs });
        }
      }),
      { numRuns: 12, seed: SEED },
    );
    console.log(`${_kind}: seed ${SEED}, answers ${[...seen].slice(0, 8).join(' ')}`);
    expect(seen.size).toBeGreaterThan(1);
  });

  it('cost no more than twice as much where they are ten times as many', async () => {
    const costOf = async (count: number, asked: number): Promise<number> => {
      const { evaluator } = await compile(similarRules(count));
      const input = { method: 'GET', path: `/x/${asked}`, role: 'r' };
      expect(evaluator.evaluate('p/allow', Buffer.from(JSON.stringify(input)))).toMatchObject({
        value: true,
      });
      return evaluator.lastCost().units;
    };
    const few = Math.max(await costOf(50, 0), await costOf(50, 49));
    const many = Math.max(await costOf(500, 0), await costOf(500, 250), await costOf(500, 499));
    console.log(`units of 50 rules ${few}, of 500 rules ${many}: ${(many / few).toFixed(2)}`);
    expect(many).toBeLessThanOrEqual(2 * few);
  });
});
