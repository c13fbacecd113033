/** What policy authors run, as processes: exit codes, formats, and that both evaluators are really asked. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unpackBundle } from '../../src/policy/bundle-archive.ts';
import { meteringOf } from '../../src/policy/metering.ts';
import { eventually } from '../support/eventually.ts';
import { runChancery, spawnChancery } from '../support/serve-process.ts';

const POLICIES = fileURLToPath(new URL('../../policies/', import.meta.url));
const ALLOW = 'package a\n\nallow if input.method == "GET"\n\nis_known if data.people[input.name]\n';
const PASSING = `package a_test

import data.a

test_get if a.allow with input as {"method": "GET"}

test_known if a.is_known with input as {"name": "ann"}
`;
/** Two members to OPA, one to a compiled module: a difference that is known. */
const HUGE = 'count({1e400, 10e399})';
const DIFFERING = `package a_test\n\ntest_members if ${HUGE} == 2\n`;
const FAILING = `package a_test

import data.a

test_put if {
	method := "PUT"
	a.allow with input as {"method": method}
}

test_table[note] if {
	some note, method in {"get": "GET", "put": "PUT"}
	a.allow with input as {"method": method}
}

test_mock if a.allow with input as {"method": "get"} with upper as "GET"

todo_test_later if false
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chancery-author-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @returns the path of a new folder with these files */
function write(files: Readonly<Record<string, string>>): string {
  const root = join(folder, crypto.randomUUID());
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

const withData = { 'a.rego': ALLOW, 'people/data.yaml': 'ann: {age: 30}\n', 'smoke.json': '[]' };

describe('chancery test', () => {
  it.each(
    readdirSync(POLICIES, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  )('reaches every line of policies/%s, on both evaluators', async (name) => {
    const path = join(POLICIES, name);
    const { code, stdout, stderr } = await runChancery(['test', path, '--coverage', '--threshold', '100']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ coverage: 100, not_covered_lines: 0 });
  });

  it('runs each test on OPA and compiled, with the data of its folders, and tells no more than is asked', async () => {
    const root = write({ ...withData, 'a_test.rego': PASSING });
    const { code, stdout } = await runChancery(['test', root]);
    expect([code, stdout]).toEqual([0, 'PASS: 2/2\nCOMPILED: 2/2\n']);
  });

  it('fails where the compiled module answers otherwise than OPA, and says how', async () => {
    const root = write({ 'a.rego': ALLOW, 'a_test.rego': DIFFERING });
    const { code, stdout } = await runChancery(['test', root]);
    expect(code).toBe(2);
    expect(stdout).toMatch(
      /a_test\.rego:3: data\.a_test\.test_members: DIFFERENT: OPA says true, and the compiled module undefined\n/,
    );
    expect(stdout).toMatch(/^PASS: 1\/1\n[^]*\nDIFFERENT: 1\/1\n$/);
  });

  it('tells failures, skipped tests and tests that cannot be compiled, with the trace of what failed', async () => {
    const root = write({ ...withData, 'a_test.rego': FAILING });
    const { code, stdout } = await runChancery(['test', root, '--explain', 'fails', '--var-values']);
    expect(code).toBe(2);
    expect(stdout).toMatch(/data\.a_test\.test_put: FAIL \(/);
    expect(stdout).toMatch(/\n {2}get: PASS\n {2}put: FAIL\n/);
    expect(stdout).toMatch(/a_test\.rego:7 .*\| Fail data\.a\.allow with input as \{"method": method\}/);
    expect(stdout).toMatch(/Where:\n[^]*method: "PUT"/);
    expect(stdout).toMatch(/FAIL: 3\/5\nSKIPPED: 1\/5\nCOMPILED: 2\/3\nOPA ONLY: 1\/3\n$/);
  });

  it('writes JSON as opa does, with what the compiled module says', async () => {
    const root = write({ ...withData, 'a_test.rego': FAILING });
    const { code, stdout } = await runChancery(['test', root, '--format', 'json']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject([
      {
        location: { row: 5 },
        package: 'data.a_test',
        name: 'test_put',
        fail: true,
        compiled: { outcome: 'same' },
      },
      { name: 'test_table', fail: true, sub_results: { get: {}, put: { fail: true } } },
      {
        name: 'test_mock',
        fail: true,
        compiled: { outcome: 'opa-only', reason: 'it replaces the function upper by `with`' },
      },
      { name: 'todo_test_later', skip: true },
    ]);
  });

  it('writes JUnit, with names that need escaping', async () => {
    const test = 'package a_test\n\ntest_print if {\n\tprint("<&\\"\\u0001>")\n\tfalse\n}\n';
    const { code, stdout } = await runChancery([
      'test',
      write({ 'a.rego': ALLOW, 'a_test.rego': test }),
      '--format',
      'junit',
    ]);
    expect(code).toBe(2);
    expect(stdout).toMatch(
      /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites tests="1" failures="1" errors="0"/,
    );
    expect(stdout).toMatch(
      /<testcase classname="data\.a_test" name="test_print" file="[^"]*a_test\.rego" line="3"/,
    );
    expect(stdout).toContain('<system-out>&lt;&amp;&quot;\ufffd&gt;\n</system-out>');
  });

  it('counts skipped tests as failed unless told otherwise, and knows what was asked for', async () => {
    const root = write({ ...withData, 'a_test.rego': FAILING });
    const skipped = ['test', root, '--run', 'later$'];
    expect((await runChancery(skipped)).code).toBe(2);
    expect((await runChancery([...skipped, '-z'])).code).toBe(0);
    expect((await runChancery(['test', root, '--run', 'no_such_test'])).code).toBe(0);
    const empty = await runChancery(['test', root, '--run', 'no_such_test', '--fail-on-empty']);
    expect([empty.code, empty.stderr]).toEqual([1, 'no tests were run\n']);
  });

  it('fails below the threshold', async () => {
    const root = write({ ...withData, 'a_test.rego': PASSING.replace(/\ntest_known.*\n/, '') });
    const { code, stdout, stderr } = await runChancery(['test', root, '--threshold', '95']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ not_covered_lines: 1 });
    expect(stderr).toMatch(/^Code coverage threshold not met: got \d+\.\d\d instead of 95\.00\n$/);
  });

  it('ends a test that takes too long, and goes on', async () => {
    const slow =
      'test_slow if count([1 | some i in numbers.range(1, 9000); some j in numbers.range(1, 9000)]) == 0';
    const root = write({ ...withData, 'a_test.rego': `${PASSING}\n${slow}\n` });
    const { code, stdout } = await runChancery(['test', root, '--timeout', '2s', '--run', 'slow|get']);
    expect(code).toBe(2);
    expect(stdout).toMatch(/test_slow: ERROR[^]*eval_cancel_error: context deadline exceeded/);
    expect(stdout).toMatch(/PASS: 1\/2\nERROR: 1\/2\n/);
  });

  it('says file, line and column of what does not parse, and of a missing path or an unknown flag what it is', async () => {
    const root = write({ 'a.rego': 'package a\n\nallow if {\n' });
    const broken = await runChancery(['test', root]);
    expect([broken.code, broken.stdout]).toEqual([1, '']);
    expect(broken.stderr).toMatch(/^\S+a\.rego:4:1: rego_parse_error: [^\n]+\n$/);
    const missing = await runChancery(['test', join(root, 'absent')]);
    expect([missing.code, missing.stderr]).toEqual([1, `chancery: There is no ${join(root, 'absent')}\n`]);
    const unknown = await runChancery(['test', root, '--no-such-flag']);
    expect([unknown.code, unknown.stderr]).toEqual([1, "error: unknown option '--no-such-flag'\n"]);
  });

  it('runs again whenever a file changes, until it is stopped', async () => {
    const root = write({ 'a.rego': ALLOW, 'a_test.rego': PASSING, 'data.json': '{"people": {"ann": 1}}' });
    const { child, finished } = spawnChancery(['test', root, '--watch']);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await eventually('both tests pass', () => /PASS: 2\/2\n[^]*Watching for changes/.test(output));
    writeFileSync(join(root, 'data.json'), '{}');
    await eventually('one test fails', () => /FAIL: 1\/2\n[^]*Watching for changes/.test(output));
    child.kill('SIGINT');
    expect((await finished).code).toBe(0);
  });
});

describe('chancery check and fmt', () => {
  it('says nothing of what is right, and one line each of what is wrong', async () => {
    expect(await runChancery(['check', write(withData)])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const wrong = write({ 'a.rego': 'package a\n\nx := undefined_function(1)\n\ny := other_function(1)\n' });
    const { code, stderr } = await runChancery(['check', wrong]);
    expect(code).toBe(1);
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/a\.rego:3:6: rego_type_error: undefined function undefined_function$/),
      expect.stringMatching(/a\.rego:5:6: rego_type_error: undefined function other_function$/),
    ]);
    const json = await runChancery(['check', wrong, '--format', 'json', '--max-errors', '1']);
    expect(JSON.parse(json.stderr)).toEqual({
      errors: [
        {
          code: 'rego_type_error',
          message: 'undefined function undefined_function',
          location: { file: join(wrong, 'a.rego'), row: 3, col: 6 },
        },
      ],
    });
  });

  it('refuses what is unused only when asked to', async () => {
    const root = write({ 'a.rego': 'package a\n\nallow if {\n\tx := 1\n\tinput.y\n}\n' });
    expect((await runChancery(['check', root])).code).toBe(0);
    const strict = await runChancery(['check', '--strict', root]);
    expect([strict.code, strict.stderr]).toEqual([1, expect.stringMatching(/a\.rego:4:2: .*unused\n$/)]);
  });

  it('formats: shows, lists, tells what would change, fails, and rewrites', async () => {
    const root = write({ 'a.rego': 'package a\nallow   if input.x==1\n', 'b.rego': ALLOW });
    const file = join(root, 'a.rego');
    const good = 'package a\n\nallow if input.x == 1\n';
    expect(await runChancery(['fmt', file])).toMatchObject({ code: 0, stdout: good });
    expect(await runChancery(['fmt', '-l', root])).toMatchObject({ code: 0, stdout: `${file}\n` });
    const diff = await runChancery(['fmt', '-d', '--fail', root]);
    expect([diff.code, diff.stdout]).toEqual([2, expect.stringContaining('\n-allow   if input.x==1\n+')]);
    expect(await runChancery(['fmt', '--fail', root])).toMatchObject({ code: 2, stdout: '' });
    expect(await runChancery(['fmt', '-w', root])).toMatchObject({ code: 0, stdout: '' });
    expect(readFileSync(file, 'utf8')).toBe(good);
    expect((await runChancery(['fmt', '--fail', root])).code).toBe(0);
  });
});

describe('chancery eval, deps, build and bench', () => {
  it('answers a query as both evaluators do, in the formats of opa', async () => {
    const root = write({ ...withData, 'in.json': '{"method": "GET", "name": "ann"}' });
    const query = ['eval', '-d', root, '-i', join(root, 'in.json')];
    const json = await runChancery([...query, 'data.a.allow']);
    expect(JSON.parse(json.stdout)).toEqual({
      result: [{ expressions: [{ value: true, text: 'data.a.allow', location: { row: 1, col: 1 } }] }],
    });
    expect((await runChancery([...query, '-f', 'raw', 'input.name'])).stdout).toBe('ann\n');
    const undefinedRule = [...query, '-f', 'pretty', 'data.a.absent'];
    expect(await runChancery(undefinedRule)).toMatchObject({ code: 0, stdout: 'undefined\n' });
    expect((await runChancery([...undefinedRule, '--fail'])).code).toBe(1);
    const bound = [
      ...query,
      '-f',
      'bindings',
      'some name, person in data.people; age := person.age; age > 18',
    ];
    for (const target of ['both', 'opa', 'wasm']) {
      const { stdout } = await runChancery([...bound, '--target', target]);
      expect(JSON.parse(stdout)).toEqual({ name: 'ann', person: { age: 30 }, age: 30 });
    }
  });

  it('fails when the two differ, and answers with either when told to', async () => {
    const query = ['eval', '-f', 'raw', `[${HUGE}]`];
    const { code, stdout, stderr } = await runChancery(query);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^chancery: OPA says .*\[2\].*, and the compiled module /);
    expect((await runChancery([...query, '--target', 'opa'])).stdout).toBe('[2]\n');
    expect((await runChancery([...query, '--target', 'wasm'])).stdout).toBe('[1]\n');
  });

  it('takes a set for the same in whatever order, also inside of a value', async () => {
    const query = '{"inner": [{"b", "a", "c"}], "rest": {3, 1}}';
    const { code, stdout } = await runChancery(['eval', '-f', 'raw', query]);
    expect([code, JSON.parse(stdout)]).toEqual([0, { inner: [['a', 'b', 'c']], rest: [1, 3] }]);
  });

  it('tells errors of the query and of the evaluation', async () => {
    const broken = await runChancery(['eval', '1 +']);
    expect([broken.code, JSON.parse(broken.stdout)]).toMatchObject([
      2,
      { errors: [{ code: 'rego_parse_error' }] },
    ]);
    const rules = 'package a\n\nx := 1 if input\n\nx := 2 if input\n';
    const conflict = await runChancery([
      'eval',
      '-f',
      'pretty',
      '-d',
      write({ 'a.rego': rules }),
      'data.a.x with input as 1',
    ]);
    expect(conflict.code).toBe(2);
    expect(conflict.stderr).toMatch(/eval_conflict_error/);
  });

  it('says what a rule depends on', async () => {
    const { code, stdout } = await runChancery(['deps', write(withData), 'data.a.is_known']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\| data\.people +\| data\.a\.is_known +\| input\.name \|/);
    const json = await runChancery(['deps', '-f', 'json', write(withData), 'data.a.allow']);
    const ref = (...names: string[]) =>
      names.map((value, index) => ({ type: index === 0 ? 'var' : 'string', value }));
    expect(JSON.parse(json.stdout)).toEqual({
      base: [ref('input', 'method')],
      virtual: [ref('data', 'a', 'allow')],
    });
  });

  it('builds a bundle with the module, the data and a manifest that names the entrypoints; twice the same', async () => {
    const root = write({ ...withData, 'a_test.rego': PASSING });
    const [one, two] = [join(root, '1.tar.gz'), join(root, '2.tar.gz')];
    for (const output of [one, two]) {
      const flags = ['-e', 'a/allow', '-e', 'data.a.is_known', '-r', 'seven', '-o', output];
      expect(await runChancery(['build', root, ...flags])).toMatchObject({ code: 0, stderr: '' });
    }
    expect(readFileSync(two).equals(readFileSync(one))).toBe(true);
    const files = await unpackBundle(readFileSync(one));
    const text = (name: string): string => Buffer.from(files.get(name) ?? []).toString();
    expect(JSON.parse(text('.manifest'))).toEqual({
      revision: 'seven',
      roots: [''],
      rego_version: 1,
      wasm: [
        { entrypoint: 'a/allow', module: '/policy.wasm' },
        { entrypoint: 'a/is_known', module: '/policy.wasm' },
      ],
    });
    expect(JSON.parse(text('data.json'))).toEqual({ people: { ann: { age: 30 } } });
    const module = new WebAssembly.Module(Buffer.from(files.get('policy.wasm') ?? []));
    expect(meteringOf(module)).toBeUndefined();
    expect([...files.keys()].some((name) => name.endsWith('_test.rego'))).toBe(false);
    const absent = await runChancery(['build', root, '-e', 'a/absent', '-o', join(root, '3.tar.gz')]);
    expect([absent.code, absent.stderr]).toEqual([1, expect.stringContaining('a/absent')]);
  });

  it('measures both evaluators, and says what an evaluation costs', async () => {
    const flags = ['data.a.allow', '--count', '2', '--format', 'json'];
    const { code, stdout } = await runChancery(['bench', write(withData), ...flags]);
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as Record<string, number>;
    expect(Object.keys(result).sort()).toEqual(
      ['highestRatio', 'lowestRatio', 'oursMicroseconds', 'opaMicroseconds', 'ratio', 'units'].sort(),
    );
    expect(Math.min(...Object.values(result))).toBeGreaterThan(0);
    const again = await runChancery(['bench', write(withData), ...flags]);
    expect((JSON.parse(again.stdout) as { units: number }).units).toBe(result['units']);
    expect((await runChancery(['bench', write(withData), '1 + 1'])).code).toBe(1);
  });
});
