import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type Http2Connection } from '../support/http-connection.ts';
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

describe('grants on a real Envoy', () => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  let files: TlsFiles;
  let alice: Http2Connection;
  let bob: Http2Connection;
  let ports: { readonly alice: number; readonly bob: number };

  beforeAll(async () => {
    files = await createTlsFiles();
    stack = await startStack();
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
    envoy = await stack.startNode('edge-1');
    const connect = async (spiffe: string) => connectHttp2(port, await files.client({ uris: [spiffe] }));
    alice = await eventually('the listener takes TLS connections', () => connect(ALICE));
    bob = await connect(BOB);
    await eventually('a grant opens', async () => (await bob.send('/granted/x')).status === 200);
    await eventually('the policy answers', async () => (await alice.send('/asked/x', PLEASE)).status === 200);
    ports = { alice: await portOf(alice), bob: await portOf(bob) };
  });
  afterAll(async () => {
    alice?.close();
    bob?.close();
    await stack?.stop();
    await files?.remove();
  });
  afterEach(async () => {
    // whatever was changed, nobody had to connect again
    expect({ alice: await portOf(alice), bob: await portOf(bob) }).toEqual(ports);
    expect({ alice: alice.isOpen(), bob: bob.isOpen() }).toEqual({ alice: true, bob: true });
    expect(await envoy.stat('listener_manager.total_listeners_draining')).toBe(0);
  });

  const portOf = async (connection: Http2Connection) => (await connection.send('/nothing')).localPort;

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
    const before = await asked();
    const answer = await expectForwarded(stack.upstream, () => alice.send('/asked/x', PLEASE));
    expect(answer.headers['x-policy']).toBe('asked');
    expect(await asked()).toEqual(raisedBy(before, 1));
  };

  it('open and close an open HTTP/2 connection without a call', async () => {
    await expectAskedOnce();
    const before = await asked();
    let sent = 0;
    /** a quarter of the requests: half by the one, half by the other */
    const phase = async (statusOfAlice: 200 | 403) => {
      for (let number = 0; number < REQUESTS / PHASES / 2; number += 1) {
        const send = () => alice.send(`/granted/items/${number}`);
        if (statusOfAlice === 200) await expectForwarded(stack.upstream, send);
        else await expectRefused(stack.upstream, send, 403);
        await expectForwarded(stack.upstream, () => bob.send(`/granted/items/${number}`));
        sent += 2;
      }
    };
    const seenByAlice = (status: number) =>
      eventually(`alice gets ${status}`, async () => (await alice.send('/granted/x')).status === status);

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
    await eventually('alice is in', async () => (await alice.send('/granted/x')).status === 200);
    await expectRefused(stack.upstream, () => bob.send('/granted/x'), 403);
    await stack.putGrant('granted', 'bob', BOB);
    await eventually('bob is in', async () => (await bob.send('/granted/x')).status === 200);
    await expectRefused(stack.upstream, () => alice.send('/granted/x'), 403);
    expect(await asked()).toEqual(before);
  });

  it('of one service open no other', async () => {
    await stack.putGrant('granted', 'alice', ALICE);
    await eventually('alice is in', async () => (await alice.send('/granted/x')).status === 200);
    await expectRefused(stack.upstream, () => alice.send('/changing/x'), 403);
    await stack.deleteGrant('granted', 'alice');
    await eventually('alice is out', async () => (await alice.send('/granted/x')).status === 403);
  });

  it('are joined by the policy and left alone again over REST, by routes alone', async () => {
    /** without a call */
    const expectGrantsOnly = async () => {
      const before = await asked();
      await expectForwarded(stack.upstream, () => bob.send('/changing/x'));
      const please = await expectForwarded(stack.upstream, () => bob.send('/changing/x', PLEASE));
      expect(please.headers['x-policy']).toBeUndefined();
      await expectRefused(stack.upstream, () => alice.send('/changing/x', PLEASE), 403);
      expect(await asked()).toEqual(before);
    };
    const expectBoth = async () => {
      const before = await asked();
      await expectRefused(stack.upstream, () => bob.send('/changing/x'), 402);
      const please = await expectForwarded(stack.upstream, () => bob.send('/changing/x', PLEASE));
      expect(please.headers['x-policy']).toBe('asked');
      expect(await asked()).toEqual(raisedBy(before, 2));
      // whom no grant lets pass the policy is not asked about
      await expectRefused(stack.upstream, () => alice.send('/changing/x', PLEASE), 403);
      expect(await asked()).toEqual(raisedBy(before, 2));
    };
    /** the workers of an Envoy take new routes a moment after it has accepted them */
    const seenByBob = (status: number) =>
      eventually(`bob gets ${status}`, async () => (await bob.send('/changing/x')).status === status);
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
    await eventually('the service has a route', async () => (await bob.send('/more/x')).status !== 404);
    await expectRefused(stack.upstream, () => bob.send('/more/x'), 403);
  });
});
