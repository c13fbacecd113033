import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { deleteNode, putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { buildResources } from '../../src/xds/build.ts';
import type { Place } from '../../src/xds/cluster.ts';
import { type AdsClient, openAdsClient } from '../support/ads-client.ts';
import { eventually } from '../support/eventually.ts';
import {
  aGrant,
  aNode,
  aService,
  createRegistryWorld,
  type RegistryWorld,
} from '../support/registry-world.ts';

const messages = loadEnvoyMessages();

describe('the discovery service', () => {
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let metrics: Metrics;
  let port: number;
  let builds: string[];
  let broken: boolean;
  let places: readonly Place[];
  let clients: AdsClient[];

  beforeEach(async () => {
    world = createRegistryWorld();
    const { view } = world;
    world.commit(putService(view, 'orders', aService({ prefix: '/orders' })));
    world.commit(putService(view, 'other', aService({ prefix: '/other' })));
    world.commit(putNode(view, 'edge-1', aNode(['orders'])));
    world.commit(putNode(view, 'edge-2', aNode(['other'])));
    builds = [];
    clients = [];
    broken = false;
    places = [{ address: '127.0.0.1', port: 9191 }];
    metrics = createMetrics();
    ads = createAdsService({
      registry: view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: (id) => id !== 'stolen' }),
      messages,
      buildOptions: () => ({ authz: { places, timeoutMs: 200 } }),
      build: (registry, node, options) => {
        builds.push(node.value.services.join());
        const resources = buildResources(registry, node, options);
        return broken ? { ...resources, routes: [] } : resources;
      },
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics,
      limits: { firstMessageMs: 300, maxSubscriptions: 10, maxMessageBytes: 4096, maxTypes: 5 },
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    port = await grpc.listen();
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    ads.close();
    await grpc.close(500);
  });

  const connect = (): AdsClient => {
    const client = openAdsClient(port, messages);
    clients.push(client);
    return client;
  };
  /** A client that has accepted all that its node should have. */
  const settled = async (nodeId = 'edge-1'): Promise<AdsClient> => {
    const client = connect();
    const service = nodeId === 'edge-1' ? 'service.orders' : 'service.other';
    const endpoints = ['chancery-authz', service];
    const subscriptions = { cluster: [], endpoints, listener: [], routes: ['chancery'] };
    for (const [type, subscribe] of Object.entries(subscriptions)) {
      client.send(type, { nodeId, subscribe });
      client.send(type, { nonce: (await client.next()).nonce });
    }
    await inSync(nodeId);
    return client;
  };
  const inSync = (nodeId: string) =>
    eventually('the node has it', () => {
      const { appliedPosition, offeredPosition } = ads.nodeStatus(nodeId) ?? {};
      return appliedPosition !== undefined && appliedPosition.seq === offeredPosition?.seq;
    });
  const grant = (service: string, id: string) =>
    world.commit(putGrant(world.view, service, id, aGrant(`spiffe://mesh/${id}`)));

  it('sends what the node should have, encoded, with versions and nonces', async () => {
    const client = connect();
    client.send('cluster', { nodeId: 'edge-1' });
    const response = await client.next();
    expect(response.typeUrl).toBe('type.googleapis.com/envoy.config.cluster.v3.Cluster');
    expect(response.resources.map(({ name }) => name)).toEqual(['chancery-authz', 'service.orders']);
    expect(response.resources.every(({ version }) => /^[0-9a-f]{32}$/.test(version))).toBe(true);
    expect(messages.decodeResource(response.resources[1]!.resource)).toMatchObject({
      '@type': response.typeUrl,
      name: 'service.orders',
      type: 'EDS',
    });
    expect(ads.nodeStatus('edge-1')).toMatchObject({
      connected: true,
      offeredPosition: { seq: 4 },
      types: { cluster: { sentVersion: response.systemVersion } },
    });
  });

  it('pushes a grant as routes alone, to the nodes of its service alone', async () => {
    const [client, bystander] = [await settled('edge-1'), await settled('edge-2')];
    builds.length = 0;
    grant('orders', 'app-a');
    const response = await client.next();
    expect(response.resources.map(({ name }) => name)).toEqual(['chancery']);
    expect(JSON.stringify(messages.decodeResource(response.resources[0]!.resource))).toContain(
      'spiffe://mesh/app-a',
    );
    client.send('routes', { nonce: response.nonce });
    await inSync('edge-1');
    expect(ads.nodeStatus('edge-1')).toMatchObject({
      appliedPosition: { seq: 5 },
      types: { routes: { ackedVersion: response.systemVersion } },
    });
    expect(builds).toEqual(['orders']);
    expect([client.waiting(), bystander.waiting()]).toEqual([0, 0]);
  });

  it('pushes another authorizer as endpoints alone, to all nodes, and the position stays', async () => {
    const clients = [await settled('edge-1'), await settled('edge-2')];
    const before = ads.nodeStatus('edge-1');
    places = [...places, { address: '127.0.0.2', port: 9191 }];
    ads.rebuildAll();
    for (const client of clients) {
      const response = await client.next();
      expect(response.resources.map(({ name }) => name)).toEqual(['chancery-authz']);
      const assignment = messages.decodeResource(response.resources[0]!.resource);
      expect(JSON.stringify(assignment)).toContain('127.0.0.2');
      client.send('endpoints', { nonce: response.nonce });
    }
    await eventually('it is accepted', () => {
      const { ackedVersion } = ads.nodeStatus('edge-1')?.types.endpoints ?? {};
      return ackedVersion !== before?.types.endpoints.ackedVersion;
    });
    await inSync('edge-1');
    expect(ads.nodeStatus('edge-1')?.appliedPosition).toEqual(before?.appliedPosition);
    expect(clients.map((client) => client.waiting())).toEqual([0, 0]);
  });

  it('builds anew, with the authorizers, what has never been buildable', async () => {
    broken = true;
    const client = connect();
    client.send('cluster', { nodeId: 'edge-1' });
    await eventually('a build has failed', () => builds.length === 1);
    broken = false;
    ads.rebuildAll();
    expect((await client.next()).resources.map(({ name }) => name)).toContain('chancery-authz');
  });

  it('sends nothing when the authorizers are as they were', async () => {
    const client = await settled();
    builds.length = 0;
    places = [...places];
    ads.rebuildAll();
    await eventually('it is built anew', () => builds.length === 1);
    grant('orders', 'app-a');
    expect((await client.next()).resources.map(({ name }) => name)).toEqual(['chancery']);
    expect(client.waiting()).toBe(0);
  });

  it('makes one push of changes that come together', async () => {
    const client = await settled();
    builds.length = 0;
    for (const id of ['a', 'b', 'c', 'd']) grant('orders', id);
    const response = await client.next();
    expect(JSON.stringify(messages.decodeResource(response.resources[0]!.resource))).toContain(
      'spiffe://mesh/d',
    );
    expect(builds).toEqual(['orders']);
  });

  it('records a refusal with its reason, and does not send it again', async () => {
    const client = await settled();
    const before = ads.nodeStatus('edge-1')!.types.routes.ackedVersion;
    grant('orders', 'app-a');
    const { nonce, systemVersion } = await client.next();
    client.send('routes', { nonce, error: { code: 3, message: 'not with me' } });
    const status = await eventually('the refusal is recorded', () => {
      const { routes } = ads.nodeStatus('edge-1')!.types;
      return routes.lastNack && routes;
    });
    expect(status).toEqual({
      sentVersion: systemVersion,
      ackedVersion: before,
      lastNack: {
        version: systemVersion,
        names: ['chancery'],
        reason: 'not with me',
        at: '1970-01-01T00:00:00.000Z',
      },
    });
    expect(ads.nodeStatus('edge-1')!.appliedPosition?.seq).toBe(4);
    client.send('routes', { subscribe: ['nope'] });
    expect(await client.next()).toMatchObject({ resources: [], removed: ['nope'] });
    expect(await metrics.render()).toContain('chancery_xds_nacks_total{type="routes"} 1');
  });

  it('keeps the last good snapshot when a state contradicts itself', async () => {
    const client = await settled();
    broken = true;
    grant('orders', 'app-a');
    await eventually('the failure is counted', async () =>
      (await metrics.render()).includes('chancery_xds_snapshot_failures_total 1'),
    );
    expect(client.waiting()).toBe(0);
    expect(ads.nodeStatus('edge-1')!.offeredPosition?.seq).toBe(4);
    broken = false;
    grant('orders', 'app-b');
    expect((await client.next()).resources).toHaveLength(1);
  });

  it('sends nothing anew to a client that comes back with current versions', async () => {
    const first = connect();
    first.send('cluster', { nodeId: 'edge-1' });
    const { resources } = await first.next();
    first.close();
    const again = connect();
    const initialVersions = Object.fromEntries(resources.map(({ name, version }) => [name, version]));
    again.send('cluster', { nodeId: 'edge-1', initialVersions });
    expect(await again.next()).toMatchObject({ resources: [], removed: [] });
  });

  it.each([
    ['a node that is not registered', { nodeId: 'nobody' }, 7, /may not be node "nobody"/],
    ['a node that the peer may not be', { nodeId: 'stolen' }, 7, /may not be node "stolen"/],
    ['a first message without node', {}, 3, /node\.id is missing/],
    ['a message without type', { nodeId: 'edge-1', typeUrl: '' }, 3, /type_url is missing/],
    [
      'too many names',
      { nodeId: 'edge-1', subscribe: Array.from({ length: 11 }, (_, name) => String(name)) },
      8,
      /subscriptions/,
    ],
    ['a message that is too large', { nodeId: 'edge-1', subscribe: ['x'.repeat(5000)] }, 8, /too large/],
  ])('ends the stream of %s', async (_, change, code, details) => {
    const client = connect();
    client.send('endpoints', change);
    expect(await client.ended()).toEqual({ code, details: expect.stringMatching(details) });
  });

  it('ends a stream that sends what is no message, that says nothing, or that changes its node', async () => {
    const garbage = connect();
    garbage.sendBytes(new Uint8Array([255, 255]));
    expect(await garbage.ended()).toMatchObject({ code: 3 });
    const silent = connect();
    expect(await silent.ended()).toMatchObject({ code: 4 });
    const other = connect();
    other.send('cluster', { nodeId: 'edge-1' });
    other.send('cluster', { nodeId: 'edge-2' });
    expect(await other.ended()).toMatchObject({ code: 3 });
  });

  it('ends a stream with too many types', async () => {
    const client = connect();
    for (let type = 0; type < 10; type += 1)
      client.send(`type.googleapis.com/t${type}`, { nodeId: 'edge-1' });
    expect(await client.ended()).toMatchObject({ code: 8 });
  });

  it('serves two streams of a node, and a third ends the oldest', async () => {
    const streams = [connect(), connect(), connect()] as const;
    for (const stream of streams) {
      stream.send('cluster', { nodeId: 'edge-1' });
      await stream.next();
    }
    expect(await streams[0].ended()).toMatchObject({ code: 8 });
    expect(ads.nodeStatus('edge-1')).toMatchObject({ connected: true });
    world.commit(putNode(world.view, 'edge-1', aNode(['orders', 'other'])));
    streams[2].send('cluster', { nonce: '1' });
    await eventually(
      'the others are still served',
      () => ads.nodeStatus('edge-1')?.offeredPosition?.seq === 5,
    );
  });

  it('ends the stream of a node that is deleted, and forgets it', async () => {
    const client = await settled();
    world.commit(deleteNode(world.view, 'edge-1'));
    expect(await client.ended()).toMatchObject({ code: 7 });
    expect(ads.nodeStatus('edge-1')).toBeUndefined();
  });

  it('knows when a node has gone, however it went', async () => {
    const [polite, abrupt] = [await settled('edge-1'), await settled('edge-2')];
    polite.halfClose();
    expect(await polite.ended()).toMatchObject({ code: 0 });
    abrupt.close();
    for (const id of ['edge-1', 'edge-2']) {
      await eventually('it is known', () => ads.nodeStatus(id)?.connected === false);
    }
    expect(await metrics.render()).toContain('chancery_xds_streams 0');
  });
});
