import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallBuiltin } from '../../src/builtins/builtin.ts';
import { Failure } from '../../src/core/failure.ts';
import type { Builtins } from '../../src/policy/builtin-port.ts';
import type { Evaluator } from '../../src/policy/evaluator.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { meteredModule, anEvaluator as startEvaluator } from '../support/metered-evaluator.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';

const POLICY = `package p

now := time.now_ns()

twice := [time.now_ns(), time.now_ns()]

shown := sprintf("%v", [input.x])

set := sprintf("%v", [{{1}}])

empty := sprintf("%v", [set()])

keys := sprintf("%v", [{{1}: 2, true: null}])

said if sprintf("%v", [input.x]) == "here"

nothing_said if not sprintf("%v", [input.x])

four := regex.replace(input.x, "b", "c")

none := uuid.rfc4122("k")
`;
const RULES = ['now', 'twice', 'shown', 'set', 'empty', 'keys', 'said', 'nothing_said', 'four', 'none'];
const HOSTED = ['time.now_ns', 'sprintf', 'regex.replace', 'uuid.rfc4122'];

const toolchain = createToolchain({ callTimeoutMs: 30_000, maxQueued: 16, maxMemoryMiB: 512 });
let module: WebAssembly.Module;
beforeAll(async () => {
  const { wasm } = await toolchain.compile({
    modules: { 'p.rego': POLICY },
    builtins: [...NATIVE_BUILTINS, ...HOSTED],
    entrypoints: RULES.map((rule) => `p/${rule}`),
  });
  module = meteredModule(wasm);
});
afterAll(() => toolchain.close());

interface Port {
  readonly evaluator: Evaluator;
  readonly calls: (readonly [name: string, ...args: string[]])[];
}

function aPort(call: CallBuiltin, names: readonly string[] = HOSTED): Port {
  const calls: (readonly [string, ...string[]])[] = [];
  const builtins: Builtins = {
    answers: (name) => names.includes(name),
    call: (name, args, context) => {
      calls.push([name, ...args]);
      return call(name, args, context);
    },
  };
  let nowMs = 1_700_000_000_000;
  const clock = { nowMs: () => nowMs++ };
  const given = { clock, random: (size: number) => new Uint8Array(size) };
  return { evaluator: startEvaluator(module, { builtins, given }), calls };
}

const ask = ({ evaluator }: Port, rule: string, input: unknown = {}) =>
  evaluator.evaluate(`p/${rule}`, Buffer.from(JSON.stringify(input)));

describe('a built-in function of the host', () => {
  it('is named by the module that needs it', () => {
    expect([...aPort(() => undefined).evaluator.builtins].sort()).toEqual([...HOSTED].sort());
  });

  it('gets its arguments as Rego text, sets and keys of any type included, and what it says is the value', () => {
    const port = aPort(() => '{"é\\u0000": [1.50, {"x"}, set()]}');
    expect(ask(port, 'shown', { x: { a: ['é', 1.5, null] } })).toEqual({
      defined: true,
      value: { 'é\0': [1.5, ['x'], []] },
      text: '{"é\\u0000":[1.50,["x"],[]]}',
    });
    ask(port, 'set');
    ask(port, 'empty');
    ask(port, 'keys');
    ask(port, 'four', { x: 'b' });
    expect(port.calls).toEqual([
      ['sprintf', '"%v"', '[{"a": ["é", 1.5, null]}]'],
      ['sprintf', '"%v"', '[{{1}}]'],
      ['sprintf', '"%v"', '[set()]'],
      ['sprintf', '"%v"', '[{true: null, {1}: 2}]'],
      ['regex.replace', '"b"', '"b"', '"c"'],
    ]);
  });

  it('that says nothing makes its expression undefined, which is neither true nor false', () => {
    const port = aPort(() => undefined);
    expect(ask(port, 'shown', { x: 1 })).toEqual({ defined: false });
    expect(ask(port, 'said', { x: 1 })).toEqual({ defined: false });
    expect(ask(port, 'nothing_said', { x: 1 })).toMatchObject({ value: true });
  });

  it('sees one time within an evaluation, and a later one in the next', () => {
    const port = aPort((_name, _args, { nowNs }) => String(nowNs));
    expect(ask(port, 'twice')).toMatchObject({ text: '[1700000000000000000,1700000000000000000]' });
    expect(ask(port, 'now')).toMatchObject({ text: '1700000000001000000' });
  });

  it('may remember what it has said within an evaluation only', () => {
    let count = 0;
    const port = aPort((_name, _args, { said }) => {
      const key = 'now';
      if (!said.has(key)) said.set(key, String(++count));
      return said.get(key);
    });
    expect(ask(port, 'twice')).toMatchObject({ value: [1, 1] });
    expect(ask(port, 'twice')).toMatchObject({ value: [2, 2] });
  });

  it('pays from the budget of the evaluation, which ends when it is used up, and the next one is as before', () => {
    const port = aPort((_name, [, list = ''], { charge }) => {
      charge(list.includes('dear') ? 4_000_000_000 : 1_000_000);
      return '"here"';
    });
    expect(ask(port, 'said', { x: 1 })).toMatchObject({ value: true });
    const before = port.evaluator.lastCost();
    expect(before.units).toBeGreaterThan(1_000_000);
    expect(() => ask(port, 'said', { x: 'dear' })).toThrow(Failure);
    expect(port.evaluator.lastCost().outcome).toBe('over_budget');
    expect(ask(port, 'said', { x: 1 })).toMatchObject({ value: true });
    expect(port.evaluator.lastCost()).toEqual(before);
  });

  it('that throws, or says what is no value, fails this evaluation and no other', () => {
    const port = aPort((_name, [, list = '']) => {
      if (list.includes('throw')) throw new Error('secret');
      return list.includes('odd') ? '{"a":' : '"here"';
    });
    for (let round = 0; round < 2_000; round += 1) {
      const x = round % 2 === 0 ? 'throw' : 'odd';
      expect(() => ask(port, 'said', { x })).toThrow(Failure);
    }
    expect(port.evaluator.lastCost().outcome).toBe('failed');
    expect(ask(port, 'said', { x: 1 })).toMatchObject({ value: true });
  });

  it('that nobody answers keeps the module from starting', () => {
    expect(() => aPort(() => undefined, ['sprintf', 'time.now_ns'])).toThrow(
      expect.objectContaining({
        code: 'policy_not_loaded',
        detail: expect.stringMatching(/regex\.replace, uuid\.rfc4122|uuid\.rfc4122, regex\.replace/),
      }),
    );
  });
});
