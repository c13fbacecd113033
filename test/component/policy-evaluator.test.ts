import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../src/core/failure.ts';
import type { Evaluator } from '../../src/policy/evaluator.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { meteredModule, anEvaluator as startEvaluator } from '../support/metered-evaluator.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';

const POLICY = `package p

allow if input.method == "GET"

echo := input

known := data.roles[input.role]

conflict := 1 if input.a

conflict := 2 if input.b

many := count(numbers.range(1, input.n))

nothing_said if not input.method
`;
const ENTRYPOINTS = ['allow', 'echo', 'known', 'conflict', 'many', 'nothing_said'].map((rule) => `p/${rule}`);

const toolchain = createToolchain({ callTimeoutMs: 30_000, maxQueued: 16, maxMemoryMiB: 512 });
let module: WebAssembly.Module;
beforeAll(async () => {
  const source = { modules: { 'p.rego': POLICY }, builtins: NATIVE_BUILTINS };
  const { wasm } = await toolchain.compile({ ...source, entrypoints: ENTRYPOINTS });
  module = meteredModule(wasm);
});
afterAll(() => toolchain.close());

function anEvaluator({ data = '{}', maxMemoryMiB = 16 } = {}): Evaluator {
  return startEvaluator(module, { data: Buffer.from(data), maxMemoryMiB });
}

function evaluate(evaluator: Evaluator, rule: string, input: string | Uint8Array) {
  return evaluator.evaluate(`p/${rule}`, typeof input === 'string' ? Buffer.from(input) : input);
}

function failureOf(action: () => unknown): Failure {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
  }
  throw new Error('no Failure');
}

describe('an evaluator', () => {
  it('knows the entrypoints and the interface of its module', () => {
    const evaluator = anEvaluator();
    expect([...evaluator.entrypoints].sort()).toEqual([...ENTRYPOINTS].sort());
    expect(evaluator.abi).toBe('1.3');
  });

  it('says a value with its text, or that nothing is defined', () => {
    const evaluator = anEvaluator();
    expect(evaluate(evaluator, 'allow', '{"method":"GET"}')).toEqual({
      defined: true,
      value: true,
      text: 'true',
    });
    expect(evaluate(evaluator, 'allow', '{"method":"PUT"}')).toEqual({ defined: false });
    expect(evaluate(evaluator, 'allow', 'null')).toEqual({ defined: false });
  });

  it.each(['403', '403.0', '4e2', '9007199254740993', '1E400', '-0', '0.10'])(
    'keeps how the number %s is written',
    (text) => {
      expect(evaluate(anEvaluator(), 'echo', text)).toMatchObject({ defined: true, text });
    },
  );

  it.each(['"\\u0000"', '"é日本😀"', '"\\"\\\\/"', '{"result":"}]"}', '[[],{}]', '""', 'null', 'false'])(
    'gives %s back as it was',
    (text) => {
      const evaluation = evaluate(anEvaluator(), 'echo', text);
      expect(evaluation).toMatchObject({ defined: true, value: JSON.parse(text) });
    },
  );

  it('reads the data that it was given, in each evaluation', () => {
    const evaluator = anEvaluator({ data: '{"roles":{"editor":["write"]}}' });
    for (let round = 0; round < 3; round += 1) {
      expect(evaluate(evaluator, 'known', '{"role":"editor"}')).toMatchObject({ value: ['write'] });
      expect(evaluate(evaluator, 'known', '{"role":"reader"}')).toEqual({ defined: false });
    }
  });

  it('starts a module whose data is larger than its first memory', () => {
    const roles = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`role-${index}`, index]));
    const evaluator = anEvaluator({ data: JSON.stringify({ roles }), maxMemoryMiB: 64 });
    expect(evaluate(evaluator, 'known', '{"role":"role-19999"}')).toMatchObject({ value: 19_999 });
  });

  it('takes ten thousand inputs of a hundred kilobytes without taking more memory', () => {
    const evaluator = anEvaluator({ maxMemoryMiB: 8 });
    const input = Buffer.from(JSON.stringify({ method: 'GET', body: 'x'.repeat(100_000) }));
    for (let round = 0; round < 10_000; round += 1) {
      expect(evaluate(evaluator, 'allow', input).defined).toBe(true);
    }
  });

  it('refuses an entrypoint that the module has not', () => {
    expect(failureOf(() => anEvaluator().evaluate('p/absent', Buffer.from('{}'))).code).toBe('policy_failed');
  });

  it('refuses a module of another kind, and data that is not JSON', () => {
    const empty = new WebAssembly.Module(Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    expect(failureOf(() => startEvaluator(empty)).code).toBe('policy_not_loaded');
    expect(failureOf(() => anEvaluator({ data: '{' })).code).toBe('policy_not_loaded');
  });
});

describe('an evaluation that goes wrong', () => {
  const bad: readonly (readonly [what: string, rule: string, input: string | Uint8Array])[] = [
    ['a lone surrogate', 'echo', '{"a":"\\ud800"}'],
    ['bytes that are not UTF-8', 'echo', Uint8Array.from([0x22, 0xff, 0x22])],
    ['100,000 nested arrays', 'echo', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['rules that contradict each other', 'conflict', '{"a":true,"b":true}'],
    ['more memory than there is', 'many', '{"n":1000000}'],
    ['an input that is not JSON', 'nothing_said', '{"method"'],
    ['an empty input', 'nothing_said', ''],
  ];

  it.each(bad)('is a Failure for %s, and the next evaluation is as before', (_what, rule, input) => {
    const evaluator = anEvaluator({ data: '{"roles":{"editor":1}}' });
    expect(failureOf(() => evaluate(evaluator, rule, input)).code).toBe('policy_failed');
    expect(evaluate(evaluator, 'allow', '{"method":"GET"}')).toMatchObject({ value: true });
    expect(evaluate(evaluator, 'known', '{"role":"editor"}')).toMatchObject({ value: 1 });
  });

  it('does no harm a thousand times and more: the instance is restored each time that it threw', () => {
    const evaluator = anEvaluator();
    for (let round = 0; round < 2_000; round += 1) {
      expect(failureOf(() => evaluate(evaluator, 'echo', '"\\ud800"')).code).toBe('policy_failed');
    }
    expect(evaluate(evaluator, 'echo', '"x"')).toMatchObject({ value: 'x' });
  });

  it('is told from others by its cost when it needs more than its budget', () => {
    const evaluator = anEvaluator();
    evaluate(evaluator, 'many', '{"n":10}');
    const { outcome, units } = evaluator.lastCost();
    expect(outcome).toBe('answered');
    const exact = startEvaluator(module, { maxUnits: units });
    const less = startEvaluator(module, { maxUnits: units - 1 });
    expect(evaluate(exact, 'many', '{"n":10}')).toMatchObject({ value: 10 });
    const failure = failureOf(() => evaluate(less, 'many', '{"n":10}'));
    expect(failure).toMatchObject({
      code: 'policy_failed',
      detail: `The evaluation needs more than ${units - 1} units`,
    });
    expect(less.lastCost()).toEqual({ outcome: 'over_budget', units: units - 1 });
    expect(failureOf(() => evaluate(less, 'conflict', '{"a":1,"b":1}')).detail).toBe(
      'The policy could not be evaluated',
    );
    expect(less.lastCost().outcome).toBe('failed');
  });

  it('has a smaller budget while failing ones have taken too much time, and the whole one some time later', () => {
    let nowMs = 0;
    // each look at the clock is 40 ms after the one before: an evaluation takes 40 ms of every 80
    const evaluator = startEvaluator(module, { now: () => (nowMs += 40) });
    const fail = (): string => failureOf(() => evaluate(evaluator, 'conflict', '{"a":1,"b":1}')).code;
    for (let round = 0; round < 30; round += 1) expect(fail()).toBe('policy_failed');
    // what fails for little goes on, and so does what is answered
    expect(evaluate(evaluator, 'allow', '{"method":"GET"}')).toMatchObject({ value: true });
    const much = (): number | Failure => {
      try {
        return evaluate(evaluator, 'many', '{"n":20000}') as unknown as number;
      } catch (thrown) {
        return thrown as Failure;
      }
    };
    expect(much()).toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
    expect(evaluator.lastCost()).toEqual({ outcome: 'cut_short', units: 1_000_000 });
    nowMs += 5_000;
    expect(much()).toMatchObject({ value: 20_000 });
    expect(evaluator.lastCost().units).toBeGreaterThan(1_000_000);
    // that has been answered, so it is usual
    for (let round = 0; round < 30; round += 1) expect(fail()).toBe('policy_failed');
    expect(much()).toMatchObject({ value: 20_000 });
  });

  it('never counts the good ones, however long they take', () => {
    let nowMs = 0;
    const evaluator = startEvaluator(module, { now: () => (nowMs += 5_000) });
    for (let round = 0; round < 100; round += 1) {
      expect(evaluate(evaluator, 'allow', '{"method":"GET"}')).toMatchObject({ value: true });
    }
  });
});
