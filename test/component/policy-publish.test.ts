import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { Failure, type FailureIssue } from '../../src/core/failure.ts';
import { ALL_BUILTINS, HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { readPolicyFolder } from '../../src/policy/folder.ts';
import { publishPolicy } from '../../src/policy/publish.ts';
import { runSmoke } from '../../src/policy/smoke.ts';
import type { PolicySource } from '../../src/policy/source.ts';
import { createToolchain, TOOLCHAIN_NAME } from '../../src/rego/toolchain.ts';

const QUICKSTART = fileURLToPath(new URL('../../policies/quickstart', import.meta.url));
const ALLOW = 'package envoy.authz\n\ndefault allow := false\n\nallow if input.ok\n';

const toolchain = createToolchain({ callTimeoutMs: 30_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

async function refusal(source: PolicySource): Promise<readonly FailureIssue[]> {
  const thrown = await publishPolicy('p', source, { toolchain }).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Failure)) throw new Error(`not refused: ${String(thrown)}`);
  expect(thrown.code).toBe('policy_rejected');
  return thrown.issues;
}

describe('publishing a policy', () => {
  it('prepares a revision of the quickstart, the same each time', async () => {
    const source = readPolicyFolder(QUICKSTART);
    const prepared = await publishPolicy('quickstart', source, { toolchain });
    expect(prepared.draft).toEqual({
      kind: 'policy.revision',
      body: {
        policy: 'quickstart',
        revision: sha256(prepared.source),
        source: sha256(prepared.source),
        artefact: sha256(prepared.artefact),
        entrypoints: ['envoy/authz/allow'],
        toolchain: TOOLCHAIN_NAME,
        abi: '1.3',
        tests: 11,
        metering: 1,
        smokeUnits: source.smoke?.map(() => expect.any(Number)),
        inputs: [['attributes', 'request', 'http'], ['identity', 'user'], ['parsed_path']],
        builtins: [],
      },
    });
    expect((await publishPolicy('quickstart', source, { toolchain })).body).toEqual(prepared.body);
  });

  it('refuses what has not the form of a policy, with a pointer', async () => {
    const issues = await refusal({ modules: { 'a.rego': ALLOW }, data: 1 } as unknown as PolicySource);
    expect(issues).toEqual([expect.objectContaining({ pointer: '/data' })]);
  });

  it('refuses what does not compile, with file, line and column', async () => {
    const issues = await refusal({ modules: { 'a.rego': `${ALLOW}\nallow if unknown\n` } });
    expect(issues).toEqual([
      { code: 'rego_unsafe_var_error', message: expect.any(String), file: 'a.rego', line: 7, column: 10 },
    ]);
  });

  it('refuses an entrypoint that is no rule, with a pointer', async () => {
    const issues = await refusal({ modules: { 'a.rego': ALLOW }, entrypoints: ['envoy/authz/other'] });
    expect(issues).toEqual([expect.objectContaining({ pointer: '/entrypoints/0' })]);
  });

  it('refuses what fails its test, with file, line and column, and what the test printed', async () => {
    const test =
      'package t\n\ntest_denied if {\n\tprint("ok is", true)\n\tnot data.envoy.authz.allow with input as {"ok": true}\n}\n';
    expect(await refusal({ modules: { 'a.rego': ALLOW, 'a_test.rego': test } })).toEqual([
      {
        code: 'test_failed',
        message: 'data.t.test_denied failed; it printed "ok is true\\n"',
        file: 'a_test.rego',
        line: 3,
        column: 1,
      },
    ]);
  });

  it('says of a test that ended with an error where it ended', async () => {
    const modules = {
      'a.rego': 'package envoy.authz\n\nallow := true if input.a\n\nallow := false if input.b\n',
      'a_test.rego': 'package t\n\ntest_x if data.envoy.authz.allow with input as {"a": 1, "b": 1}\n',
    };
    const [issue] = await refusal({ modules });
    expect(issue).toMatchObject({ code: 'test_error', file: 'a.rego' });
    expect(issue?.message).toContain(
      'data.t.test_x ended with an error: rule data.envoy.authz.allow produced conflicting values',
    );
  });

  it('refuses what fails its smoke cases, each by its pointer', async () => {
    const smoke = [
      { input: { ok: true }, result: true },
      { input: { ok: true }, result: false },
      { input: {} },
      { input: {}, entrypoint: 'envoy/authz/absent', result: true },
    ];
    const issues = await refusal({ modules: { 'a.rego': ALLOW }, smoke });
    expect(issues.map(({ pointer }) => pointer)).toEqual(['/smoke/1', '/smoke/2', '/smoke/3']);
    expect(issues[0]?.message).toBe('expected false, and envoy/authz/allow says true');
    expect(issues[1]?.message).toBe('expected undefined, and envoy/authz/allow says false');
  });

  it('takes a smoke case without a result for one that expects undefined', async () => {
    const modules = { 'a.rego': 'package envoy.authz\n\nallow if input.ok\n' };
    const smoke = [{ input: {} }, { input: { ok: true }, result: true }];
    await expect(publishPolicy('p', { modules, smoke }, { toolchain })).resolves.toMatchObject({
      body: { tests: 0 },
    });
  });

  it.each<[hosts: number, rule: string]>([
    [2, 'input.path[0] in data.paths'],
    // that host has no built-in function of its own for it, and those that it has answer otherwise
    [1, 'crypto.sha256(input.path[0]) != ""'],
  ])('runs the smoke cases on %i hosts: %s', async (hosts, rule) => {
    const source = {
      entrypoints: ['envoy/authz/allow'],
      data: { paths: ['a'] },
      smoke: [{ input: { path: ['a'] }, result: true }],
    };
    const modules = { 'a.rego': `package envoy.authz\n\nallow if ${rule}\n` };
    const { entrypoints } = source;
    const { wasm } = await toolchain.compile({
      modules,
      builtins: ALL_BUILTINS,
      host: HOST_BUILTINS,
      entrypoints,
    });
    const report = await runSmoke({ wasm, source, maxMemoryMiB: 8, maxUnits: 1e6, maxToolchainMiB: 64 });
    expect(report).toMatchObject({ hosts, issues: [] });
  });

  it('gives the static data to the smoke cases', async () => {
    const modules = { 'a.rego': 'package envoy.authz\n\nallow := data.answer\n' };
    const source = { modules, data: { answer: 42 }, smoke: [{ input: {}, result: 42 }] };
    await expect(publishPolicy('p', source, { toolchain })).resolves.toMatchObject({ body: { policy: 'p' } });
  });

  it('refuses a smoke case that costs more than the budget, and goes on', async () => {
    const endless = 'count([1 | some a in xs; some b in xs; some c in xs; c == input.x])';
    const rego = `package envoy.authz\n\nxs := numbers.range(1, 3000)\n\nallow if ${endless} == 0\n`;
    const modules = { 'a.rego': rego };
    const smoke = [{ input: { x: 'x' } }];
    expect(await refusal({ modules, smoke })).toEqual([
      {
        pointer: '/smoke/0',
        code: 'smoke_failed',
        message: expect.stringContaining('The evaluation needs more than 50000000 units'),
      },
    ]);
    await expect(publishPolicy('p', { modules: { 'a.rego': ALLOW } }, { toolchain })).resolves.toBeDefined();
  });

  it('says what each smoke case costs, the same each time, and keeps to the budget that it is given', async () => {
    const smoke = [
      { input: {}, result: false },
      { input: { ok: true, rest: 'x'.repeat(10_000) }, result: true },
    ];
    const source = { modules: { 'a.rego': ALLOW }, smoke };
    const { body } = await publishPolicy('p', source, { toolchain });
    const [small = 0, large = 0] = body.smokeUnits ?? [];
    expect(body.smokeUnits).toHaveLength(2);
    expect(small).toBeGreaterThan(0);
    expect(large).toBeGreaterThan(small);
    const exactly = await publishPolicy('p', source, { toolchain, maxUnits: large });
    expect(exactly.body).toEqual(body);
    await expect(publishPolicy('p', source, { toolchain, maxUnits: large - 1 })).rejects.toMatchObject({
      code: 'policy_rejected',
      issues: [{ pointer: '/smoke/1' }],
    });
  });

  it('stops when nobody waits any more', async () => {
    const signal = AbortSignal.abort();
    const thrown: unknown = await publishPolicy(
      'p',
      { modules: { 'a.rego': ALLOW } },
      { toolchain, signal },
    ).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'deadline_exceeded' });
  });
});
