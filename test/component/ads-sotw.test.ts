import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import type { SotwResponse } from '../../src/grpc/messages-sotw.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { type AdsClient, openAdsClient, openSotwClient, type SotwClient } from '../support/ads-client.ts';
import { eventually } from '../support/eventually.ts';
import {
  aGrant,
  aNode,
  aService,
  createRegistryWorld,
  type RegistryWorld,
} from '../support/registry-world.ts';

const messages = loadEnvoyMessages();
/** what an Envoy names of each type: no TLS, so no secrets */
const NAMES = { cluster: [], endpoints: ['service.orders'], listener: [], routes: ['chancery'] };
const TYPES = ['cluster', 'endpoints', 'listener', 'routes'] as const;

describe('the discovery service, state of the world', () => {
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let metrics: Metrics;
  let port: number;
  let clients: Pick<AdsClient, 'close'>[];

  beforeEach(async () => {
    world = createRegistryWorld();
    world.commit(putService(world.view, 'orders', aService({ prefix: '/orders' })));
    world.commit(putService(world.view, 'other', aService({ prefix: '/other' })));
    world.commit(putNode(world.view, 'edge-1', aNode(['orders'])));
    clients = [];
    metrics = createMetrics();
    ads = createAdsService({
      registry: world.view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: (id) => id !== 'stolen' }),
      messages,
      buildOptions: () => ({
        authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 200 },
      }),
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics,
      limits: { maxSubscriptions: 10, maxMessageBytes: 4096 },
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

  const connect = (): SotwClient => {
    const client = openSotwClient(port, messages);
    clients.push(client);
    return client;
  };
  const namesOf = ({ resources }: SotwResponse) =>
    resources.map((resource) => {
      const { name, clusterName } = messages.decodeResource(resource);
      return name ?? clusterName;
    });
  /** A client that has accepted all that its node should have. */
  const settled = async (): Promise<SotwClient> => {
    const client = connect();
    for (const type of TYPES) {
      client.send(type, { nodeId: 'edge-1', names: NAMES[type] });
      const { nonce, version } = await client.next();
      client.send(type, { names: NAMES[type], nonce, version });
    }
    await inSync();
    return client;
  };
  const inSync = () =>
    eventually('the node has it', () => {
      const { appliedPosition } = ads.nodeStatus('edge-1') ?? {};
      return appliedPosition?.seq === world.position().seq;
    });
  const statusOf = () => ads.nodeStatus('edge-1')!;

  it('sends what the node should have, encoded, with the version that its status shows', async () => {
    const client = connect();
    client.send('cluster', { nodeId: 'edge-1' });
    const response = await client.next();
    expect(response.typeUrl).toBe('type.googleapis.com/envoy.config.cluster.v3.Cluster');
    expect(response.resources.map(({ typeUrl }) => typeUrl)).toEqual([response.typeUrl, response.typeUrl]);
    expect(namesOf(response)).toEqual(['chancery-authz', 'service.orders']);
    expect(response.version).toMatch(/^[0-9a-f]{32}$/);
    expect(statusOf().types.cluster).toEqual({ sentVersion: response.version });
    client.send('cluster', { nonce: response.nonce, version: response.version });
    await eventually('the ACK is seen', () => statusOf().types.cluster.ackedVersion === response.version);
    expect(client.waiting()).toBe(0);
  });

  it('comes to the versions that a delta stream of the same node comes to', async () => {
    await settled();
    const sotw = statusOf().types;
    const delta = openAdsClient(port, messages);
    clients.push(delta);
    for (const type of TYPES) {
      delta.send(type, { nodeId: 'edge-1', subscribe: NAMES[type] });
      const response = await delta.next();
      expect(response.systemVersion).toBe(sotw[type].ackedVersion);
      delta.send(type, { nonce: response.nonce });
    }
    await inSync();
    expect(statusOf().types).toEqual(sotw);
  });

  it('pushes a grant as routes alone', async () => {
    const client = await settled();
    world.commit(putGrant(world.view, 'orders', 'app-a', aGrant('spiffe://mesh/app-a')));
    const response = await client.next();
    expect(namesOf(response)).toEqual(['chancery']);
    expect(JSON.stringify(messages.decodeResource(response.resources[0]!))).toContain('spiffe://mesh/app-a');
    client.send('routes', { names: NAMES.routes, nonce: response.nonce, version: response.version });
    await inSync();
    expect(statusOf().types.routes.ackedVersion).toBe(response.version);
    expect(client.waiting()).toBe(0);
  });

  it('keeps a cluster until the routes without it are accepted', async () => {
    const client = await settled();
    world.commit(putNode(world.view, 'edge-1', aNode(['other'])));
    const added = await client.next();
    expect(namesOf(added)).toEqual(['chancery-authz', 'service.orders', 'service.other']);
    const endpoints = ['service.orders', 'service.other'];
    client.send('endpoints', { names: endpoints });
    const loads = await client.next();
    expect(namesOf(loads)).toContain('service.other');
    client.send('endpoints', { names: endpoints, nonce: loads.nonce });
    client.send('cluster', { nonce: added.nonce });
    const routes = await client.next();
    expect(namesOf(routes)).toEqual(['chancery']);
    expect(client.waiting()).toBe(0);
    client.send('routes', { names: NAMES.routes, nonce: routes.nonce });
    const removed = await client.next();
    expect(namesOf(removed)).toEqual(['chancery-authz', 'service.other']);
    client.send('cluster', { nonce: removed.nonce });
    await inSync();
  });

  it('records a refusal with its reason, and does not send it again', async () => {
    const client = await settled();
    const before = statusOf().types.routes.ackedVersion;
    world.commit(putGrant(world.view, 'orders', 'app-a', aGrant('spiffe://mesh/app-a')));
    const { nonce, version } = await client.next();
    const refusal = {
      names: NAMES.routes,
      version: before ?? '',
      error: { code: 3, message: 'not with me' },
    };
    client.send('routes', { ...refusal, nonce });
    await eventually('the refusal is recorded', () => statusOf().types.routes.lastNack);
    expect(statusOf().types.routes).toEqual({
      sentVersion: version,
      ackedVersion: before,
      lastNack: { version, names: ['chancery'], reason: 'not with me', at: '1970-01-01T00:00:00.000Z' },
    });
    // silence for routes: what is answered next is another type
    client.send('routes', { ...refusal, nonce });
    client.send('cluster', {});
    expect(namesOf(await client.next())).toContain('service.orders');
    expect(client.waiting()).toBe(0);
    expect(await metrics.render()).toContain('chancery_xds_nacks_total{type="routes"} 1');
  });

  it.each([
    ['a node that is not registered', { nodeId: 'nobody' }, 7, /may not be node "nobody"/],
    ['a node that the peer may not be', { nodeId: 'stolen' }, 7, /may not be node "stolen"/],
    ['a first message without node', {}, 3, /node\.id is missing/],
    ['a message without type', { nodeId: 'edge-1', typeUrl: '' }, 3, /type_url is missing/],
    [
      'too many names',
      { nodeId: 'edge-1', names: Array.from({ length: 11 }, (_, name) => String(name)) },
      8,
      /subscriptions/,
    ],
    ['a message that is too large', { nodeId: 'edge-1', names: ['x'.repeat(5000)] }, 8, /too large/],
  ])('ends the stream of %s', async (_, change, code, details) => {
    const client = connect();
    client.send('endpoints', change);
    expect(await client.ended()).toEqual({ code, details: expect.stringMatching(details) });
  });

  it('counts the streams of a node over both variants, and a third ends the oldest', async () => {
    const delta = openAdsClient(port, messages);
    clients.push(delta);
    delta.send('cluster', { nodeId: 'edge-1' });
    await delta.next();
    for (const client of [connect(), connect()]) {
      client.send('cluster', { nodeId: 'edge-1' });
      await client.next();
    }
    expect(await delta.ended()).toMatchObject({ code: 8 });
    expect(statusOf().connected).toBe(true);
  });
});
