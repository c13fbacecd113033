import { afterEach, describe, expect, it } from 'vitest';
import type { CheckRecord } from '../../src/audit/record.ts';
import { systemClock } from '../../src/core/clock.ts';
import { Failure } from '../../src/core/failure.ts';
import { type DecideDeps, decide } from '../../src/decision/decide.ts';
import type { DecisionRecorder } from '../../src/ext-authz/check-observer.ts';
import { checkService, createCheckHandler } from '../../src/ext-authz/service.ts';
import { createGrpcServer } from '../../src/grpc/server.ts';
import { peerClaims } from '../../src/identity/peer.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import {
  aCheckRequest,
  createCheckClient,
  decodeCheckResponse,
  encodeCheckRequest,
} from '../support/check-client.ts';
import { eventOf } from '../support/decision-record.ts';
import { eventually } from '../support/eventually.ts';
import { recordLog } from '../support/log-lines.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Given {
  readonly authenticate?: DecideDeps['authenticate'] | undefined;
  readonly lateMs?: number;
  readonly admits?: boolean;
  readonly traces?: boolean;
  readonly recorder?: Partial<DecisionRecorder>;
  readonly logger?: Logger;
}

function aHandler(given: Given) {
  const { authenticate = async () => ({}), lateMs = 0, admits = true, traces = false, recorder } = given;
  const { logger = silentLogger } = given;
  const records: CheckRecord[] = [];
  const admissions: boolean[] = [];
  const lost: boolean[] = [];
  const metrics = createMetrics();
  let late = 0;
  const deps: DecideDeps = {
    registry: {
      service: () => undefined,
      settings: () => undefined,
      isGranted: () => false,
      isBarred: () => false,
    },
    policies: {
      releasedNames: () => ['only'],
      select: (name) => ({
        name,
        revision: 'sha256:1',
        seq: 3,
        reads: true,
        evaluate: (_entrypoint, _input, _deadlineMs, onCost) => {
          onCost?.({ units: 42 });
          late = lateMs;
          return { defined: true, value: true, text: 'true' };
        },
      }),
    },
    authenticate,
  };
  const handler = createCheckHandler({
    decide: (request, deadline, notes) => decide(request, deps, deadline, notes),
    peerClaims,
    options: { maxConcurrent: 10, defaultDeadlineMs: 5_000 },
    clock: { nowMs: () => systemClock.nowMs() + late },
    logger,
    metrics,
    newDecisionId: () => 'decision-1',
    recorder: {
      traces,
      admit: () => admits,
      offer(record, admitted) {
        records.push(record);
        admissions.push(admitted);
      },
      lose: (admitted) => void lost.push(admitted),
      position: () => ({ epoch: 1, seq: 7 }),
      ...recorder,
    },
  });
  return { handler, records, admissions, lost, metrics };
}

/** As what waits does: until it is told to stop. */
const waits: NonNullable<Given['authenticate']> = (_request, _mode, signal) =>
  new Promise((_resolve, reject) => {
    const stop = (): void => reject(new Failure('deadline_exceeded', 'stopped'));
    if (signal().aborted) stop();
    else signal().addEventListener('abort', stop, { once: true });
  });

const call = (given: object = {}) => ({
  peer: '127.0.0.1:1',
  deadlineMs: Number.POSITIVE_INFINITY,
  signal: () => new AbortController().signal,
  ...given,
});
const REQUEST = encodeCheckRequest(aCheckRequest());

describe('the record of a Check', () => {
  it('whose deadline passes while it waits says so, with its input and without a result', async () => {
    const { handler, records } = aHandler({ authenticate: waits });
    const server = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 10 },
      [checkService(handler)],
      silentLogger,
    );
    const client = createCheckClient(`127.0.0.1:${await server.listen()}`);
    closers.push(() => server.close(1_000));
    closers.push(async () => client.close());
    await expect(client.check(aCheckRequest({ path: '/slow' }), { timeoutMs: 100 })).rejects.toThrow(
      /DEADLINE/,
    );
    const record = await eventually('recorded', () => records[0]);
    expect(eventOf(record)).toMatchObject({
      path: 'envoy/authz/allow',
      input: { parsed_path: ['slow'] },
      error: { code: 'deadline_exceeded' },
      chancery: { effect: 'failure', reason: 'deadline_exceeded', policy: 'only' },
    });
    expect(Object.keys(eventOf(record))).not.toContain('result');
  });

  it('that came to its decision too late has the result, and the error', async () => {
    const { handler, records } = aHandler({ lateMs: 60_000 });
    expect(decodeCheckResponse(await handler(REQUEST, call())).status?.code).toBe(4);
    expect(eventOf(records[0]!)).toMatchObject({
      result: true,
      error: { code: 'deadline_exceeded' },
      bundles: { only: { revision: 'sha256:1' } },
      chancery: {
        effect: 'failure',
        reason: 'deadline_exceeded',
        release: 3,
        position: { epoch: 1, seq: 7 },
      },
      metrics: { counter_chancery_evaluation_units: 42 },
    });
  });

  it('whose caller has gone says that it was cancelled, whatever was decided', async () => {
    const gone = aHandler({});
    await gone.handler(REQUEST, call({ isCancelled: true }));
    expect(eventOf(gone.records[0]!)).toMatchObject({
      result: true,
      chancery: { effect: 'allow', cancelled: true },
    });
    const waiting = aHandler({ authenticate: waits });
    const aborted = AbortSignal.abort();
    await waiting.handler(REQUEST, call({ isCancelled: true, signal: () => aborted }));
    expect(eventOf(waiting.records[0]!)).toMatchObject({ chancery: { effect: 'failure', cancelled: true } });
  });

  it.each<[string, Given['authenticate'], object]>([
    [
      'denied before the policy',
      async () => 'authentication_required',
      { effect: 'deny', reason: 'authentication_required' },
    ],
    [
      'refused for its credential',
      async () => Promise.reject(new Failure('credential_expired', 'x')),
      { effect: 'failure', reason: 'credential_expired' },
    ],
  ])('%s is there, without bundles and result', async (_title, authenticate, chancery) => {
    const { handler, records } = aHandler({ authenticate });
    await handler(REQUEST, call());
    const event = eventOf(records[0]!);
    expect(event).toMatchObject({ input: { parsed_path: [''] }, chancery });
    expect(Object.keys(event)).not.toContain('bundles');
    expect(Object.keys(event)).not.toContain('result');
  });

  it('that the decision log has no room for is overloaded, asks nobody, and is offered all the same', async () => {
    let asked = 0;
    const { handler, records, admissions } = aHandler({
      admits: false,
      authenticate: async () => {
        asked += 1;
        return {};
      },
    });
    expect(decodeCheckResponse(await handler(REQUEST, call())).status?.code).toBe(8);
    expect(asked).toBe(0);
    expect(admissions).toEqual([false]);
    expect(records[0]).toMatchObject({ effect: 'failure', reason: 'overloaded' });
  });

  it('names who was authenticated, and leaves claims out', async () => {
    const user = { issuer: 'idp', subject: 'alice', claims: { email: 'a@b.test' } };
    const workload = { spiffe: 'spiffe://mesh/app/a' };
    const { handler, records } = aHandler({ authenticate: async () => ({ user, workload }) });
    await handler(REQUEST, call());
    const event = eventOf(records[0]!);
    expect(event['chancery']).toMatchObject({
      principal: { workload, user: { issuer: 'idp', subject: 'alice' } },
    });
    expect(JSON.stringify(event)).not.toContain('a@b.test');
  });

  it('stands in the trace of the call itself rather than in that of the request', async () => {
    const parent = (digit: string, flags: string) => `00-${digit.repeat(32)}-${digit.repeat(16)}-${flags}`;
    const bytes = encodeCheckRequest(aCheckRequest({ headers: { traceparent: parent('b', '01') } }));
    const metadata = (name: string) => (name === 'traceparent' ? parent('a', '01') : undefined);
    const { handler, records } = aHandler({ traces: true });
    await handler(bytes, call({ metadata }));
    await handler(bytes, call());
    await handler(bytes, call({ metadata: () => parent('c', '00') }));
    expect(records.map(({ trace }) => trace?.parent.traceId[0])).toEqual(['a', 'b', 'c']);
    expect(records.map(({ trace }) => trace?.spanId !== undefined)).toEqual([true, true, false]);
  });
});

describe('a Check whose record cannot be made', () => {
  const fail = (): never => {
    throw new Error('any');
  };

  it.each<[string, Partial<DecisionRecorder>, boolean[]]>([
    ['nor its position be told', { position: fail }, [true]],
    ['nor taken by the decision log', { offer: fail }, []],
    ['nor counted as lost', { position: fail, lose: fail }, []],
  ])('%s, is answered all the same, and counted', async (_title, recorder, expected) => {
    const { handler, records, lost, metrics } = aHandler({ recorder });
    expect(decodeCheckResponse(await handler(REQUEST, call())).status).toEqual({});
    expect(decodeCheckResponse(await handler(Buffer.from('no'), call())).status?.code).toBe(3);
    expect(records).toEqual([]);
    expect(lost).toEqual([...expected, ...expected]);
    const text = await metrics.render();
    expect(text).toContain('chancery_checks_unrecorded_total 2\n');
    expect(text).toContain('chancery_checks_total{effect="allow",reason="policy_allowed",policy="only"} 1\n');
    expect(text).toContain('chancery_checks_in_progress 0\n');
  });

  it('says so in the log, and quotes nothing of the request', async () => {
    const { logger, lines } = recordLog();
    const { handler } = aHandler({ recorder: { position: fail }, logger });
    await handler(encodeCheckRequest(aCheckRequest({ path: '/4711' })), call());
    expect(lines).toMatchObject([
      {
        level: 'error',
        message: 'a Check was answered and could not be recorded',
        decisionId: 'decision-1',
        cause: { name: 'Error', message: 'any' },
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain('4711');
  });
});

describe('the metrics of Checks', () => {
  it('count by policy and reason, and time each step that was taken', async () => {
    const { handler, metrics } = aHandler({});
    await handler(REQUEST, call());
    await handler(Buffer.from('no protobuf'), call());
    const named = encodeCheckRequest(aCheckRequest({}, { context_extensions: { policy: 'made-up-name' } }));
    await handler(named, call());
    const text = await metrics.render();
    expect(text).toContain('chancery_checks_total{effect="allow",reason="policy_allowed",policy="only"} 1\n');
    expect(text).toContain(
      'chancery_checks_total{effect="failure",reason="request_malformed",policy=""} 1\n',
    );
    expect(text).toContain('chancery_checks_total{effect="deny",reason="selector_mismatch",policy=""} 1\n');
    expect(text).not.toContain('made-up-name');
    const counts = ['parse', 'authenticate', 'evaluate', 'encode'].map((stage) =>
      Number(text.split(`chancery_check_stage_duration_seconds_count{stage="${stage}"} `)[1]?.split('\n')[0]),
    );
    expect(counts).toEqual([2, 2, 1, 1]);
    expect(text).toContain('chancery_checks_in_progress 0\n');
  });
});
