/** Numbers in a compiled module: the same number is the same, however it is written, and computes as OPA computes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBuiltins } from '../../src/policy/all-builtins.ts';
import { ALL_BUILTINS, HOST_BUILTINS } from '../../src/policy/builtins.ts';
import type { Evaluator } from '../../src/policy/evaluator.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { anEvaluator, meteredModule } from '../support/metered-evaluator.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

const POLICY = `package t

is_member if input.a in {input.b}

value := {input.b: "found"}[input.a]

both := count({[input.a], [input.b]})

element := ["p", "q", "r"][input.a]

constant if input.a in {0, 2, 1.5, 0.0000001, 1234567.5, 9007199254740993, 1700000000123456789}

sums := [sum | some x in input; sum := x + 1]

differences := [difference | some x in input.xs; some y in input.ys; difference := x - y]

products := [product | some x in input.xs; product := x * input.factor]

total := sum(input)

product_of := product(input)

half := input / 2

text := to_number(input)

text_plus_one := to_number(input) + 1

is_half if to_number(input) == 0.5

merged := object.union_n(input)

middle := array.slice([0, 1, 2, 3], input.a, input.b)

found := [x | some key in input; x := data.users[key]]

listed := data.list[input]
`;
const RULES = [...POLICY.matchAll(/^(\w+) (?:if|:=)/gm)].map(([, name = '']) => name);
const DATA = { users: { 1: 'a', 2: 'b', 3: 'c' }, list: ['x', 'y'] };

let evaluator: Evaluator;
beforeAll(async () => {
  const { wasm } = await toolchain.compile({
    modules: { 't.rego': POLICY },
    data: DATA,
    builtins: ALL_BUILTINS,
    host: HOST_BUILTINS,
    entrypoints: RULES.map((rule) => `t/${rule}`),
  });
  const builtins = createBuiltins({ maxToolchainMiB: 256 });
  evaluator = anEvaluator(meteredModule(wasm), { data: Buffer.from(JSON.stringify(DATA)), builtins });
});

function ask(rule: string, input: string): string | undefined {
  const evaluation = evaluator.evaluate(`t/${rule}`, Buffer.from(input));
  return evaluation.defined ? evaluation.text : undefined;
}

describe('a number that is written in two ways', () => {
  it.each([
    ['2', '20e-1'],
    ['0', '-0'],
    ['0', '-0.0'],
    ['1.5', '15e-1'],
    ['1e-7', '0.0000001'],
    ['1.2345675e+06', '1234567.5'],
    ['1E20', '100000000000000000000'],
    ['9007199254740993', '9007199254740993.0'],
    ['-9223372036854775808', '-9.223372036854775808e18'],
    ['12345678901234567890123.25', '1234567890123456789012325e-2'],
  ])('is one: %s and %s', (a, b) => {
    for (const input of [`{"a": ${a}, "b": ${b}}`, `{"a": ${b}, "b": ${a}}`]) {
      expect(ask('is_member', input)).toBe('true');
      expect(ask('value', input)).toBe('"found"');
      expect(ask('both', input)).toBe('1');
    }
  });

  it.each(['-0', '20e-1', '1e-07', '1.2345675e+06', '9007199254740993', '1.700000000123456789e18'])(
    'is the one of the policy: %s',
    (a) => expect(ask('constant', `{"a": ${a}}`)).toBe('true'),
  );

  it.each(['1', '1.0', '1.000'])('is the same index: %s', (a) =>
    expect(ask('element', `{"a": ${a}}`)).toBe('"q"'),
  );

  it.each(['1e0', '3.0', '1.5', '-1'])('is no index where OPA finds none: %s', (a) =>
    expect(ask('element', `{"a": ${a}}`)).toBeUndefined(),
  );

  it.each([
    ['-0.0', '2.0', '[0,1]'],
    ['-9223372036854775808', '9223372036854775807', '[0,1,2,3]'],
    ['1', '2e0', undefined],
  ])('is a bound of a slice: from %s to %s', (a, b, slice) =>
    expect(ask('middle', `{"a": ${a}, "b": ${b}}`)).toBe(slice),
  );

  it('is looked up in data by each member of a set', () => {
    expect(ask('found', '[1, 2, 3]')).toBe('["a","b","c"]');
    expect(ask('listed', '"1"')).toBe('"y"');
    expect(ask('listed', '"1.0"')).toBeUndefined();
  });
});

describe('arithmetic in a compiled policy', () => {
  it('is exact with integers of any length, and has 64 bits for others', () => {
    expect(ask('sums', '[1, -2, 1.0, 0.1, 9223372036854775807, 9007199254740992, 1e30]')).toBe(
      '[2,-1,2,1.1,9223372036854775808,9007199254740993,1000000000000000000000000000001]',
    );
    expect(ask('products', '{"xs": [3, 19.99, -4294967296, 0], "factor": -4294967296}')).toBe(
      '[-12884901888,-8.585639624704e+10,18446744073709551616,0]',
    );
    expect(ask('half', '7')).toBe('3.5');
    expect(ask('half', '-0')).toBe('-0');
  });

  it('subtracts numbers from numbers and sets from sets, and nothing else', () => {
    expect(ask('differences', '{"xs": [5, 0.3], "ys": [7]}')).toBe('[-2,-6.7]');
    expect(ask('differences', '{"xs": ["a", 5, [1]], "ys": [1, "b"]}')).toBe('[4]');
  });

  it('adds and multiplies collections', () => {
    expect(ask('total', '[1, 2, 4294967296, -5]')).toBe('4294967294');
    expect(ask('total', '[0.1, 0.2]')).toBe('0.3');
    expect(ask('total', '[]')).toBe('0');
    expect(ask('total', '[1, "a"]')).toBeUndefined();
    expect(ask('total', '{"a": 1}')).toBeUndefined();
    expect(ask('product_of', '[3, 9007199254740993]')).toBe('27021597764222979');
  });

  it('keeps what to_number says, also where it is no JSON', () => {
    expect(ask('text', '"1.50"')).toBe('1.50');
    expect(ask('text', '"1e400"')).toBeUndefined();
    expect(ask('is_half', '".5"')).toBe('true');
    expect(ask('is_half', '"+0.50"')).toBe('true');
    expect(ask('text_plus_one', '"1."')).toBe('2');
    expect(() => ask('text', '".5"')).toThrow(expect.objectContaining({ code: 'policy_failed' }));
    expect(() => ask('text', '"1_0"')).toThrow(expect.objectContaining({ code: 'policy_failed' }));
  });

  it('merges objects, and none into an empty one', () => {
    expect(ask('merged', '[]')).toBe('{}');
    expect(ask('merged', '[{"a": {"b": 1}}, {"a": {"c": 2}}]')).toMatch(
      /^\{"a":\{"[bc]":[12],"[bc]":[12]\}\}$/,
    );
    expect(ask('merged', '[1]')).toBeUndefined();
  });

  it('is paid for by its length, and the same each time', () => {
    const unitsOf = (input: string): number => {
      ask('sums', input);
      return evaluator.lastCost().units;
    };
    const one = unitsOf('[1]');
    expect(unitsOf('[1]')).toBe(one);
    expect(unitsOf('[1, 1, 1, 1, 1]')).toBeGreaterThan(one + 400);
    expect(unitsOf('[1e20000]')).toBeGreaterThan(one + 1_000_000);
  });
});
