/** What would hold up the thread that answers Checks ends at its budget, and what fails harms nothing after it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../src/core/failure.ts';
import { ALL_BUILTINS } from '../../src/policy/builtins.ts';
import type { Evaluation, EvaluationOutcome, Evaluator } from '../../src/policy/evaluator.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { anEvaluator, meteredModule, POLICY_LIMITS } from '../support/metered-evaluator.ts';

const RULES: Readonly<Record<string, string>> = {
  exponential: 'count([1 | some a in input.x; some b in input.x; some c in input.x; a + b + c == -1])',
  sets: 'count({[a, b, c] | some a in input.x; some b in input.x; some c in input.x})',
  nested: 'count([s | some a in input.x; s := sum([b | some b in input.x; b in input.x])])',
  matched: 'count([1 | some a in input.x; regex.match(`^(a|aa|aaa|b*)*(x+x+)+y[a-z]{1,200}$`, input.s)])',
  walked: 'count([p | some a in input.x; walk(input.t, [p, v]); v == a])',
  sorted: 'count([s | some a in input.x; s := sort(input.w)])',
  doubled: 'count(concat("", [concat("", [input.s, upper(input.s)]) | some a in input.x]))',
  good: 'object.get(data.roles, input.role, "none")',
  conflicting: '1 if input.a',
};
const POLICY = `package p\n\n${Object.entries(RULES)
  .map(([name, rule]) => `${name} := ${rule}`)
  .join('\n\n')}\n\nconflicting := 2 if input.b\n`;

const list = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);
const tree = (depth: number): unknown => (depth === 0 ? 7 : { a: tree(depth - 1), b: [tree(depth - 1)] });
const GOOD = Buffer.from('{"role":"editor"}');

const toolchain = createToolchain({ callTimeoutMs: 30_000, maxQueued: 16, maxMemoryMiB: 512 });
let module: WebAssembly.Module;
beforeAll(async () => {
  const entrypoints = Object.keys(RULES).map((name) => `p/${name}`);
  const source = { modules: { 'p.rego': POLICY }, builtins: ALL_BUILTINS, entrypoints };
  module = meteredModule((await toolchain.compile(source)).wasm);
});
afterAll(() => toolchain.close());

const DATA = Buffer.from('{"roles":{"editor":["write"],"reader":[]}}');

function outcomeOf(
  evaluator: Evaluator,
  rule: string,
  input: Uint8Array,
): { readonly outcome: EvaluationOutcome; readonly said?: Evaluation } {
  try {
    const said = evaluator.evaluate(`p/${rule}`, input);
    return { outcome: evaluator.lastCost().outcome, said };
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(Failure);
    expect((thrown as Failure).code).toBe('policy_failed');
  }
  return evaluator.lastCost();
}

describe('an evaluation that would not end', () => {
  const bad: readonly (readonly [what: string, rule: string, input: object])[] = [
    ['a comprehension in three loops', 'exponential', { x: list(300) }],
    ['a set that grows', 'sets', { x: list(300) }],
    ['loops in loops', 'nested', { x: list(1_000) }],
    ['a regular expression', 'matched', { x: list(300), s: `${'a'.repeat(3_000)}${'x'.repeat(3_000)}` }],
    ['a walk', 'walked', { x: list(200), t: tree(9) }],
    ['a sort that takes quadratic time', 'sorted', { x: list(50), w: list(2_000).toReversed() }],
    ['strings that are copied', 'doubled', { x: list(500), s: 'é'.repeat(20_000) }],
    ['a body of 4 MiB', 'good', { role: 'editor', body: 'x'.repeat(4_194_304) }],
    ['an input of 200,000 objects', 'good', { all: list(200_000).map((n) => ({ n })) }],
  ];

  it.each(bad)('ends at its budget: %s', (_what, rule, input) => {
    const evaluator = anEvaluator(module, { data: DATA });
    expect(evaluator.evaluate('p/good', GOOD)).toMatchObject({ value: ['write'] });
    const { units } = evaluator.lastCost();
    const bytes = Buffer.from(JSON.stringify(input));

    expect(outcomeOf(evaluator, rule, bytes).outcome).toBe('over_budget');
    expect(evaluator.lastCost().units).toBe(POLICY_LIMITS.maxUnits);

    expect(evaluator.evaluate('p/good', GOOD)).toMatchObject({ value: ['write'] });
    expect(evaluator.lastCost().units).toBe(units);
  });
});

describe('ten thousand evaluations, of which half go wrong in every way there is', () => {
  /** What goes wrong, the outcome, and how many of twenty. */
  const ways: readonly (readonly [
    rule: string,
    input: Uint8Array,
    outcome: EvaluationOutcome,
    of20: number,
  ])[] = [
    ['good', GOOD, 'answered', 10],
    ['good', Buffer.from('{"role":"\\ud800"}'), 'failed', 2],
    ['conflicting', Buffer.from('{"a":1,"b":1}'), 'failed', 3],
    ['good', Buffer.from('{"role"'), 'failed', 2],
    ['good', Buffer.from(`${'['.repeat(50_000)}${']'.repeat(50_000)}`), 'failed', 1],
    ['good', Buffer.from(`"${'x'.repeat(3_000_000)}"`), 'failed', 1],
    ['exponential', Buffer.from(JSON.stringify({ x: list(60) })), 'over_budget', 1],
  ];
  const cases = ways.flatMap(([rule, input, outcome, of20]) =>
    Array.from({ length: of20 }, () => ({ rule, input, outcome })),
  );

  it('answers the good ones as before, in one instance and the memory that it had', () => {
    const evaluator = anEvaluator(module, { data: DATA, maxMemoryMiB: 2, maxUnits: 2_000_000 });
    const rss: number[] = [];
    for (let round = 0; round < 10_000; round += 1) {
      // 7 and 20 have no common divisor: each way comes after each other one
      const { rule, input, outcome } = cases[(round * 7 + Math.floor(round / 20)) % cases.length]!;
      const { said, outcome: ended } = outcomeOf(evaluator, rule, input);
      expect(ended).toBe(outcome);
      if (outcome === 'answered') expect(said).toMatchObject({ value: ['write'] });
      if (round % 100 === 0) rss.push(process.memoryUsage.rss());
    }
    expect(evaluator.evaluate('p/good', GOOD)).toMatchObject({ value: ['write'] });
    const half = rss.slice(45, 55).toSorted((a, b) => a - b)[5]!;
    const end = rss.slice(-10).toSorted((a, b) => a - b)[5]!;
    console.log(`RSS after one half ${half >> 20} MiB, at the end ${end >> 20} MiB`);
    expect(end).toBeLessThan(half * 1.05);
  }, 120_000);
});

describe('a storm of evaluations that end at their budget', () => {
  it('costs little after half a second of it, and the good ones of the same policy are answered', () => {
    let nowMs = 0;
    // each look at the clock is 25 ms after the one before: what fails begins and ends
    const now = (): number => (nowMs += 25);
    const evaluator = anEvaluator(module, { data: DATA, now });
    const costs: number[] = [];
    for (let round = 0; round < 500; round += 1) {
      const bad = round % 2 === 0 ? 'exponential' : 'sets';
      const input = Buffer.from(JSON.stringify({ x: list(300) }));
      expect(() => evaluator.evaluate(`p/${bad}`, input)).toThrow(Failure);
      const { outcome, units } = evaluator.lastCost();
      costs.push(units);
      expect(outcome).toBe(units === POLICY_LIMITS.maxUnits ? 'over_budget' : 'cut_short');
      expect(evaluator.evaluate('p/good', GOOD)).toMatchObject({ value: ['write'] });
    }
    expect(costs.filter((units) => units === POLICY_LIMITS.maxUnits).length).toBeLessThan(100);
    expect(costs.filter((units) => units === 1_000_000).length).toBeGreaterThan(400);
  });
});
