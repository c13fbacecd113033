/**
 * Numbers that are compared, looked up, sorted and computed with in a compiled module, against OPA's own evaluator: each
 * in several ways of writing it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILTIN_SOURCES } from '../../src/builtins/table.ts';
import { HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { createBuiltinHost } from '../support/builtin-host.ts';
import { type NativeToolchain, startNativeToolchain } from '../support/native-toolchain.ts';
import { type PlainHost, startPlainHost } from '../support/plain-host.ts';
import { createRandom } from '../support/rego-values.ts';

const SEED = Number(process.env['CHANCERY_TEST_SEED'] ?? 20_261_129);
const PAIRS = 1_500;
const TIMEOUT_MS = 300_000;
console.log(`pairs of numbers are made with seed ${SEED} (CHANCERY_TEST_SEED)`);

/** A line has one number. */
const NUMBERS = `
0 -0 0.0 -0.0 0e5 0E-3
1 1.0 1e0 10e-1 1.00 0.1e1
2 2.0 20e-1
3
-1 -1.0
-5
0.1
0.3 3e-1 0.30 0.300
1.5 15e-1 1.50
100 1e2 100.0 1E+2
1234567.5 1.2345675e+06 1234567.50
1e-7 0.0000001 1e-07 10e-8
2147483648
4294967296 4.294967296e9
4294967297
9007199254740992
9007199254740993 9007199254740993.0 9.007199254740993e15
1700000000123456789 1.700000000123456789e18 1700000000123456789.0
9223372036854775807 9223372036854775807.0
9223372036854775808
-9223372036854775808
18446744073709551616 18446744073709551616.0 1.8446744073709551616e19
100000000000000000000 1e20 1E20
12345678901234567890123.25 12345678901234567890123.250
1e-400
`
  .trim()
  .split('\n')
  .map((line) => line.split(' '));

/** Which of two equal numbers this gives, and so how it is written, is the module's choice. */
const OF_EQUALS = ['member'];
const POLICY = `package t

r := {
	"compared": [input.a == input.b, input.a != input.b, input.a < input.b, input.a <= input.b, input.a > input.b],
	"in": [input.a in {input.b}, input.a in [input.b], [input.a] in {[input.b]}, {"k": input.a} in {{"k": input.b}}],
	"key": [x | x := {input.b: 1}[input.a]],
	"got": object.get({input.b: 1}, input.a, "none"),
	"path": object.get({"k": [[1, 2], 3]}, ["k", input.a, input.b], "none"),
	"removed": count(object.remove({input.b: 1}, [input.a])),
	"counts": [count({input.a, input.b}), count({[input.a], [input.b]}), count({{"k": input.a}, {"k": input.b}})],
	"sets": [count({input.a} - {input.b}), count({input.a} & {input.b}), count({input.a} | {input.b})],
	"constant": input.a in {0, 1, 1.5, 100, 0.3, 1234567.5, 9007199254740993, 1700000000123456789, 0.0000001},
	"index": [x | x := ["p", "q", "r"][input.a]],
	"data": [x | x := data.list[input.a]],
	"slice": [x | x := array.slice([1, 2, 3, 4], input.a, input.b)],
	"substring": [x | x := substring("hello", input.a, input.b)],
	"sort": sort([input.a, input.b, 1]),
	"unified": [1 | f(input.a, input.b)],
	"arithmetic": [input.a + input.b, input.a - input.b, input.a * input.b, sum([input.a, input.b, 1])],
	"undefined": [[x | x := input.a / input.b], [x | x := input.a % input.b]],
	"unary": [abs(input.a), ceil(input.a), floor(input.a), round(input.a)],
	"max": max([input.a, input.b]),
	"min": min([input.a, input.b]),
	"member": [x | x := {input.b}[input.a]],
}

f(x, x) := true
`;

let native: NativeToolchain;
let module: PlainHost;
const source = {
  modules: { 't.rego': POLICY },
  data: { list: ['x', 'y'] },
  builtins: [...BUILTIN_SOURCES.keys()],
};

beforeAll(async () => {
  native = startNativeToolchain();
  const request = { do: 'compile', ...source, host: HOST_BUILTINS, entrypoints: ['t/r'] };
  const { wasm } = await native.ask<{ wasm: string }>(request);
  const host = createBuiltinHost();
  const data = JSON.stringify(source.data);
  module = startPlainHost(Uint8Array.fromBase64(wasm), host.answer, { data, small: host.small });
}, TIMEOUT_MS);
afterAll(() => native.close());

function pairs(): readonly string[] {
  const random = createRandom(SEED);
  const ofEquals = NUMBERS.flatMap((texts) => texts.flatMap((a) => texts.map((b) => [a, b])));
  const any = (): string => {
    const texts = NUMBERS[random(NUMBERS.length)] ?? [];
    return texts[random(texts.length)] ?? '0';
  };
  const others = Array.from({ length: PAIRS }, () => [any(), any()]);
  return [...ofEquals, ...others].map(([a, b]) => `{"a": ${a}, "b": ${b}}`);
}

type Spelt = Readonly<Record<string, unknown>>;

/** With the text of each number, or its value where the text does not count. */
function spelt(json: string): Spelt {
  const withTexts = JSON.parse(json, ((_: string, value: unknown, { source: text }: { source?: string }) =>
    typeof value === 'number' ? { text, value } : value) as (
    key: string,
    value: unknown,
  ) => unknown) as Spelt;
  const value = JSON.parse(json) as Spelt;
  return { ...withTexts, ...Object.fromEntries(OF_EQUALS.map((name) => [name, value[name]])) };
}

const evaluate = (input: string): string =>
  module.evaluate('t/r', input).replace(/^\{\{"result": (.*)\}\}$/s, '$1');

async function bothSay(
  inputs: readonly string[],
): Promise<readonly (readonly [opa: string, ours: string])[]> {
  const request = { do: 'evaluate', ...source, entrypoint: 't/r', inputs };
  const { outcomes } = await native.ask<{ outcomes: readonly { text: string }[] }>(request);
  return inputs.map((input, at) => [outcomes[at]?.text ?? '', evaluate(input)]);
}

describe('numbers in a compiled module', () => {
  it('are what they are to OPA, however they are written', { timeout: TIMEOUT_MS }, async () => {
    const inputs = pairs();
    const said = await bothSay(inputs);
    const wrong = said.flatMap(([opa, ours], at) => {
      const [theirs, own] = [spelt(opa), spelt(ours)];
      const names = Object.keys(theirs).filter(
        (name) => JSON.stringify(theirs[name]) !== JSON.stringify(own[name]),
      );
      return names.map(
        (name) => `${inputs[at]} ${name}: ${JSON.stringify(theirs[name])}, here ${JSON.stringify(own[name])}`,
      );
    });
    console.log(`${inputs.length} pairs compared`);
    expect(inputs.length).toBeGreaterThan(PAIRS);
    expect(wrong.slice(0, 10)).toEqual([]);
  });

  it.each([
    ['beyond float64 OPA looks up by their text', '{"a": 1e400, "b": 10e399}'],
    ['OPA compares as float64', '{"a": 0.300000000000000000000100, "b": 0.300}'],
  ])('differ from OPA in what %s', async (_, input) => {
    const [[opa, ours] = ['', '']] = await bothSay([input]);
    expect(spelt(opa)).not.toEqual(spelt(ours));
  });
});
