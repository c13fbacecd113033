import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import { systemClock } from '../../src/core/clock.ts';
import { Failure } from '../../src/core/failure.ts';
import type { Json } from '../../src/core/json.ts';
import { type DecideDeps, decide } from '../../src/decision/decide.ts';
import type { RawResult } from '../../src/decision/output.ts';
import { checkService, createCheckHandler } from '../../src/ext-authz/service.ts';
import { createGrpcServer } from '../../src/grpc/server.ts';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { peerClaims } from '../../src/identity/peer.ts';
import { createIssuers } from '../../src/identity/state.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { aCheckRequest, type CheckClient, createCheckClient } from '../support/check-client.ts';
import { identityOptions } from '../support/identity-options.ts';

interface World {
  readonly evaluate?: (input: Json) => RawResult;
  readonly authenticate?: DecideDeps['authenticate'];
  readonly clock?: Clock;
  readonly maxConcurrent?: number;
  readonly enrolled?: boolean;
}
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const result = (value: Json): RawResult => ({ defined: true, value, text: JSON.stringify(value) });

async function start(world: World): Promise<{ client: CheckClient; metrics: () => Promise<string> }> {
  const clock = world.clock ?? systemClock;
  const metrics = createMetrics();
  const deps: DecideDeps = {
    registry: {
      service: () => undefined,
      settings: () => undefined,
      isGranted: () => false,
      isBarred: () => false,
    },
    policies: {
      releasedNames: () => ['quickstart'],
      select: (name) => ({
        name,
        revision: 'r',
        seq: 7,
        reads: true,
        evaluate: (_entrypoint, input) =>
          (world.evaluate ?? (() => result(true)))(JSON.parse(Buffer.from(input).toString())),
      }),
    },
    authenticate:
      world.authenticate ??
      createAuthenticator({ issuers: createIssuers().view, options: identityOptions(), clock }),
  };
  const handler = createCheckHandler({
    decide: (request, deadline, notes) => decide(request, deps, deadline, notes),
    peerClaims:
      world.enrolled === undefined
        ? peerClaims
        : () => ({ enrolled: world.enrolled === true, mayAskFor: (name) => name !== 'foreign' }),
    options: { maxConcurrent: world.maxConcurrent ?? 100, defaultDeadlineMs: 5000 },
    clock,
    logger: silentLogger,
    metrics,
    newDecisionId: () => 'decision-1',
  });
  const server = createGrpcServer(
    { address: '127.0.0.1', port: 0, maxMessageBytes: 1024 * 1024, maxConcurrentStreams: 256 },
    [checkService(handler)],
    silentLogger,
  );
  const client = createCheckClient(`127.0.0.1:${await server.listen()}`);
  closers.push(async () => {
    client.close();
    await server.close(1000);
  });
  return { client, metrics: () => metrics.render() };
}

const DECISION_ID = { decision_id: { kind: 'stringValue', stringValue: 'decision-1' } };

describe('a Check from a real gRPC client', () => {
  it('is allowed with the headers that the policy sets', async () => {
    const { client, metrics } = await start({
      evaluate: (input) =>
        result({ allowed: true, headers: { 'x-path': (input as { parsed_path: string[] }).parsed_path } }),
    });
    const answer = await client.check(aCheckRequest({ path: '/a/b' }));
    expect(answer.status).toEqual({});
    expect(answer.ok_response?.headers).toMatchObject([
      { header: { key: 'x-path', value: 'a' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      { header: { key: 'x-path', value: 'b' }, append: { value: true } },
    ]);
    expect(answer.dynamic_metadata?.fields).toEqual(DECISION_ID);
    expect(await metrics()).toContain(
      'chancery_checks_total{effect="allow",reason="policy_allowed",policy="quickstart"} 1',
    );
  });

  it.each<[string, World, object]>([
    [
      'denied as the policy words it',
      {
        evaluate: () =>
          result({ allowed: false, http_status: 404, body: 'no', headers: { 'x-why': 'because' } }),
      },
      {
        status: { code: 7 },
        denied_response: {
          status: { code: 'NotFound' },
          body: 'no',
          headers: [{ header: { key: 'x-why' } }],
        },
      },
    ],
    [
      'denied when the policy says nothing',
      { evaluate: () => ({ defined: false }) },
      { status: { code: 7 }, denied_response: { status: { code: 'Forbidden' } } },
    ],
    [
      'denied when the policy says something odd',
      { evaluate: () => result({ allowed: 'yes' }) },
      { status: { code: 13 }, denied_response: { status: { code: 'InternalServerError' } } },
    ],
    [
      'denied when the evaluator throws a string',
      {
        evaluate: () => {
          // oxlint-disable-next-line only-throw-error
          throw 'opa_abort';
        },
      },
      { status: { code: 13 }, denied_response: { status: { code: 'InternalServerError' } } },
    ],
    [
      'denied when nobody knows who asks',
      { authenticate: async () => 'authentication_required' },
      { status: { code: 7 }, denied_response: { status: { code: 'Unauthorized' } } },
    ],
    [
      'denied when the credential is bad',
      { authenticate: async () => Promise.reject(new Failure('credential_invalid', 'x')) },
      { status: { code: 16 }, denied_response: { status: { code: 'Unauthorized' } } },
    ],
  ])('is %s', async (_title, world, expected) => {
    const { client } = await start(world);
    const answer = await client.check(aCheckRequest());
    expect(answer).toMatchObject({ http_response: 'denied_response', ...expected });
    expect(answer.dynamic_metadata?.fields).toEqual(DECISION_ID);
  });

  it.each<[string, object]>([
    ['a path with a bad escape', { path: '/a%zz' }],
    ['a query with a semicolon', { path: '/a?b;c' }],
    ['a body that is not JSON', { headers: { 'content-type': 'application/json' }, body: '{' }],
  ])('of %s is denied with 400 before any policy', async (_title, http) => {
    let evaluations = 0;
    const { client } = await start({ evaluate: () => result((evaluations += 1) > 0) });
    const answer = await client.check(aCheckRequest(http));
    expect(answer).toMatchObject({
      status: { code: 3 },
      denied_response: { status: { code: 'BadRequest' } },
    });
    expect(evaluations).toBe(0);
  });

  it('of bytes that are no CheckRequest is denied with 400 in an OK RPC', async () => {
    const { client } = await start({});
    const answer = await client.checkBytes(Buffer.from('not protobuf'));
    expect(answer.denied_response?.status.code).toBe('BadRequest');
  });

  it('beyond the bound is denied as overloaded, and the next one finds its place again', async () => {
    const waiting: (() => void)[] = [];
    const { client } = await start({
      maxConcurrent: 2,
      authenticate: () => new Promise((resolve) => waiting.push(() => resolve({}))),
    });
    const answers = [
      client.check(aCheckRequest()),
      client.check(aCheckRequest()),
      client.check(aCheckRequest()),
    ];
    const first = await Promise.race(answers);
    expect(first).toMatchObject({
      status: { code: 8 },
      denied_response: { status: { code: 'ServiceUnavailable' } },
    });
    expect(first.denied_response?.headers).toContainEqual(
      expect.objectContaining({ header: { key: 'retry-after', value: '1' } }),
    );
    for (const go of waiting.splice(0)) go();
    const all = await Promise.all(answers);
    expect(all.map((answer) => answer.status?.code ?? 0).sort((a, b) => a - b)).toEqual([0, 0, 8]);
    const next = client.check(aCheckRequest());
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]?.();
    expect((await next).status).toEqual({});
  });

  it.each<[string, Json, number]>([
    ['an allow', true, 4],
    ['a denial', false, 7],
  ])('after its deadline: %s is never an allow', async (_title, verdict, code) => {
    let lateMs = 0;
    const { client } = await start({
      clock: { nowMs: () => Date.now() + lateMs },
      evaluate: () => {
        lateMs = 60_000;
        return result(verdict);
      },
    });
    expect((await client.check(aCheckRequest(), { timeoutMs: 20_000 })).status).toEqual({ code });
  });

  it('shows the identity fields only of an enrolled peer', async () => {
    const echo: World['evaluate'] = (input) =>
      result({
        allowed: true,
        dynamic_metadata: { principal: (input as { source_principal?: string }).source_principal ?? 'none' },
      });
    const request = aCheckRequest({}, { source: { principal: 'spiffe://mesh/app/a' } });
    const principalSeen = async (enrolled: boolean) =>
      (await (await start({ evaluate: echo, enrolled })).client.check(request)).dynamic_metadata?.fields[
        'principal'
      ]?.['stringValue'];
    expect(await principalSeen(true)).toBe('spiffe://mesh/app/a');
    expect(await principalSeen(false)).toBe('none');
  });

  it('answers a node only about services that it serves, whatever the policy says', async () => {
    let evaluated = 0;
    const evaluate: World['evaluate'] = () => {
      evaluated += 1;
      return result(true);
    };
    const { client, metrics } = await start({ evaluate, enrolled: true });
    const about = (service: string) => aCheckRequest({}, { context_extensions: { service } });
    const answer = await client.check(about('foreign'));
    expect([answer.status?.code, answer.denied_response?.status?.code]).toEqual([7, 'Forbidden']);
    expect(evaluated).toBe(0);
    await client.check(about('unknown'));
    const counted = await metrics();
    expect(counted).toMatch(/chancery_checks_total\{effect="failure",reason="peer_mismatch",policy=""\} 1/);
    expect(counted).toMatch(/chancery_checks_total\{effect="deny",reason="selector_mismatch",policy=""\} 1/);
  });
});
