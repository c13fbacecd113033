/** Which built-ins a compiled module asks its host for, and what of its input it reads. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Compiled } from '../../src/rego/messages.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { startPlainHost } from '../support/plain-host.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

const BUILTINS =
  'eq equal assign neq lt gt plus count lower upper concat sort and json.unmarshal io.jwt.decode trace ' +
  'internal.member_2 internal.member_3 internal.template_string walk';

function compile(
  modules: string | Record<string, string>,
  host: readonly string[],
  entrypoints: readonly string[] = ['t/p'],
): Promise<Compiled> {
  return toolchain.compile({
    modules: typeof modules === 'string' ? { 't.rego': modules } : modules,
    builtins: BUILTINS.split(' '),
    host,
    entrypoints,
  });
}

/** What `t/p` is when the host answers `lower` with "asked" and whatever else with its arguments. */
async function answerOf(text: string, host = ['lower'], data = '{}'): Promise<string> {
  const { wasm } = await compile(text, host);
  const module = startPlainHost(
    wasm,
    (name, args) => (name === 'host.lower' ? '"asked"' : `["${name}",${args.join()}]`),
    { data },
  );
  return module.evaluate('t/p', '{"s": "X", "list": ["X"]}');
}

const RESULT = (value: string) => `{{"result": ${value}}}`;

describe('a built-in that the host is to answer', () => {
  const inWords: Record<string, string> = {
    'a rule': 'p := lower("X")',
    'a body': 'p := x if x := lower(input.s)',
    'a condition': 'p := "asked" if lower("X") == "asked"',
    'a negated condition': 'p := "asked" if not lower("X") == "x"',
    'a call within a call': 'p := concat("", [lower(upper(lower("X")))])',
    'an array comprehension': 'p := [lower(s) | some s in input.list][0]',
    'a set comprehension': 'p := [x | some x in {lower(s) | some s in input.list}][0]',
    'an object comprehension': 'p := {lower(s): s | some s in input.list}.asked == "X"',
    'the domain and the body of every': 'p := "asked" if every s in [lower("X")] { s == lower("Y") }',
    'a function': 'f(x) := lower(x)\np := f("X")',
    'the key of a partial set': 's contains lower("X")\np := [x | some x in s][0]',
    'the key and the value of a partial object': 'o[lower("X")] := lower("Y")\np := o.asked',
    'the value of `with`': 'q := input.x\np := x if x := q with input as {"x": lower("X")}',
    'an else': 'p := 1 if false\nelse := lower("X")',
    'the default of a function':
      'default f(_) := "asked"\nf(x) := y if { y := lower(x); y != "asked" }\np := f("X")',
    'a template string': 'p := $"{lower("X")}"',
    'the replacement of a function': 'f(x) := x\nq := f("X")\np := x if x := q with f as lower',
    'the replacement of a built-in': 'q := upper("X")\np := x if x := q with upper as lower',
  };

  it.each(Object.entries(inWords))('is asked for in %s', async (_, rules) => {
    const answer = await answerOf(`package t\n\n${rules}\n`);
    expect(answer === RESULT('true') || answer === RESULT('"asked"') ? 'asked' : answer).toBe('asked');
  });

  it('is asked for as the infix operator that it is', async () => {
    const answer = await answerOf('package t\n\np := x if x := {1} & {2}\n', ['and']);
    expect(answer).toBe(RESULT('["host.and", {1}, {2}]'));
  });

  it('is left to the module where nobody asked for a change', async () => {
    const { builtins, wasm } = await compile('package t\n\np := lower(upper("X"))\n', ['lower']);
    expect(builtins).toEqual([{ name: 'lower', import: 'host.lower' }, { name: 'upper' }]);
    expect(startPlainHost(wasm, () => undefined).imports).toEqual(['host.lower']);
    const plain = await compile('package t\n\np := lower("X")\n', []);
    expect(startPlainHost(plain.wasm, () => undefined).evaluate('t/p', undefined)).toBe(RESULT('"x"'));
  });

  it('keeps its name where the module could not answer', async () => {
    const { builtins } = await compile('package t\n\np := io.jwt.decode(input.s)\n', ['io.jwt.decode']);
    expect(builtins).toContainEqual({ name: 'io.jwt.decode', import: 'io.jwt.decode' });
  });

  it('is not listed where only unreachable rules call it', async () => {
    const { builtins } = await compile('package t\n\np := upper("x")\n\nq := lower("x")\n', ['lower']);
    expect(builtins).toEqual([{ name: 'upper' }]);
  });
});

describe('a replacement by `with`', () => {
  it.each([
    'f as 7 with input as {"a": 1} with data.d.e as 3',
    'input as {"a": 1} with f as 7 with data.d.e as 3',
    'data.d.e as 3 with input as {"a": 1} with f as 7',
  ])('reaches its own target, whatever else is replaced: %s', async (replacements) => {
    const text = `package t

f(_) := 0
q := [f(1), input.a, data.d.e]
p := x if x := q with ${replacements}
`;
    expect(await answerOf(text, [], '{"d": {"e": 9}}')).toBe(RESULT('[7, 1, 3]'));
  });
});

describe('a name of a built-in that means something else', () => {
  it.each([
    ['an imported package', 'import data.json\n\np := json.unmarshal("x")\n'],
    ['an import with another name', 'import data.json as lower\n\np := lower.unmarshal("x")\n'],
    ['a rule of the package', 'lower(x) := ["rule", x]\n\np := lower("x")\n'],
  ])('is that: %s', async (_, rules) => {
    const modules = {
      't.rego': `package t\n\n${rules}`,
      'json.rego': 'package json\n\nunmarshal(x) := ["rule", x]\n',
    };
    const { wasm, builtins } = await compile(modules, ['json.unmarshal', 'lower']);
    expect(builtins).toEqual([]);
    expect(startPlainHost(wasm, () => '"asked"').evaluate('t/p', undefined)).toBe(RESULT('["rule", "x"]'));
  });

  it('is that beside calls of the built-in itself', async () => {
    const text = 'package t\n\np := [lower, x] if { lower := "mine"; x := data.u.q }\n';
    const modules = { 't.rego': text, 'u.rego': 'package u\n\nq := lower("X")\n' };
    const { wasm, builtins } = await compile(modules, ['lower']);
    expect(builtins).toEqual([{ name: 'lower', import: 'host.lower' }]);
    const answer = startPlainHost(wasm, () => '"asked"').evaluate('t/p', undefined);
    expect(answer).toBe(RESULT('["mine", "asked"]'));
  });

  it('does not hide a replacement by `with`', async () => {
    expect(await answerOf('package t\n\nq := lower("X")\n\np := x if x := q with lower as "mine"\n')).toBe(
      RESULT('"mine"'),
    );
  });
});

describe('`concat`', () => {
  const TEXT = 'package t\n\np := concat(",", input.list)\n';
  const answerTo = async (text: string, input: string): Promise<string> => {
    const { wasm } = await compile(text, ['concat']);
    return startPlainHost(wasm, (name, args) => `["${name}",${args.join()}]`).evaluate('t/p', input);
  };

  it('of an array is the module’s own', async () => {
    expect(await answerTo(TEXT, '{"list": ["b", "a"]}')).toBe(RESULT('"b,a"'));
  });

  it('of a set is the host’s, if only the evaluation shows that it is one', async () => {
    expect(await answerTo(TEXT, '{"list": {"b"}}')).toBe(RESULT('["host.concat", ",", {"b"}]'));
    const constant = 'package t\n\np := concat(",", {"b"})\n';
    expect(await answerTo(constant, '{}')).toBe(RESULT('["host.concat", ",", {"b"}]'));
  });

  it.each(['{"list": 1}', '{"list": {"a": "b"}}', '{"list": [1]}'])('of %s is undefined', async (input) => {
    expect(await answerTo(TEXT, input)).toBe('set()');
  });

  it('keeps the values apart that a loop gives it', async () => {
    const text = 'package t\n\np := [x | some list in input.lists; x := concat("", list)]\n';
    const answer = await answerTo(text, '{"lists": [["a"], 1, {"b"}, ["c"], {}]}');
    expect(answer).toBe(RESULT('["a", ["host.concat", "", {"b"}], "c"]'));
  });
});

describe('an array comprehension', () => {
  const sayOf = async (rule: string, input: string): Promise<string> => {
    const { wasm } = await compile(`package t\n\n${rule}\n`, []);
    return startPlainHost(wasm, () => undefined).evaluate('t/p', input);
  };

  it.each([
    [
      'the members of a set',
      'p := [x | some x in input]',
      '{"b", 3, "a", [1], null}',
      '[null, 3, "a", "b", [1]]',
    ],
    ['the keys of an object', 'p := [k | some k, _ in input]', '{"z": 1, "a": 2, "m": 3}', '["a", "m", "z"]'],
    ['the values of an object', 'p := [v | some v in input]', '{"z": 1, "a": 2, "m": 3}', '[2, 3, 1]'],
    [
      'one within another',
      'p := [[k, x] | some k, v in input; some x in v]',
      '{"b": {4, 3}, "a": [9, 8]}',
      '[["a", 9], ["a", 8], ["b", 3], ["b", 4]]',
    ],
    [
      'what walk finds',
      'p := [q | walk(input, [q, _])]',
      '{"b": {"d": 1, "c": 2}, "a": [0]}',
      '[[], ["a"], ["a", 0], ["b"], ["b", "c"], ["b", "d"]]',
    ],
    ['an array', 'p := [x | some x in input]', '[3, 1, 2]', '[3, 1, 2]'],
    ['what has no members', 'p := [x | some x in input]', '7', '[]'],
  ])('takes in the order of OPA %s', async (_, rule, input, value) => {
    expect(await sayOf(rule, input)).toBe(RESULT(value));
  });

  it('does not sort an array because another rule walks', async () => {
    const rules = 'p := [x | some x in q]\n\nq := input if count([1 | walk(input, _)]) > 0';
    expect(await sayOf(rules, '[3, 1, 2]')).toBe(RESULT('[3, 1, 2]'));
  });
});

describe('a reference into data', () => {
  const DATA = '{"users": {"42": "u", "1.5": "f"}, "list": ["a", "b"], "deep": {"x": {"7": "s"}}}';
  it.each([
    ['p := data.users[input.n]', '{"n": 42}', RESULT('"u"')],
    ['p := data.users[input.n]', '{"n": 1.5}', RESULT('"f"')],
    ['p := data.users[42]', '{}', RESULT('"u"')],
    ['p := data.users[input.n]', '{"n": "42"}', RESULT('"u"')],
    ['p := data.users[input.n]', '{"n": 43}', 'set()'],
    ['p := data.list[input.n]', '{"n": "1"}', RESULT('"b"')],
    ['p := data.list[input.n]', '{"n": 1}', RESULT('"b"')],
    ['p := data.list[input.n]', '{"n": "x"}', 'set()'],
    ['p := data.list[input.n]', '{"n": "1.0"}', 'set()'],
    ['p := x if { some k; x := data.deep[k][7] }', '{}', RESULT('"s"')],
    ['p := x if { users := data.users; x := users[42] }', '{}', 'set()'],
    ['p := x if { users := data.users; x := users[input.n] }', '{"n": 42}', 'set()'],
  ])('spells keys as OPA does: %s of %s', async (rule, input, results) => {
    const { wasm } = await compile(`package t\n\n${rule}\n`, []);
    expect(startPlainHost(wasm, () => undefined, { data: DATA }).evaluate('t/p', input)).toBe(results);
  });
});

describe('a conflict', () => {
  it.each([
    ['p := x if some x in [1, 2]', 'rule data.t.p produced conflicting values at t.rego:3:1'],
    [
      'f(_) := x if some x in [1, 2]\np := f(1)',
      'function data.t.f produced conflicting values for the same inputs',
    ],
    ['p[1] := x if some x in [1, 2]', 'object keys must be unique at t.rego:3:1'],
  ])('is told in the words of OPA: %s', async (rule, words) => {
    const { wasm } = await compile(`package t\n\n${rule}\n`, []);
    expect(() => startPlainHost(wasm, () => undefined).evaluate('t/p', '{}')).toThrow(words);
  });
});

describe('the paths of `input` that a policy can read', () => {
  it.each([
    ['p if input.a.b == 1', [['a', 'b']]],
    ['p if input["x-y"].z[0].w', [['x-y', 'z']]],
    ['p if { some k; input.a[k].b }', [['a']]],
    ['p if { some k; input[k] }', [[]]],
    ['p := input', [[]]],
    ['p := f(input.a)\nf(x) := x.b', [['a']]],
    ['p if input.a.b\np if input.a', [['a']]],
    ['p if input.b\np if input.a.c', [['a', 'c'], ['b']]],
    ['p if true', []],
    ['p := 1\nq := input.a', []],
    ['p := q\nq := input.a\nr := input.b', [['a']]],
    ['p := 1 if false\nelse := q\nq := input.a', [['a']]],
    ['p[input.a] := 1', [['a']]],
    ['p contains x if x := {y | y := input.a.b}[_]', [['a', 'b']]],
    ['p if every x in input.a { x == input.b }', [['a'], ['b']]],
    ['p if not input.a.b', [['a', 'b']]],
    ['p := $"{input.a.b}"', [['a', 'b']]],
    ['p := x if x := q with input as {"a": input.c}\nq := input.a', [['a'], ['c']]],
    ['p := x if x := q with input.a.x as 1\nq := input.a.b', [['a']]],
    ['p := x if x := q with data.t.r as input.z\nq := r\nr := input.a', [['a'], ['z']]],
    ['p := x if x := q with f as g\nf(x) := x\ng(_) := input.a\nq := f(1)', [['a']]],
    ['p := x if { y := input; x := y.a }', [[]]],
    ['p if {[input.a, 1] == [2, 1]}', [['a']]],
    ['p if input.a[input.b.c].d', [['a'], ['b', 'c']]],
  ])('%s', async (rules, inputs) => {
    expect((await compile(`package t\n\n${rules}\n`, [])).inputs).toEqual(inputs);
  });

  it('are those of every rule that a variable may lead to', async () => {
    const modules = {
      't.rego': 'package t\n\np := data.u[input.x]\n',
      'u.rego': 'package u\n\nq := input.a\n\nr := input.b\n',
      'v.rego': 'package v\n\nq := input.c\n',
    };
    expect((await compile(modules, [])).inputs).toEqual([['a'], ['b'], ['x']]);
  });
});
