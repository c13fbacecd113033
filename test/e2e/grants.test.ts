import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { connectWorkers, ENVOY_VARIANTS, eventuallyAll } from '../support/envoy-variants.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type Http2Connection, type SendOptions } from '../support/http-connection.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';

const POLICY = `package envoy.authz

default allow := {"allowed": false, "http_status": 402}

allow := {"allowed": true, "response_headers_to_add": {"x-policy": "asked"}} if {
	input.attributes.request.http.headers["x-please"] == "yes"
}
`;
const ALICE = 'spiffe://mesh.example/client/alice';
const BOB = 'spiffe://mesh.example/client/bob';
const PLEASE = { headers: { 'x-please': 'yes' } };
const REQUESTS = 200;
const PHASES = 4;

describe.each(ENVOY_VARIANTS)(
  'grants on a real Envoy ($protocol, concurrency $concurrency)',
  ({ protocol, concurrency }) => {
    let stack: Stack;
    let envoy: EnvoyProcess;
    let files: TlsFiles;
    /** the connections of each: one to each worker */
    let alice: readonly Http2Connection[] = [];
    let bob: readonly Http2Connection[] = [];
    let ports: readonly number[];

    beforeAll(async () => {
      files = await createTlsFiles();
      stack = await startStack({ mtls: true });
      const port = await freePort();
      await stack.publishAndRelease('demo', POLICY);
      await stack.putService('asked', { access: 'policy', policy: 'demo' });
      await stack.putService('granted', {});
      await stack.putGrant('granted', 'bob', BOB);
      await stack.putService('changing', {});
      await stack.putGrant('changing', 'bob', BOB);
      await stack.putNode('edge-1', {
        services: ['asked', 'granted', 'changing'],
        listener: { address: '127.0.0.1', port, tls: files.listener },
      });
      envoy = await stack.startNode('edge-1', { protocol, concurrency });
      const connect = async (spiffe: string) => {
        const tls = await files.client({ uris: [spiffe] });
        return connectWorkers(envoy, { concurrency }, port, () => connectHttp2(port, tls));
      };
      alice = await connect(ALICE);
      bob = await connect(BOB);
      await eventuallyAll('a grant opens', bob, answers('/granted/x', 200));
      await eventuallyAll('the policy answers', alice, answers('/asked/x', 200, PLEASE));
      ports = await portsOf([...alice, ...bob]);
    });
    afterAll(async () => {
      for (const connection of [...alice, ...bob]) connection.close();
      await stack?.stop();
      await files?.remove();
    });
    afterEach(async () => {
      // whatever was changed, nobody had to connect again
      const connections = [...alice, ...bob];
      expect(await portsOf(connections)).toEqual(ports);
      expect(connections.every((connection) => connection.isOpen())).toBe(true);
      expect(await envoy.stat('listener_manager.total_listeners_draining')).toBe(0);
    });

    const portsOf = (connections: readonly Http2Connection[]) =>
      Promise.all(connections.map(async (connection) => (await connection.send('/nothing')).localPort));
    const answers = (path: string, status: number, options?: SendOptions) => async (by: Http2Connection) =>
      (await by.send(path, options)).status === status;
    const forwardsAll = async (
      connections: readonly Http2Connection[],
      path: string,
      options?: SendOptions,
    ) => {
      for (const each of connections) await expectForwarded(stack.upstream, () => each.send(path, options));
    };
    const refusesAll = async (
      connections: readonly Http2Connection[],
      path: string,
      status: number,
      options?: SendOptions,
    ) => {
      for (const each of connections)
        await expectRefused(stack.upstream, () => each.send(path, options), status);
    };

    /** How often the authorizer was asked: as the filter counts its answers, and as requests to its cluster. */
    const asked = async () => {
      const [ok = 0, denied = 0, error = 0] = await Promise.all(
        ['ok', 'denied', 'error'].map((outcome) => envoy.stat(`http.chancery.ext_authz.pdp.${outcome}`)),
      );
      const calls = await envoy.stat('cluster.chancery-authz.upstream_rq_total');
      return { answers: ok + denied + error, calls };
    };
    const raisedBy = (before: Awaited<ReturnType<typeof asked>>, by: number) => ({
      answers: before.answers + by,
      calls: before.calls + by,
    });

    /** What has been pushed, by type. */
    const pushed = async () => ({
      listeners: await envoy.stat('listener_manager.lds.update_success'),
      clusters: await envoy.stat('cluster_manager.cds.update_success'),
      endpoints: await envoy.stat('cluster.service.changing.update_success'),
      routes: await envoy.stat('http.chancery.rds.chancery.update_success'),
      rejected: await envoy.stat('http.chancery.rds.chancery.update_rejected'),
    });
    const applied = () =>
      eventually('the node has what the journal says', async () => {
        const { epoch, seq } = stack.app.world.follower.position();
        const { data } = await stack.client.GET('/v1/nodes/{id}/status', {
          params: { path: { id: 'edge-1' } },
        });
        return data?.appliedPosition === `${epoch}.${seq}`;
      });
    /** Changes something over REST. @returns what it pushed */
    const pushedBy = async (change: () => Promise<void>) => {
      const before = await pushed();
      await change();
      await applied();
      const after = await pushed();
      const types = Object.keys(after) as (keyof typeof after)[];
      return Object.fromEntries(types.map((type) => [type, after[type] - before[type]]));
    };
    const ONLY_ROUTES = { listeners: 0, clusters: 0, endpoints: 0, routes: 1, rejected: 0 };

    /** One policy request: the counters that stand still elsewhere do count. */
    const expectAskedOnce = async () => {
      for (const connection of alice) {
        const before = await asked();
        const answer = await expectForwarded(stack.upstream, () => connection.send('/asked/x', PLEASE));
        expect(answer.headers['x-policy']).toBe('asked');
        expect(await asked()).toEqual(raisedBy(before, 1));
      }
    };

    it('open and close an open HTTP/2 connection without a call', async () => {
      await expectAskedOnce();
      const before = await asked();
      let sent = 0;
      /** a quarter of the requests: half by the one, half by the other */
      const phase = async (statusOfAlice: 200 | 403) => {
        for (let number = 0; number < REQUESTS / PHASES / 2; number += 1) {
          const at = number % concurrency;
          const send = () => alice[at]!.send(`/granted/items/${number}`);
          if (statusOfAlice === 200) await expectForwarded(stack.upstream, send);
          else await expectRefused(stack.upstream, send, 403);
          await expectForwarded(stack.upstream, () => bob[at]!.send(`/granted/items/${number}`));
          sent += 2;
        }
      };
      const seenByAlice = (status: number) =>
        eventuallyAll(`alice gets ${status}`, alice, answers('/granted/x', status));

      await phase(403);
      expect(await pushedBy(() => stack.putGrant('granted', 'alice', ALICE))).toEqual(ONLY_ROUTES);
      await seenByAlice(200);
      await phase(200);
      expect(await pushedBy(() => stack.deleteGrant('granted', 'alice'))).toEqual(ONLY_ROUTES);
      await seenByAlice(403);
      await phase(403);
      await stack.putGrant('granted', 'alice', ALICE);
      await seenByAlice(200);
      await phase(200);
      await stack.deleteGrant('granted', 'alice');
      await seenByAlice(403);

      expect(sent).toBe(REQUESTS);
      expect(await asked()).toEqual(before);
      await expectAskedOnce();
    });

    it('follow the subject that a grant names: the one before is out, the one after is in', async () => {
      const before = await asked();
      await stack.putGrant('granted', 'bob', ALICE);
      await eventuallyAll('alice is in', alice, answers('/granted/x', 200));
      await refusesAll(bob, '/granted/x', 403);
      await stack.putGrant('granted', 'bob', BOB);
      await eventuallyAll('bob is in', bob, answers('/granted/x', 200));
      await refusesAll(alice, '/granted/x', 403);
      await forwardsAll(bob, '/granted/x');
      expect(await asked()).toEqual(before);
    });

    it('of one service open no other', async () => {
      await stack.putGrant('granted', 'alice', ALICE);
      await eventuallyAll('alice is in', alice, answers('/granted/x', 200));
      await refusesAll(alice, '/changing/x', 403);
      await forwardsAll(bob, '/changing/x');
      await stack.deleteGrant('granted', 'alice');
      await eventuallyAll('alice is out', alice, answers('/granted/x', 403));
    });

    it('are joined by the policy and left alone again over REST, by routes alone', async () => {
      /** without a call */
      const expectGrantsOnly = async () => {
        const before = await asked();
        await forwardsAll(bob, '/changing/x');
        for (const connection of bob) {
          const please = await expectForwarded(stack.upstream, () => connection.send('/changing/x', PLEASE));
          expect(please.headers['x-policy']).toBeUndefined();
        }
        await refusesAll(alice, '/changing/x', 403, PLEASE);
        expect(await asked()).toEqual(before);
      };
      const expectBoth = async () => {
        const before = await asked();
        await refusesAll(bob, '/changing/x', 402);
        for (const connection of bob) {
          const please = await expectForwarded(stack.upstream, () => connection.send('/changing/x', PLEASE));
          expect(please.headers['x-policy']).toBe('asked');
        }
        expect(await asked()).toEqual(raisedBy(before, 2 * concurrency));
        // whom no grant lets pass the policy is not asked about
        await refusesAll(alice, '/changing/x', 403, PLEASE);
        expect(await asked()).toEqual(raisedBy(before, 2 * concurrency));
      };
      /** the workers of an Envoy take new routes a moment after it has accepted them */
      const seenByBob = (status: number) =>
        eventuallyAll(`bob gets ${status}`, bob, answers('/changing/x', status));
      const toBoth = () => stack.putService('changing', { access: 'grants-and-policy', policy: 'demo' });
      const toGrants = () => stack.putService('changing', { access: 'grants' });

      await expectGrantsOnly();
      for (let round = 1; round <= 2; round += 1) {
        expect(await pushedBy(toBoth)).toEqual(ONLY_ROUTES);
        await seenByBob(402);
        await expectBoth();
        expect(await pushedBy(toGrants)).toEqual(ONLY_ROUTES);
        await seenByBob(200);
        await expectGrantsOnly();
      }
    });

    it('are changed by routes alone, whereas a new service is pushed as cluster and endpoints too', async () => {
      const types = await pushedBy(async () => {
        await stack.putService('more', {});
        const { data } = await stack.client.GET('/v1/nodes/{id}', { params: { path: { id: 'edge-1' } } });
        if (data === undefined) throw new Error('the node is not there');
        await stack.putNode('edge-1', { ...data, services: ['asked', 'granted', 'changing', 'more'] });
      });
      expect(types).toMatchObject({ listeners: 0, rejected: 0 });
      expect(types['clusters']).toBeGreaterThan(0);
      expect(types['routes']).toBeGreaterThan(0);
      await eventuallyAll('the service has a route', bob, answers('/more/x', 403));
      await refusesAll(bob, '/more/x', 403);
    });
  },
);
