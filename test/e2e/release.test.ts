import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiError } from '../../src/client/api-error.ts';
import { type BuildResources, buildResources } from '../../src/xds/build.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { connectWorkers, ENVOY_VARIANTS, eventuallyAll } from '../support/envoy-variants.ts';
import { type ConnectionAnswer, type HttpConnection, keepAlive } from '../support/http-connection.ts';
import { type Stack, startStack } from '../support/stack.ts';

const RELEASES = 50;
const CHANGE_MS = 10_000;

const OPEN = `package envoy.authz

allow := {"allowed": true, "response_headers_to_add": {"x-revision": "open"}}
`;
const SHUT = `package envoy.authz

allow := {"allowed": false, "headers": {"x-revision": "shut"}}
`;
const RULE = { open: { status: 200, revision: 'open' }, shut: { status: 403, revision: 'shut' } } as const;

/** A Check that is late on a busy machine is a 503, which says nothing of releases. */
const withPatience: BuildResources = (view, node, options) =>
  buildResources(view, node, { ...options, authz: { ...options.authz, timeoutMs: 10_000 } });

describe.each(ENVOY_VARIANTS)(
  'a release (Envoy: $protocol, concurrency $concurrency)',
  ({ protocol, concurrency }) => {
    let stack: Stack;
    let envoy: EnvoyProcess;
    /** one to each worker */
    let connections: readonly HttpConnection[] = [];
    let revisions: { readonly open: string; readonly shut: string };

    beforeAll(async () => {
      stack = await startStack({ mtls: true, build: withPatience });
      const port = await freePort();
      revisions = { open: await stack.publish('demo', OPEN), shut: await stack.publish('demo', SHUT) };
      await stack.release('demo', revisions.open);
      await stack.putService('demo', { access: 'policy', policy: 'demo' });
      await stack.putNode('edge-1', { services: ['demo'], listener: { address: '127.0.0.1', port } });
      envoy = await stack.startNode('edge-1', { protocol, concurrency });
      connections = await connectWorkers(envoy, { concurrency }, port, () => keepAlive(port));
      await eventuallyAll(
        'the policy answers',
        connections,
        async (connection) => (await ask(connection)).status === 200,
      );
    });
    afterAll(async () => {
      for (const connection of connections) connection.close();
      await stack?.stop();
    });

    const ask = (connection: HttpConnection): Promise<ConnectionAnswer> => connection.send('/demo/x');
    const expectEverywhere = async (rule: (typeof RULE)[keyof typeof RULE]): Promise<void> => {
      for (const connection of connections) expect(told(await ask(connection))).toEqual(rule);
    };
    const told = ({ status, headers }: ConnectionAnswer) => ({ status, revision: headers['x-revision'] });
    const journalLength = () => stack.app.world.follower.position().seq;

    /** What must stay as it is while policies change. */
    const process = async () => {
      const { command_line_options: options } = await envoy.json('/server_info');
      return {
        running: envoy.running(),
        restartEpoch: (options as { restart_epoch: number }).restart_epoch,
        draining: await envoy.stat('listener_manager.total_listeners_draining'),
        listenersPushed: await envoy.stat('listener_manager.lds.update_success'),
        routesPushed: await envoy.stat('http.chancery.rds.chancery.update_success'),
        accepted: await envoy.stat('http.chancery.downstream_cx_total'),
      };
    };

    /**
     * Releases over REST while requests go on, and waits for the first answer of the other revision from each worker.
     *
     * @returns all answers, and the time from the 201 to the end of the first changed one (0: it came before the 201)
     */
    const releaseAndWatch = async (revision: string, changed: (answer: ConnectionAnswer) => boolean) => {
      const answers: ConnectionAnswer[] = [];
      let acknowledgedAt: number | undefined;
      let refused: unknown;
      const call = stack.client.POST('/v1/releases', { body: { policy: 'demo', revision } }).then(
        ({ response }) => {
          acknowledgedAt = performance.now();
          expect(response.status).toBe(201);
        },
        (error: unknown) => {
          refused = error;
        },
      );
      const seen = new Set<HttpConnection>();
      let changedAt: number | undefined;
      for (let turn = 0; seen.size < concurrency || acknowledgedAt === undefined; turn += 1) {
        const connection = connections[turn % concurrency]!;
        const answer = await ask(connection);
        answers.push(answer);
        if (changed(answer)) {
          seen.add(connection);
          changedAt ??= performance.now();
        }
        if (refused !== undefined) throw new Error('the release was refused', { cause: refused });
        const waitedMs = performance.now() - (acknowledgedAt ?? Number.POSITIVE_INFINITY);
        if (seen.size < concurrency && waitedMs > CHANGE_MS)
          throw new Error(`no changed answer within ${CHANGE_MS} ms of the 201`);
      }
      const tookMs = Math.max(0, (changedAt ?? acknowledgedAt) - acknowledgedAt);
      await call;
      return { answers, tookMs };
    };

    it(`changes the answers, ${RELEASES} times in a row, and nothing restarts, drains or reconnects`, async () => {
      const before = await process();
      expect(before).toMatchObject({ running: true, restartEpoch: 0, draining: 0 });
      const { pid } = envoy;
      const reachedBefore = stack.upstream.count();
      const timesMs: number[] = [];
      const answers: ConnectionAnswer[] = [];
      for (let number = 1; number <= RELEASES; number += 1) {
        const name = number % 2 === 1 ? 'shut' : 'open';
        const watched = await releaseAndWatch(revisions[name], (answer) => told(answer).revision === name);
        timesMs.push(watched.tookMs);
        // once the new revision has answered, the old one does not come back
        const sequence = watched.answers.map((answer) => told(answer).revision);
        expect(sequence.slice(sequence.indexOf(name)).every((revision) => revision === name)).toBe(true);
        answers.push(...watched.answers);
      }
      const sorted = timesMs.toSorted((a, b) => a - b);
      const percentile = (share: number) => Number(sorted[Math.ceil(share * RELEASES) - 1]?.toFixed(2));
      const maxMs = Number(sorted.at(-1)?.toFixed(2));
      const measured = {
        releases: RELEASES,
        requests: answers.length,
        p50Ms: percentile(0.5),
        p95Ms: percentile(0.95),
      };
      const what = 'from the 201 to the first changed answer';
      console.log(JSON.stringify({ case: what, protocol, concurrency, ...measured, maxMs }));

      expect(timesMs).toHaveLength(RELEASES);
      for (const answer of answers) expect([RULE.open, RULE.shut]).toContainEqual(told(answer));
      const allowed = answers.filter(({ status }) => status === 200).length;
      expect(stack.upstream.count() - reachedBefore).toBe(allowed);
      expect(new Set(answers.map(({ localPort }) => localPort)).size).toBe(concurrency);
      expect(await process()).toEqual(before);
      expect(envoy.pid).toBe(pid);
    });

    describe('of something that is no good', () => {
      const publish = async (
        modules: Readonly<Record<string, string>>,
        smoke?: [{ input: unknown; result: unknown }],
      ) => {
        const path = { name: 'demo' };
        const { response } = await stack.client.GET('/v1/policies/{name}', { params: { path } });
        const header = { 'if-match': response.headers.get('etag') ?? '' };
        const body = { modules: { ...modules }, ...(smoke && { smoke }) };
        return stack.client.PUT('/v1/policies/{name}', { params: { path, header }, body });
      };
      const refusal = async (call: Promise<unknown>): Promise<ApiError> => {
        const error = await call.then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error instanceof ApiError) return error;
        throw new Error('it was not refused', { cause: error });
      };

      it.each<[string, Readonly<Record<string, string>>, object]>([
        [
          'a policy that does not parse',
          { 'policy.rego': 'package envoy.authz\n\nallow := )\n' },
          { code: 'rego_parse_error', file: 'policy.rego', line: 3, column: 10 },
        ],
        [
          'a policy that does not compile',
          { 'policy.rego': 'package envoy.authz\n\nallow if unknown_name == 1\n' },
          { code: 'rego_unsafe_var_error', file: 'policy.rego', line: 3, column: 10 },
        ],
        [
          'a policy whose test fails',
          {
            'policy.rego': SHUT,
            'policy_test.rego': 'package envoy.authz_test\n\ntest_open if data.envoy.authz.allow.allowed\n',
          },
          { code: 'test_failed', file: 'policy_test.rego', line: 3, column: 1 },
        ],
      ])('refuses %s with file, line and column, and what runs keeps running', async (_, modules, issue) => {
        const { answers } = await releaseAndWatch(revisions.open, ({ status }) => status === 200);
        const length = journalLength();
        const error = await refusal(publish(modules));
        expect(error).toMatchObject({ status: 422, code: 'policy_rejected' });
        expect(error.errors[0]).toMatchObject(issue);
        expect(error.errors[0]?.column).toBeGreaterThan(0);
        expect(journalLength()).toBe(length);
        const ports = new Set(answers.map(({ localPort }) => localPort));
        for (const connection of connections) {
          const answer = await ask(connection);
          expect(told(answer)).toEqual(RULE.open);
          expect(ports).toContain(answer.localPort);
        }
      });

      it('refuses a policy whose smoke case fails, and what runs keeps running', async () => {
        await releaseAndWatch(revisions.open, ({ status }) => status === 200);
        const length = journalLength();
        const error = await refusal(publish({ 'policy.rego': SHUT }, [{ input: {}, result: true }]));
        expect(error).toMatchObject({ status: 422, code: 'policy_rejected' });
        expect(error.errors[0]?.pointer).toMatch(/^\/smoke\/0/);
        expect(journalLength()).toBe(length);
        await expectEverywhere(RULE.open);
      });

      it('refuses a revision that was never published, and what runs keeps running', async () => {
        await releaseAndWatch(revisions.open, ({ status }) => status === 200);
        const length = journalLength();
        const revision = `sha256:${'0'.repeat(64)}`;
        const error = await refusal(
          stack.client.POST('/v1/releases', { body: { policy: 'demo', revision } }),
        );
        expect(error).toMatchObject({ status: 422, code: 'policy_rejected' });
        expect(journalLength()).toBe(length);
        await expectEverywhere(RULE.open);
      });
    });

    it('is rolled back in one call, by releasing the older revision', async () => {
      await releaseAndWatch(revisions.open, ({ status }) => status === 200);
      await releaseAndWatch(revisions.shut, ({ status }) => status === 403);
      await expectEverywhere(RULE.shut);
      const length = journalLength();
      await releaseAndWatch(revisions.open, ({ status }) => status === 200);
      expect(journalLength()).toBe(length + 1);
      await expectEverywhere(RULE.open);
      const { data } = await stack.client.GET('/v1/releases', { params: { query: { policy: 'demo' } } });
      expect(data?.items.map(({ revision }) => revision).slice(0, 3)).toEqual([
        revisions.open,
        revisions.shut,
        revisions.open,
      ]);
    });
  },
);
