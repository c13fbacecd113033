import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createIdentityMeasures } from '../../src/identity/measures.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type Stack, startStack } from '../support/stack.ts';

const RULE = 'package envoy.authz\n\nallow := true\n';

describe('the metrics of a running program', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack();
  });
  afterAll(() => stack?.stop());

  const valueOf = async (series: string): Promise<number> => {
    const lines = (await stack.app.world.metrics.render()).split('\n');
    return Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1) ?? 'NaN');
  };

  it('count calls of the API by operation and status, and refusals by code, never by what a client has sent', async () => {
    const url = `http://127.0.0.1:${stack.app.ports.admin}`;
    expect((await fetch(`${url}/v1/services`)).status).toBe(401);
    expect((await fetch(`${url}/never-heard-of`)).status).toBe(401);
    await expect(
      stack.client.GET('/v1/services/{name}', { params: { path: { name: 'unheard-of' } } }),
    ).rejects.toThrow();
    expect(await valueOf('chancery_admin_requests_total{operation="listServices",status="4xx"}')).toBe(1);
    expect(await valueOf('chancery_admin_requests_total{operation="getService",status="4xx"}')).toBe(1);
    expect(await valueOf('chancery_admin_requests_total{operation="none",status="4xx"}')).toBe(1);
    expect(await valueOf('chancery_admin_refusals_total{code="credential_missing"}')).toBe(2);
    expect(await valueOf('chancery_admin_refusals_total{code="not_found"}')).toBe(1);
    expect(await valueOf('chancery_admin_request_duration_seconds_count{operation="getService"}')).toBe(1);
    expect(await stack.app.world.metrics.render()).not.toMatch(/heard-of/);
  });

  it('count calls of the toolchain and of the store, and name the one revision that runs', async () => {
    const first = await stack.publishAndRelease('measured', RULE);
    await stack.app.world.follower.sync();
    const running = (revision: string): string =>
      `chancery_policy_running_info{policy="measured",revision="${revision}"}`;
    await expect.poll(() => valueOf(running(first))).toBe(1);
    const second = await stack.publish('measured', `${RULE}\nother := 1\n`);
    await stack.release('measured', second);
    await expect.poll(() => valueOf(running(second))).toBe(1);
    expect(await valueOf(running(first))).toBeNaN();
    expect(await valueOf('chancery_rego_calls_total{call="compile",outcome="answered"}')).toBe(2);
    expect(await valueOf('chancery_rego_worker_starts_total')).toBe(1);
    await expect(stack.publish('broken', 'no rego')).rejects.toThrow();
    expect(await valueOf('chancery_rego_calls_total{call="compile",outcome="policy_rejected"}')).toBe(1);
    expect(await valueOf('chancery_store_call_duration_seconds_count{call="append"}')).toBeGreaterThan(3);
    expect(await valueOf('chancery_store_calls_waiting')).toBe(0);
    await expect(stack.app.world.blobs.get(`sha256:${'0'.repeat(64)}`)).rejects.toThrow();
    expect(await valueOf('chancery_store_failures_total{call="get_blob",code="not_found"}')).toBe(1);
  });
});

describe('the metrics of identity', () => {
  const start = () => {
    const metrics = createMetrics();
    const names = new Set(['idp']);
    let nowMs = 10_000;
    const issuers = {
      get: (name: string) => (names.has(name) ? ({ name } as never) : undefined),
      list: () => [],
      byIssuer: () => undefined,
    };
    const measures = createIdentityMeasures(metrics, { issuers, clock: { nowMs: () => nowMs } });
    return { metrics, names, measures, pass: (ms: number) => void (nowMs += ms) };
  };

  it('count how authentications ended, good and bad', async () => {
    const { metrics, measures } = start();
    const outcomes = [{}, { workload: { spiffe: 's' } }, { user: {} }, 'authentication_required'];
    const authenticate = measures.counted(async () => {
      if (outcomes.length === 0) throw new Error('anything');
      return outcomes.shift() as never;
    });
    const run = () => authenticate({} as never, 'jwt', () => new AbortController().signal);
    for (let n = 0; n < 4; n += 1) await run();
    await expect(run()).rejects.toThrow('anything');
    const text = await metrics.render();
    for (const result of ['anonymous', 'workload', 'user', 'authentication_required', 'internal'])
      expect(text).toContain(`chancery_authentications_total{result="${result}"} 1\n`);
    expect(text).toContain('chancery_authentications_total{result="workload_and_user"} 0\n');
  });

  it('tell how old the keys of each issuer are, and forget an issuer that is gone', async () => {
    const { metrics, names, measures, pass } = start();
    measures.keysRead('idp', true);
    pass(5_000);
    measures.keysRead('idp', false);
    const text = await metrics.render();
    expect(text).toContain('chancery_issuer_key_reads_total{issuer="idp",result="read"} 1\n');
    expect(text).toContain('chancery_issuer_key_reads_total{issuer="idp",result="failed"} 1\n');
    expect(text).toContain('chancery_issuer_keys_age_seconds{issuer="idp"} 5\n');
    names.delete('idp');
    expect(await metrics.render()).not.toContain('idp');
  });
});
