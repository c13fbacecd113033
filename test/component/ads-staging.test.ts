/** A roll-out that goes from a few nodes to all, and stops when one refuses. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { deleteGrant, putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { rolloutStateOf } from '../../src/xds/rollout.ts';
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
const IDS = ['n0', 'n1', 'n2', 'n3'] as const;

describe('a roll-out in stages', () => {
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let port: number;
  let clients: ReadonlyMap<string, AdsClient>;

  const start = async (ackMs: number): Promise<void> => {
    world = createRegistryWorld();
    world.commit(putService(world.view, 'orders', aService({ prefix: '/orders' })));
    world.commit(putGrant(world.view, 'orders', 'old', aGrant('spiffe://mesh/old')));
    for (const id of IDS) world.commit(putNode(world.view, id, aNode(['orders'])));
    ads = createAdsService({
      registry: world.view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: () => true }),
      messages,
      buildOptions: () => ({ authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 200 } }),
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics: createMetrics(),
      limits: { staging: { batch: 1, ackMs } },
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    port = await grpc.listen();
    clients = new Map(IDS.map((id) => [id, openAdsClient(port, messages)]));
    for (const [nodeId, client] of clients) {
      const names = {
        cluster: [],
        endpoints: ['chancery-authz', 'service.orders'],
        listener: [],
        routes: ['chancery'],
      };
      for (const [type, subscribe] of Object.entries(names)) {
        client.send(type, { nodeId, subscribe });
        client.send(type, { nonce: (await client.next()).nonce });
      }
      await eventually('it has everything', () => stateOf(nodeId) === 'applied');
    }
  };

  beforeEach(() => start(600_000));
  afterEach(async () => {
    for (const client of clients.values()) client.close();
    ads.close();
    await grpc.close(0);
  });

  const stateOf = (id: string) => rolloutStateOf(ads.nodeProgress(id), world.position().seq);
  const states = () => IDS.map(stateOf).join(' ');
  const clientOf = (id: string): AdsClient => clients.get(id) as AdsClient;
  const grant = (name: string) =>
    world.commit(putGrant(world.view, 'orders', name, aGrant(`spiffe://mesh/${name}`)));
  /** the routes that it is sent next, as text; answers them */
  const answer = async (id: string, error?: string): Promise<string> => {
    const { nonce, resources } = await clientOf(id).next();
    clientOf(id).send('routes', {
      nonce,
      ...(error !== undefined && { error: { code: 3, message: error } }),
    });
    return JSON.stringify(resources.map(({ resource }) => messages.decodeResource(resource)));
  };
  const waiting = () => IDS.map((id) => clientOf(id).waiting());
  it('goes to one node, then to two, then to the rest', async () => {
    grant('new');
    expect(await answer('n0')).toContain('spiffe://mesh/new');
    await eventually('it is accepted', () => stateOf('n0') === 'applied');
    for (const id of ['n1', 'n2']) {
      expect(stateOf('n3')).toBe('pending');
      expect(waiting()[3]).toBe(0);
      expect(await answer(id)).toContain('spiffe://mesh/new');
    }
    expect(await answer('n3')).toContain('spiffe://mesh/new');
    await eventually('all have it', () => states() === 'applied applied applied applied');
  });

  it('halts when the first one refuses, and says which and why', async () => {
    grant('bad');
    await answer('n0', 'not with me');
    await eventually('the others wait', () => states() === 'refused halted halted halted');
    expect(ads.nodeProgress('n2')?.halt).toEqual({ node: 'n0', reason: 'not with me' });
    expect(waiting()).toEqual([0, 0, 0, 0]);
  });

  it('begins anew with the next change, and gives everybody the newest', async () => {
    grant('bad');
    await answer('n0', 'not with me');
    await eventually('the others wait', () => states() === 'refused halted halted halted');
    grant('good');
    for (const id of IDS) expect(await answer(id)).toContain('spiffe://mesh/good');
    await eventually('all have it', () => states() === 'applied applied applied applied');
    expect(ads.nodeProgress('n2')?.halt).toBeUndefined();
  });

  it('lets a revocation pass at once, to all, also while it is halted', async () => {
    grant('bad');
    await answer('n0', 'not with me');
    await eventually('the others wait', () => states() === 'refused halted halted halted');
    world.commit(deleteGrant(world.view, 'orders', 'old'));
    // nobody has answered yet, and all are told
    await eventually('all are told', () => waiting().join() === '1,1,1,1');
    for (const id of IDS) expect(await answer(id)).not.toContain('spiffe://mesh/old');
    await eventually('all have it', () => states() === 'applied applied applied applied');
  });

  it('lets endpoints pass while it is halted, and nothing else', async () => {
    grant('bad');
    await answer('n0', 'not with me');
    await eventually('the others wait', () => states() === 'refused halted halted halted');
    const endpoints = [{ address: '127.0.0.9', port: 8080 }];
    world.commit(putService(world.view, 'orders', aService({ prefix: '/orders', endpoints })));
    for (const id of IDS.slice(1)) {
      const { typeUrl, resources } = await clientOf(id).next();
      expect(typeUrl).toContain('ClusterLoadAssignment');
      expect(JSON.stringify(messages.decodeResource(resources[0]!.resource))).toContain('127.0.0.9');
    }
    expect(waiting().slice(1)).toEqual([0, 0, 0]);
    expect(states()).toBe('refused halted halted halted');
  });

  it('asks another node when the first one goes away without an answer', async () => {
    grant('new');
    await clientOf('n0').next();
    clientOf('n0').close();
    expect(await answer('n1')).toContain('spiffe://mesh/new');
    for (const id of ['n2', 'n3']) expect(await answer(id)).toContain('spiffe://mesh/new');
  });

  it('gives a node that comes back while it is halted what it had', async () => {
    grant('bad');
    await answer('n0', 'not with me');
    await eventually('the others wait', () => states() === 'refused halted halted halted');
    clientOf('n1').close();
    await eventually('it is gone', () => ads.nodeStatus('n1')?.connected === false);
    const again = openAdsClient(port, messages);
    again.send('routes', { nodeId: 'n1', subscribe: ['chancery'] });
    const { resources } = await again.next();
    const routes = JSON.stringify(messages.decodeResource(resources[0]!.resource));
    expect([routes.includes('spiffe://mesh/old'), routes.includes('spiffe://mesh/bad')]).toEqual([
      true,
      false,
    ]);
    again.close();
  });

  it('halts when the first one does not answer in time', async () => {
    for (const client of clients.values()) client.close();
    ads.close();
    await grpc.close(0);
    await start(200);
    grant('new');
    await clientOf('n0').next();
    await eventually('the others wait', () => states() === 'pending halted halted halted');
    expect(ads.nodeProgress('n3')?.halt).toEqual({ node: 'n0', reason: 'no answer within 200 ms' });
  });
});
