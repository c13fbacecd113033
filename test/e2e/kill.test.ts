import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AdminClient } from '../../src/client/client.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { connectWorkers, ENVOY_VARIANTS, eventuallyAll } from '../support/envoy-variants.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type Http2Connection } from '../support/http-connection.ts';
import { type ClientTls, sendRequest } from '../support/http-request.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';
import { createStackAdmin, type StackAdmin, withFreeAdminPort } from '../support/stack.ts';
import {
  createPortFiles,
  createTlsFiles,
  issueNode,
  mtlsSettings,
  nodeFiles,
  type PortFiles,
  type TlsFiles,
} from '../support/tls-files.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const NODE = 'edge-1';
const GRANTED = 'spiffe://mesh/app/granted';
const OTHER = 'spiffe://mesh/app/other';
const WRITERS = 3;
/** Enough that the kill hits a stream, few enough that the test is short. */
const RELEASES_BEFORE_THE_KILL = 40;
const RECONNECT_DEADLINE_MS = 15_000;

/** Says in a header which revision has answered. */
const policyOf = (revision: string): string => `package envoy.authz
default allow := false
allow := {"allowed": true, "response_headers_to_add": {"x-revision": "${revision}"}} if {
  input.parsed_path == ["asked", "open"]
}
`;

interface Acknowledged {
  readonly position: string;
  readonly revision: string;
}

describe.each(ENVOY_VARIANTS)(
  'Chancery, killed with -9 during a stream of releases (Envoy: $protocol, concurrency $concurrency)',
  ({ protocol, concurrency }) => {
    let files: TlsFiles;
    let mtls: PortFiles;
    let instance: Instance;
    let serve: ServeProcess;
    let upstream: Upstream;
    let envoy: EnvoyProcess;
    let port: number;
    let client: AdminClient;
    let admin: StackAdmin;
    /** the connections of each client: one to each worker */
    let granted: readonly Http2Connection[] = [];
    let other: readonly Http2Connection[] = [];
    let withCertificate: ClientTls;
    let withoutCertificate: ClientTls;
    /** digest → what the header says */
    const revisions = new Map<string, string>();
    const acknowledged: Acknowledged[] = [];

    beforeAll(async () => {
      files = await createTlsFiles();
      mtls = await createPortFiles();
      instance = await initInstance();
      serve = await startServe(serveArguments());
      ({ client } = await exchangeToken(serve, instance.oneTimeToken));
      upstream = await startUpstream();
      port = await freePort();
      admin = createStackAdmin(client, upstream);
      for (const name of ['a', 'b']) revisions.set(await admin.publish('main', policyOf(name)), name);
      await admin.release('main', [...revisions.keys()][0]!);
      await admin.putService('granted', { access: 'grants' });
      await admin.putService('asked', { access: 'policy', policy: 'main' });
      await admin.putGrant('granted', 'app', GRANTED);
      const listener = { address: '127.0.0.1', port, tls: files.listener };
      await admin.putNode(NODE, { services: ['granted', 'asked'], listener });
      const own = nodeFiles(mtls, await issueNode(mtls, NODE));
      envoy = await startEnvoy(withFreeAdminPort(await readBootstrap()), { concurrency, files: own });
      withCertificate = await files.client({ uris: [GRANTED] });
      withoutCertificate = await files.client();
      granted = await connectWith(withCertificate);
      other = await connectWith(await files.client({ uris: [OTHER] }));
      await eventuallyAll('the policy answers', granted, answers('/asked/open', 200));
    });

    afterAll(async () => {
      for (const connection of [...granted, ...other]) connection.close();
      await envoy?.stop();
      await serve?.kill();
      await upstream?.close();
      await instance?.remove();
      await mtls?.remove();
      await files?.remove();
    });

    const serveArguments = (): string[] => [
      ...['--config', instance.configFile],
      ...mtlsSettings(mtls).flatMap((setting) => ['--set', setting]),
    ];
    const connectWith = (tls: ClientTls) =>
      connectWorkers(envoy, { concurrency }, port, () => connectHttp2(port, tls));
    const answers = (path: string, status: number) => async (connection: Http2Connection) =>
      (await connection.send(path)).status === status;
    const areOpen = (): readonly boolean[] => [...granted, ...other].map((connection) => connection.isOpen());
    const ALL_OPEN = Array.from({ length: 2 * concurrency }, () => true);

    const ask = (path: string) => sendRequest(port, `/asked/${path}`, { tls: withCertificate });
    const readBootstrap = async () => {
      const params = { path: { id: NODE }, query: { protocol } };
      const { data } = await client.GET('/v1/nodes/{id}/bootstrap', { params });
      return data as object;
    };
    const readReleases = async (): Promise<Acknowledged[]> => {
      const { data } = await client.GET('/v1/releases', {
        params: { query: { policy: 'main', limit: 1000 } },
      });
      expect(data?.next).toBeUndefined();
      return (data?.items ?? []).map(({ position, revision }) => ({ position, revision }));
    };
    const expectGrantsAnswer = async (): Promise<void> => {
      for (const each of granted) await expectForwarded(upstream, () => each.send('/granted/x'));
      for (const each of other) await expectRefused(upstream, () => each.send('/granted/x'), 403);
      await expectRefused(upstream, () => sendRequest(port, '/granted/x', { tls: withoutCertificate }), 403);
    };

    it('answers by grant and by policy as long as it lives', async () => {
      await expectGrantsAnswer();
      const answer = await expectForwarded(upstream, () => ask('open'));
      expect(answer.headers['x-revision']).toBe('a');
      await expectRefused(upstream, () => ask('closed'), 403);
    });

    it('allows nothing by mistake while it dies', async () => {
      const alternate = [...revisions.keys()];
      const writers = Array.from({ length: WRITERS }, (_, at) => releaseUntilKilled(at, alternate));
      const before = upstream.count();
      const seen = { open: new Set<number>(), closed: new Set<number>(), allowed: 0 };
      let ended = false;
      const callers = (['open', 'closed'] as const).map(async (path) => {
        while (!ended) {
          const { status } = await ask(path);
          seen[path].add(status);
          if (status === 200) seen.allowed += 1;
        }
      });
      await eventually('releases stream in', () => acknowledged.length >= RELEASES_BEFORE_THE_KILL);
      await serve.kill();
      await Promise.all(writers);
      await eventually('callers have met the dead', () => seen.open.has(503) && seen.closed.has(503));
      ended = true;
      await Promise.all(callers);

      expect(serve.running()).toBe(false);
      expect([...seen.open].toSorted()).toEqual([200, 503]);
      expect([...seen.closed].toSorted()).toEqual([403, 503]);
      expect(upstream.count() - before).toBe(seen.allowed);
    });

    it('leaves grants as they were, and policy routes at 503, on the connections that were open', async () => {
      for (let round = 0; round < 10; round += 1) {
        await expectGrantsAnswer();
        await expectRefused(upstream, () => ask('open'), 503);
        await expectRefused(upstream, () => ask('closed'), 503);
        for (const each of granted) await expectRefused(upstream, () => each.send('/asked/open'), 503);
      }
      expect(areOpen()).toEqual(ALL_OPEN);
      expect(await envoy.stat('control_plane.connected_state')).toBe(0);
    });

    it('has lost nothing that it acknowledged when it is started on the same file', async () => {
      serve = await startServe(serveArguments(), serve.ports);
      const releases = await readReleases();
      const { data } = await client.GET('/v1/journal', { params: { query: { limit: 1 } } });
      const lastAcknowledged = Math.max(...acknowledged.map(seqOf));

      expect(acknowledged.length).toBeGreaterThanOrEqual(RELEASES_BEFORE_THE_KILL);
      expect(data?.head.seq).toBeGreaterThanOrEqual(lastAcknowledged);
      expect(releases).toEqual(expect.arrayContaining(acknowledged));
      // what was on its way may have been made without being told; at most one per writer
      expect(releases.length - 1 - acknowledged.length).toBeLessThanOrEqual(WRITERS);
    });

    it('gets its Envoy back, and answers with the policy that was live', async () => {
      const bootstrap = JSON.stringify(await readBootstrap());
      expect(bootstrap).toContain('"retryBackOff":{"baseInterval":"0.2s","maxInterval":"2s"}');
      await eventually(
        'Envoy is connected again, and has what is in the journal',
        async () => {
          const { data } = await client.GET('/v1/nodes/{id}/status', { params: { path: { id: NODE } } });
          return data?.connected && data.appliedPosition !== undefined && envoyIsConnected();
        },
        RECONNECT_DEADLINE_MS,
      );
      const [latest] = await readReleases();
      await eventuallyAll('the policy answers', granted, answers('/asked/open', 200));
      expect(seqOf(latest!)).toBeGreaterThanOrEqual(Math.max(...acknowledged.map(seqOf)));
      for (const each of granted) {
        const answer = await expectForwarded(upstream, () => each.send('/asked/open'));
        expect(answer.headers['x-revision']).toBe(revisions.get(latest!.revision));
      }
      await expectForwarded(upstream, () => ask('open'));
      await expectRefused(upstream, () => ask('closed'), 403);
      await expectGrantsAnswer();
      expect(areOpen()).toEqual(ALL_OPEN);
    });

    it('goes on: the next grant and the next release take effect', async () => {
      const [latest] = await readReleases();
      const next = [...revisions].find(([revision]) => revision !== latest!.revision)!;
      await admin.release('main', next[0]);
      await admin.putGrant('granted', 'app-2', OTHER);
      await eventuallyAll(
        'the release answers',
        granted,
        async (connection) => (await connection.send('/asked/open')).headers['x-revision'] === next[1],
      );
      await eventuallyAll('the grant opens', other, answers('/granted/x', 200));
      for (const each of other) await expectForwarded(upstream, () => each.send('/granted/x'));
    });

    it('ends in order, and leaves a chain that verifies', async () => {
      expect(await serve.stop()).toBe(0);
      const { code, stdout } = await runChancery(['store', 'verify', '--config', instance.configFile]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^consistent, anchored: /) });
    });

    const envoyIsConnected = async (): Promise<boolean> =>
      (await envoy.stat('control_plane.connected_state')) === 1;

    /** Ends with the first call that is not acknowledged. */
    async function releaseUntilKilled(offset: number, alternate: readonly string[]): Promise<void> {
      for (let turn = offset; ; turn += 1) {
        const revision = alternate[turn % alternate.length]!;
        const answered = await client
          .POST('/v1/releases', { body: { policy: 'main', revision } })
          .catch(() => {});
        if (answered?.data === undefined) return;
        acknowledged.push({ position: answered.data.position, revision });
      }
    }
  },
);

function seqOf({ position }: { readonly position: string }): number {
  return Number(position.split('.')[1]);
}
