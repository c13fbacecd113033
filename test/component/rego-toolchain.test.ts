import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { Failure, type FailureIssue } from '../../src/core/failure.ts';
import { ARTEFACT } from '../../src/rego/artefact.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';

const OPTIONS = { callTimeoutMs: 30_000, maxQueued: 16, maxMemoryMiB: 512 };
const ENTRYPOINTS = ['envoy/authz/allow'];
const ALLOW = 'package envoy.authz\n\nallow if input.ok\n';
/** Does not end within the life of a test run. */
const RUNAWAY = `package endless_test

test_endless if {
	count([1 | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); some c in numbers.range(1, 9999); a + b + c < 0]) == 1
}
`;

const toolchain = createToolchain(OPTIONS);
afterAll(() => toolchain.close());

function source(modules: Record<string, string>, data: object = {}) {
  return { modules, data, builtins: NATIVE_BUILTINS };
}

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof Failure) return thrown;
  throw new Error(`no Failure, but ${String(thrown)}`);
}

async function issuesOf(modules: Record<string, string>, data?: object): Promise<readonly FailureIssue[]> {
  const failure = await failureOf(toolchain.check(source(modules, data)));
  expect(failure.code).toBe('policy_rejected');
  return failure.issues;
}

describe('checking a policy', () => {
  it('finds nothing wrong with a good one', async () => {
    await expect(toolchain.check(source({ 'a.rego': ALLOW }))).resolves.toBeUndefined();
  });

  it('names file, line and column of the parse errors of all files', async () => {
    const issues = await issuesOf({
      'b.rego': 'package b\n\nallow {\n}\n',
      'a.rego': 'package a\n\nx := ]\n',
    });
    const firstOf = (file: string) => issues.find((issue) => issue.file === file);
    expect(firstOf('a.rego')).toMatchObject({ line: 3, column: 6, code: 'rego_parse_error' });
    expect(firstOf('b.rego')).toMatchObject({ line: 4, column: 1, code: 'rego_parse_error' });
  });

  it('names file, line and column of each type error', async () => {
    const text = 'package a\n\nx if lower(1) == "2"\n\ny if {\n\tupper(1)\n}\n';
    expect(await issuesOf({ 'dir/a.rego': text })).toEqual([
      expect.objectContaining({ code: 'rego_type_error', file: 'dir/a.rego', line: 3, column: 6 }),
      expect.objectContaining({ code: 'rego_type_error', file: 'dir/a.rego', line: 6, column: 2 }),
    ]);
    expect(await issuesOf({ 'a.rego': 'package a\n\nx if {\n\tunknown(1)\n}\n' })).toEqual([
      { code: 'rego_type_error', message: 'undefined function unknown', file: 'a.rego', line: 4, column: 2 },
    ]);
  });

  it('refuses a built-in that the evaluator has not, with its name and where it is called', async () => {
    const text = 'package a\n\nallow if {\n\tio.jwt.decode(input.token)[1].admin\n}\n';
    expect(await issuesOf({ 'a.rego': text })).toEqual([
      {
        code: 'rego_type_error',
        message: 'built-in function io.jwt.decode is not supported',
        file: 'a.rego',
        line: 4,
        column: 2,
      },
    ]);
  });

  it('refuses `concat` of a set, whose order would not be that of OPA', async () => {
    const issues = await issuesOf({ 'a.rego': 'package a\n\nx := concat(",", {"b", "a"})\n' });
    expect(issues).toEqual([expect.objectContaining({ file: 'a.rego', line: 3, column: 6 })]);
  });

  it('lets a test call what the policy itself may not', async () => {
    const test = 'package a_test\n\ntest_time if time.now_ns() > 0\n';
    await expect(toolchain.check(source({ 'a.rego': ALLOW, 'a_test.rego': test }))).resolves.toBeUndefined();
  });

  it('finds errors in tests too', async () => {
    const issues = await issuesOf({
      'a.rego': ALLOW,
      'a_test.rego': 'package t\n\ntest_x if no_such_thing\n',
    });
    expect(issues).toEqual([expect.objectContaining({ file: 'a_test.rego', line: 3, column: 11 })]);
  });

  it('refuses data that hides a rule', async () => {
    const issues = await issuesOf({ 'a.rego': 'package a\n\nallow := true\n' }, { a: { allow: false } });
    expect(issues).toEqual([
      expect.objectContaining({
        file: 'a.rego',
        line: 3,
        message: 'conflicting rule for data path a/allow found',
      }),
    ]);
  });

  it('refuses Rego of version 0, an empty file and 200,000 nested arrays', async () => {
    expect((await issuesOf({ 'a.rego': 'package a\n\nallow { true }\n' }))[0]).toMatchObject({ line: 3 });
    expect(await issuesOf({ 'a.rego': '' })).toEqual([
      { code: 'rego_parse_error', message: 'empty module', file: 'a.rego', line: 1, column: 1 },
    ]);
    const deep = `package a\n\nx := ${'['.repeat(200_000)}${']'.repeat(200_000)}\n`;
    expect((await issuesOf({ 'a.rego': deep }))[0]).toMatchObject({
      message: 'max parsing recursion depth exceeded',
    });
  });
});

describe('compiling a policy', () => {
  it('gives a WebAssembly module with the entrypoints asked for and no other', async () => {
    const modules = {
      'a.rego': `${ALLOW}\nother if allow\n`,
      'a_test.rego': 'package a_test\n\ntest_x if true\n',
    };
    const { wasm, entrypoints } = await toolchain.compile({ ...source(modules), entrypoints: ENTRYPOINTS });
    expect(entrypoints).toEqual(ENTRYPOINTS);
    expect(WebAssembly.validate(Buffer.from(wasm))).toBe(true);
  });

  it('gives the same bytes for the same policy', async () => {
    const request = {
      ...source({ 'a.rego': ALLOW, 'b.rego': 'package b\n\nx := 1\n' }),
      entrypoints: ENTRYPOINTS,
    };
    const [one, two] = [await toolchain.compile(request), await toolchain.compile(request)];
    expect(Buffer.from(two.wasm).equals(one.wasm)).toBe(true);
  });

  it('points at an entrypoint that is no rule', async () => {
    const request = { ...source({ 'a.rego': ALLOW }), entrypoints: [...ENTRYPOINTS, 'envoy/authz/absent'] };
    const failure = await failureOf(toolchain.compile(request));
    expect(failure.issues).toEqual([
      expect.objectContaining({ pointer: '/entrypoints/1', code: 'entrypoint_undefined' }),
    ]);
  });
});

describe('running tests', () => {
  it('reports each one with its place: passed, failed, ended by an error, skipped', async () => {
    const test = `package a_test

test_pass if {
	print("seen")
	data.envoy.authz.allow with input as {"ok": true}
}

test_fail if data.envoy.authz.allow with input as {}

test_error if {
	x := "x"
	to_number(x) == 1
}

todo_test_later if false

test_table[note] if {
	some note, ok in {"first": true, "second": false}
	data.envoy.authz.allow with input as {"ok": ok}
}
`;
    const { tests } = await toolchain.test(source({ 'a.rego': ALLOW, 'a_test.rego': test }));
    expect(tests).toMatchObject([
      {
        name: 'data.a_test.test_pass',
        file: 'a_test.rego',
        row: 3,
        col: 1,
        outcome: 'pass',
        output: 'seen\n',
      },
      { name: 'data.a_test.test_fail', row: 8, outcome: 'fail' },
      { name: 'data.a_test.test_error', row: 10, outcome: 'error', error: { file: 'a_test.rego', row: 12 } },
      { name: 'data.a_test.todo_test_later', row: 15, outcome: 'skip' },
      { name: 'data.a_test.test_table', row: 17, outcome: 'fail', failedCases: ['second'] },
    ]);
  });

  it('gives them the static data', async () => {
    const modules = { 'a_test.rego': 'package a_test\n\ntest_data if data.limits.most == 3\n' };
    expect((await toolchain.test(source(modules, { limits: { most: 3 } }))).tests).toMatchObject([
      { outcome: 'pass' },
    ]);
  });

  it('says which lines they do not reach', async () => {
    const modules = {
      'a.rego': `${ALLOW}\nnever if {\n\tinput.never\n}\n`,
      'a_test.rego': 'package a_test\n\ntest_x if data.envoy.authz.allow with input as {"ok": true}\n',
    };
    const { coverage } = await toolchain.test({ ...source(modules), coverage: true });
    expect(coverage?.percent).toBeLessThan(100);
    expect(coverage?.notCovered).toEqual([
      { file: 'a.rego', first: 5, last: 5 },
      { file: 'a.rego', first: 6, last: 6 },
    ]);
  });
});

describe('evaluating with OPA', () => {
  it('keeps what undefined, a value and an error are apart, and the text of numbers', async () => {
    const text = 'package p\n\nx := input.n\n\ny := 1 if input.a\n\ny := 2 if input.b\n';
    const request = source({ 'p.rego': text });
    const numbers = ['{}', '{"n":9007199254740993}', '{"n":403.0}', '{"n":4e2}', '{'];
    const outcomes = await toolchain.evaluate({ ...request, entrypoint: 'p/x', inputs: numbers });
    expect(outcomes).toEqual([
      {},
      { text: '9007199254740993' },
      { text: '403.0' },
      { text: '4e2' },
      { error: expect.objectContaining({ code: 'input_error' }) },
    ]);
    const [conflict] = await toolchain.evaluate({ ...request, entrypoint: 'p/y', inputs: ['{"a":1,"b":1}'] });
    expect(conflict?.error).toMatchObject({ code: 'eval_conflict_error', file: 'p.rego' });
  });
});

describe('the worker of the toolchain', () => {
  it('is the compiler that the artefact says', async () => {
    expect(await toolchain.version()).toEqual({ opa: ARTEFACT.opa, go: ARTEFACT.go });
  });

  it('ends a test that does not end, and answers the next call', async () => {
    await using impatient = disposable({ ...OPTIONS, callTimeoutMs: 3_000 });
    const endless = impatient.toolchain.test(source({ 'endless_test.rego': RUNAWAY }));
    const next = impatient.toolchain.check(source({ 'a.rego': ALLOW }));
    expect((await failureOf(endless)).code).toBe('deadline_exceeded');
    await expect(next).resolves.toBeUndefined();
  });

  it('ends a test that takes all memory, and answers the next call', async () => {
    await using small = disposable({ ...OPTIONS, maxMemoryMiB: 96 });
    const greedy = `package greedy_test

test_greedy if {
	count([[a, b] | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999)]) == 1
}
`;
    expect((await failureOf(small.toolchain.test(source({ 'greedy_test.rego': greedy })))).code).toBe(
      'internal',
    );
    await expect(small.toolchain.check(source({ 'a.rego': ALLOW }))).resolves.toBeUndefined();
  });

  it('ends a call that nobody waits for any more, running or waiting', async () => {
    const [running, waiting] = [new AbortController(), new AbortController()];
    const first = toolchain.test(source({ 'endless_test.rego': RUNAWAY }), running.signal);
    const second = toolchain.check(source({ 'a.rego': ALLOW }), waiting.signal);
    const third = toolchain.check(source({ 'a.rego': ALLOW }));
    waiting.abort();
    expect((await failureOf(second)).code).toBe('deadline_exceeded');
    running.abort();
    expect((await failureOf(first)).code).toBe('deadline_exceeded');
    await expect(third).resolves.toBeUndefined();
    expect((await failureOf(toolchain.version(running.signal))).code).toBe('deadline_exceeded');
  });

  it('refuses a call when too many wait', async () => {
    await using narrow = disposable({ ...OPTIONS, maxQueued: 1 });
    const calls = [1, 2, 3].map(() => narrow.toolchain.version());
    const settled = await Promise.allSettled(calls);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect((await failureOf(calls[2]!)).code).toBe('overloaded');
  });

  it('leaves this thread free while it works', async () => {
    let turns = 0;
    const turning = setInterval(() => {
      turns += 1;
    }, 1);
    await toolchain.compile({ ...source({ 'a.rego': ALLOW }), entrypoints: ENTRYPOINTS });
    clearInterval(turning);
    expect(turns).toBeGreaterThan(3);
  });

  it('rejects what waits when it is closed', async () => {
    const closing = createToolchain(OPTIONS);
    const calls = [closing.version(), closing.version()];
    const codes = Promise.all(calls.map(async (call) => (await failureOf(call)).code));
    await closing.close();
    expect(await codes).toEqual(['internal', 'internal']);
    expect((await failureOf(closing.version())).code).toBe('internal');
  });

  it('does not run an artefact of which one byte is another', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chancery-artefact-'));
    try {
      const bytes = readFileSync(new URL('../../src/rego/toolchain.wasm.br', import.meta.url));
      bytes.writeUInt8(bytes.readUInt8(1_000) ^ 1, 1_000);
      const file = join(folder, 'toolchain.wasm.br');
      writeFileSync(file, bytes);
      const tampered = createToolchain(OPTIONS, silentLogger, pathToFileURL(file));
      const failure = await failureOf(tampered.version());
      expect(failure.code).toBe('internal');
      expect(String(failure.cause)).toContain('not the one that was built');
      await tampered.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

function disposable(options: typeof OPTIONS) {
  const made = createToolchain(options);
  return { toolchain: made, [Symbol.asyncDispose]: () => made.close() };
}
