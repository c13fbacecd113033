import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { aCheckRequest, type CheckClient } from '../support/check-client.ts';
import { eventually } from '../support/eventually.ts';
import { type LogReceiver, startLogReceiver } from '../support/log-receiver.ts';
import { type LoggedAppOptions, startLoggedApp } from '../support/logged-app.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const start = (set: readonly string[] = [], options: Omit<LoggedAppOptions, 'defer'> = {}) =>
  startLoggedApp(set, { ...options, defer: (close) => closers.push(close) });

const ASKING = `package envoy.authz

allow := {"allowed": true, "now": time.now_ns(), "id": uuid.rfc4122("a<b"), "n": rand.intn("r", 1000), "again": rand.intn("r", 1000)} if {
	not rand.intn(input, 1)
	opa.runtime() == {}
}
`;

const ID = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
const NS = expect.any(Number);

describe('what built-ins answered that may say something else each time', () => {
  it('is in the event in the form of OPA, digit by digit, when that is asked for', async () => {
    const { client, lines } = await start(['audit.ndBuiltinCache=true'], { rego: ASKING });
    await client.check(aCheckRequest());
    const [line = ''] = await lines();
    const { result, nd_builtin_cache: cache } = JSON.parse(line) as Record<string, Record<string, unknown>>;
    expect(cache).toEqual({
      'opa.runtime': { '[]': {} },
      'rand.intn': { '["r",1000]': result?.['n'] },
      'time.now_ns': { '[]': result?.['now'] },
      'uuid.rfc4122': { '["a\\u003cb"]': result?.['id'] },
    });
    const [, now] = /"time.now_ns":{"\[\]":(\d{19})}/.exec(line) ?? [];
    expect(line).toContain(`"now":${now}`);
    expect(result?.['again']).toBe(result?.['n']);
  });

  it('is not there by default', async () => {
    const { client, events } = await start([], { rego: ASKING });
    await client.check(aCheckRequest());
    expect((await events()).map((event) => event['nd_builtin_cache'])).toEqual([undefined]);
  });

  it('is changed by the mask policy', async () => {
    const mask = 'package system.log\n\nmask contains "/nd_builtin_cache/uuid.rfc4122"\n';
    const source = {
      modules: { 'policy.rego': ASKING, 'mask.rego': mask },
      entrypoints: ['envoy/authz/allow', 'system/log/mask'],
    };
    const set = ['audit.ndBuiltinCache=true', 'audit.maskPolicy=only'];
    const { client, events } = await start(set, { source });
    await client.check(aCheckRequest());
    const [event] = await events();
    expect(Object.keys((event?.['nd_builtin_cache'] ?? {}) as object).sort()).toEqual([
      'opa.runtime',
      'rand.intn',
      'time.now_ns',
    ]);
    expect(event?.['erased']).toEqual(['/nd_builtin_cache/uuid.rfc4122']);
  });

  it('is dropped where it is too large, which is said and counted', async () => {
    const rego =
      'package envoy.authz\n\nallow if every i in numbers.range(1, 200) { uuid.rfc4122(json.marshal(i)) }\n';
    const set = ['audit.ndBuiltinCache=true', 'audit.ndBuiltinCacheMaxBytes=1024'];
    const { client, events, valueOf } = await start(set, { rego });
    await client.check(aCheckRequest());
    const [event] = await events();
    expect(event).toMatchObject({ result: true, chancery: { nd_builtin_cache_dropped: true } });
    expect(Object.keys(event ?? {})).not.toContain('nd_builtin_cache');
    expect(await valueOf('chancery_decision_log_nd_builtin_cache_dropped_total')).toBe(1);
  });
});

describe('the decision log of a running program', () => {
  it('has one event in the form of OPA for an allowed Check, and one for a denied one', async () => {
    const { client, lines } = await start(['audit.labels.site=here']);
    const idOf = (answer: Awaited<ReturnType<typeof client.check>>) =>
      answer.dynamic_metadata?.fields['decision_id']?.['stringValue'];
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const first = idOf(await client.check(aCheckRequest({ path: '/a?x=1', headers: { traceparent } })));
    const second = idOf(await client.check(aCheckRequest({ method: 'POST' })));
    const text = await lines();
    const [allowed, denied] = text.map((line) => JSON.parse(line) as JsonObject);
    const revision = expect.stringMatching(/^sha256:[0-9a-f]{64}$/);
    const input = (http: object) => ({
      attributes: {
        request: {
          http: {
            method: 'GET',
            path: '/',
            host: 'example.test',
            scheme: 'http',
            protocol: 'HTTP/1.1',
            ...http,
          },
        },
      },
      parsed_path: [''],
      parsed_query: {},
      parsed_body: null,
      truncated_body: false,
      version: { ext_authz: 'v3', encoding: 'protojson' },
      identity: {},
    });
    const common = {
      labels: { site: 'here', id: ID, version: expect.stringMatching(/^\d+\./) },
      bundles: { only: { revision } },
      path: 'envoy/authz/allow',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      metrics: {
        timer_server_handler_ns: NS,
        timer_rego_query_eval_ns: NS,
        counter_chancery_evaluation_units: NS,
      },
    };
    const own = { policy: 'only', release: 3, position: { epoch: 1, seq: 3 }, principal: {} };
    expect(allowed).toEqual({
      ...common,
      decision_id: first,
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
      input: {
        ...input({ path: '/a?x=1', headers: { traceparent } }),
        parsed_path: ['a'],
        parsed_query: { x: ['1'] },
      },
      result: { allowed: true, n: 1 },
      chancery: { effect: 'allow', reason: 'policy_allowed', ...own },
    });
    expect(denied).toEqual({
      ...common,
      decision_id: second,
      input: input({ method: 'POST' }),
      result: { allowed: false, n: 1 },
      chancery: { effect: 'deny', reason: 'policy_denied', ...own },
    });
    // numbers as the policy wrote them
    expect(text[0]).toContain('"n":1.0');
  });

  it('has an event for each Check that ended without a decision', async () => {
    const rego = 'package envoy.authz\n\nallow := "odd"\n';
    const { client, events } = await start([], { rego });
    await client.check(aCheckRequest());
    await client.check(aCheckRequest({ path: '/%zz' }));
    await client.checkBytes(Buffer.from('no protobuf'));
    await client.check(aCheckRequest({}, { context_extensions: { service: 'unheard-of' } }));
    const [odd, malformed, unreadable, mismatch] = await events();
    expect(odd).toMatchObject({
      path: 'envoy/authz/allow',
      bundles: { only: {} },
      result: 'odd',
      error: { code: 'policy_failed', message: 'the result is neither a boolean nor an object' },
      chancery: { effect: 'failure', reason: 'policy_failed', policy: 'only' },
    });
    expect(malformed).toMatchObject({
      error: { code: 'request_malformed' },
      chancery: { effect: 'failure', policy: 'only' },
    });
    expect(unreadable).toMatchObject({
      error: { code: 'request_malformed' },
      chancery: { effect: 'failure' },
    });
    for (const event of [malformed, unreadable]) {
      expect(Object.keys(event ?? {})).not.toContain('input');
      expect(Object.keys(event ?? {})).not.toContain('result');
    }
    expect(mismatch).toMatchObject({
      input: { attributes: { contextExtensions: { service: 'unheard-of' } } },
      chancery: { effect: 'deny', reason: 'selector_mismatch' },
    });
    expect(Object.keys(mismatch ?? {})).not.toContain('path');
  });

  it('masks and drops as released policies say, and one that is not released lets nothing out', async () => {
    const logging = {
      name: 'logging',
      source: {
        modules: {
          'mask.rego': `package system.log

mask contains "/input/attributes/request/http/headers/x-pin"

mask contains {"op": "upsert", "path": "/input/parsed_path", "value": ["masked"]} if input.input.parsed_path[0] == "pin"

drop if input.input.parsed_path[0] == "health"
`,
        },
        entrypoints: ['system/log/mask', 'system/log/drop'],
      },
    };
    const policies = ['audit.maskPolicy=logging', 'audit.dropPolicy=logging'];
    const selected = aCheckRequest({ headers: { 'x-pin': '4711' }, path: '/pin/4711' });
    const two = await start([...policies], { more: [logging] });
    // two are released, and no default is named: no decision, and masked all the same
    await two.client.check(selected);
    await two.client.check(aCheckRequest({ path: '/health' }));
    await two.stop();
    const [line, ...others] = await two.lines();
    expect(others).toEqual([]);
    expect(line).not.toContain('4711');
    const event = JSON.parse(line ?? '') as JsonObject;
    expect(event['erased']).toContain('/input/attributes/request/http/headers/x-pin');
    expect(event['masked']).toContain('/input/parsed_path');
    expect(await two.valueOf('chancery_decision_log_dropped_total{sink="file",reason="drop_policy"}')).toBe(
      1,
    );

    const missing = await start(['audit.maskPolicy=nowhere']);
    await missing.client.check(selected);
    const [erased] = await missing.events();
    expect(erased).toMatchObject({
      erased: ['/input', '/result', '/chancery/principal'],
      chancery: { effect: 'allow', redaction: { failed: 'the mask policy is not loaded' } },
    });
    expect(await missing.valueOf('chancery_decision_log_erased_total')).toBe(1);
  });
});

describe('a result that is nested 3,000 deep', () => {
  it('is left out of its event, and takes no other event with it', async () => {
    const rego = `package envoy.authz

allow := {"allowed": true, "echo": json.unmarshal(input.parsed_body.x[0])}
`;
    const { client, events, valueOf } = await start([], { rego });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const ask = (x: string) => client.check(aCheckRequest({ headers, body: `x=${x}` }));
    const deep = `${'['.repeat(3_000)}${']'.repeat(3_000)}`;
    for (const x of ['1', deep, '2']) await ask(x);
    expect(await events()).toMatchObject([
      { result: { echo: 1 }, chancery: { effect: 'allow' } },
      {
        input: { parsed_body: { x: [deep] } },
        erased: ['/result', '/input/attributes/request/http/body'],
        chancery: { effect: 'allow', redaction: { failed: 'the result is nested too deeply' } },
      },
      { result: { echo: 2 }, chancery: { effect: 'allow' } },
    ]);
    expect(await valueOf('chancery_decision_log_written_total{sink="file"}')).toBe(3);
    expect(await valueOf('chancery_decision_log_erased_total')).toBe(1);
  });
});

describe('a sink that takes half of what is offered', () => {
  const CHECKS = 600;
  const CONCURRENCY = 8;
  const BOUND = 40;

  /** Takes so many events a second. */
  const slowReceiver = async (perSecond: () => number): Promise<LogReceiver> => {
    const receiver = await startLogReceiver(async ({ body }) => {
      const events = (body as unknown[]).length;
      await new Promise((resolve) => setTimeout(resolve, (events / perSecond()) * 1_000));
      return 200;
    });
    closers.push(() => receiver.close());
    return receiver;
  };

  const offer = async (client: CheckClient, count: number) => {
    const statuses: number[] = [];
    let left = count;
    const one = async (): Promise<void> => {
      while (left-- > 0) statuses.push((await client.check(aCheckRequest())).status?.code ?? 0);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, one));
    return statuses;
  };

  it.each(['drop', 'block'] as const)(
    'never has a longer queue than its bound, and all is counted: %s',
    async (whenFull) => {
      let perSecond = 1_000_000;
      const receiver = await slowReceiver(() => perSecond);
      const { client, valueOf, stop } = await start(
        [
          `audit.http.url=${receiver.url}`,
          `audit.http.whenFull=${whenFull}`,
          'audit.http.maxChunkBytes=4096',
          'audit.http.maxDelayMs=10',
          `audit.queueEvents=${BOUND}`,
        ],
        { hasFile: false },
      );
      const counted = async (name: string): Promise<number> =>
        valueOf(`chancery_decision_log_${name}{sink="http"}`);
      const begunMs = performance.now();
      await offer(client, 100);
      perSecond = (100 / (performance.now() - begunMs)) * 500;
      const statuses = await offer(client, CHECKS);
      await stop();
      const offered = await counted('offered_total');
      const written = await counted('written_total');
      const full = await valueOf('chancery_decision_log_dropped_total{sink="http",reason="queue_full"}');
      const overloaded = await valueOf(
        'chancery_decision_log_dropped_total{sink="http",reason="overloaded"}',
      );
      const stopped = await valueOf('chancery_decision_log_dropped_total{sink="http",reason="stopped"}');
      expect(offered).toBe(CHECKS + 100);
      expect(full + overloaded + stopped + written).toBe(offered);
      expect(await counted('queue_events')).toBe(0);
      expect(await counted('queue_bytes')).toBe(0);
      expect(await counted('queue_highest_events')).toBeLessThanOrEqual(BOUND);
      expect(receiver.events()).toHaveLength(written);
      expect(new Set(receiver.events().map((event) => event['decision_id'])).size).toBe(written);
      // what is dropped is no reason to deny, and what is not admitted is overloaded
      if (whenFull === 'drop') {
        expect(full).toBeGreaterThan(0);
        expect(statuses.every((code) => code === 0)).toBe(true);
      } else {
        expect(full).toBe(0);
        expect(overloaded).toBeGreaterThan(0);
        expect(statuses.filter((code) => code === 8).length).toBeLessThanOrEqual(overloaded);
        expect(statuses.filter((code) => code !== 8 && code !== 0)).toEqual([]);
      }
    },
  );
});

describe('OpenTelemetry', () => {
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
  const PARENT = '00f067aa0ba902b7';
  interface Span {
    readonly traceId: string;
    readonly spanId: string;
    readonly parentSpanId: string;
    readonly name: string;
    readonly startTimeUnixNano: string;
    readonly endTimeUnixNano: string;
    readonly status: { readonly code?: number };
    readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  }
  const spansIn = (receiver: LogReceiver): readonly Span[] =>
    receiver.uploads
      .filter(({ path }) => path === '/v1/traces')
      .flatMap(({ body }) => (body as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }).resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));

  it("continues Envoy's trace where its caller samples it, and sends events as logs of that trace", async () => {
    const receiver = await startLogReceiver();
    closers.push(() => receiver.close());
    const { client, events, valueOf } = await start([
      `telemetry.otlp.url=${receiver.url}`,
      'audit.otlp.whenFull=drop',
    ]);
    const headers = (traceparent: string) => ({ headers: { traceparent } });
    await client.check(aCheckRequest(headers(`00-${TRACE}-${PARENT}-01`)));
    await client.check(aCheckRequest(headers(`00-${TRACE}-${PARENT}-00`)));
    await client.check(aCheckRequest({ headers: { b3: `${TRACE}-${PARENT}-1` }, method: 'POST' }));
    await client.check(aCheckRequest());
    const logged = await events();
    const [sampled, , b3] = logged;
    const all = spansIn(receiver);
    const spans = all.filter(({ name }) => name.endsWith('/Check'));
    // one after the other, from the beginning of the Check to its end
    for (const { spanId, startTimeUnixNano, endTimeUnixNano } of spans) {
      const stages = all.filter(({ parentSpanId }) => parentSpanId === spanId);
      const names = ['parse', 'authenticate', 'evaluate', 'encode'].map((stage) => `Check ${stage}`);
      expect(stages.map(({ name }) => name)).toEqual(names);
      expect(stages.map((stage) => stage.startTimeUnixNano)).toEqual([
        startTimeUnixNano,
        ...stages.slice(0, -1).map((stage) => stage.endTimeUnixNano),
      ]);
      expect(stages.at(-1)?.endTimeUnixNano).toBe(endTimeUnixNano);
      expect(new Set(stages.map((stage) => stage.spanId)).size).toBe(4);
    }
    expect(all).toHaveLength(10);
    expect(spans.map(({ traceId, parentSpanId, spanId }) => ({ traceId, parentSpanId, spanId }))).toEqual([
      { traceId: TRACE, parentSpanId: PARENT, spanId: sampled?.['span_id'] },
      { traceId: TRACE, parentSpanId: PARENT, spanId: b3?.['span_id'] },
    ]);
    expect(new Set([PARENT, sampled?.['span_id'], b3?.['span_id']]).size).toBe(3);
    const attributes = Object.fromEntries(
      spans[1]?.attributes.map(({ key, value }) => [key, Object.values(value)[0]]) ?? [],
    );
    expect(attributes).toMatchObject({
      'chancery.decision_id': b3?.['decision_id'],
      'chancery.effect': 'deny',
      'chancery.reason': 'policy_denied',
      'chancery.policy': 'only',
    });
    const bodies = receiver.uploads
      .filter(({ path }) => path === '/v1/logs')
      .flatMap(
        ({ body }) =>
          (body as { resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[] })
            .resourceLogs,
      )
      .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
    expect(bodies.map(({ body }) => JSON.parse(body.stringValue) as JsonObject)).toEqual(logged);
    expect(await valueOf('chancery_decision_log_offered_total{sink="traces"}')).toBe(2);
    expect(await valueOf('chancery_decision_log_written_total{sink="traces"}')).toBe(2);
    expect(await valueOf('chancery_decision_log_written_total{sink="otlp"}')).toBe(4);
  });

  it('has a span for each stage that a Check came to, and says which one has failed', async () => {
    const receiver = await startLogReceiver();
    closers.push(() => receiver.close());
    const rego = 'package envoy.authz\n\nallow := 1 if input\n\nallow := 2 if input\n';
    const { client, stop } = await start([`telemetry.otlp.url=${receiver.url}`], { rego });
    const traced = { headers: { traceparent: `00-${TRACE}-${PARENT}-01` } };
    await client.check(aCheckRequest({ ...traced }));
    await client.check(aCheckRequest({ ...traced }, { context_extensions: { service: 'unheard-of' } }));
    await stop();
    const spans = spansIn(receiver).map(({ name, status }) => `${name}: ${status.code ?? 0}`);
    expect(spans).toEqual([
      'envoy.service.auth.v3.Authorization/Check: 2',
      'Check parse: 0',
      'Check authenticate: 0',
      'Check evaluate: 2',
      'Check encode: 0',
      'envoy.service.auth.v3.Authorization/Check: 0',
      'Check parse: 0',
      'Check authenticate: 0',
    ]);
  });

  it('loses and counts spans that nobody takes, and Checks go on', async () => {
    const { client, valueOf, stop } = await start([
      'telemetry.otlp.url=http://127.0.0.1:1',
      'telemetry.otlp.timeoutMs=100',
    ]);
    const request = aCheckRequest({ headers: { traceparent: `00-${TRACE}-${PARENT}-01` } });
    expect((await client.check(request)).status).toEqual({});
    await stop();
    await eventually('counted', async () => {
      const reasons = ['sink_failed', 'stopped'];
      const series = reasons.map(
        (reason) => `chancery_decision_log_dropped_total{sink="traces",reason="${reason}"}`,
      );
      const counts = await Promise.all(series.map((each) => valueOf(each)));
      return counts.reduce((sum, count) => sum + count, 0) === 1;
    });
  });
});
