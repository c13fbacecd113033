/** What many nodes have in common is encoded once, whatever the number of streams. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { type AdsClient, openAdsClient } from '../support/ads-client.ts';
import { eventually } from '../support/eventually.ts';
import { aGrant, aNode, aService, createRegistryWorld } from '../support/registry-world.ts';

const NODES = 20;
/** Clusters, endpoints, listener and routes of a node with two services, and those of its authorizer. */
const OF_ONE_NODE = 2 * 2 + 2 + 2;

describe('twenty nodes with the same services', () => {
  const world = createRegistryWorld();
  const { view } = world;
  const metrics = createMetrics();
  const messages = loadEnvoyMessages();
  let ads: AdsService;
  let grpc: GrpcServer;
  let clients: readonly AdsClient[];
  const encodedSoFar = async (): Promise<number> =>
    Number(/^chancery_xds_resources_encoded_total (\d+)$/m.exec(await metrics.render())?.[1]);

  beforeAll(async () => {
    for (const name of ['orders', 'ledger']) {
      world.commit(putService(view, name, aService({ prefix: `/${name}` })));
    }
    for (let node = 0; node < NODES; node += 1) {
      world.commit(putNode(view, `n${node}`, aNode(['orders', 'ledger'])));
    }
    ads = createAdsService({
      registry: view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: () => true }),
      messages,
      buildOptions: () => ({ authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 200 } }),
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics,
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    const port = await grpc.listen();
    clients = Array.from({ length: NODES }, () => openAdsClient(port, messages));
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    ads.close();
    await grpc.close(0);
  });

  it('share the bytes of all but the place at which each was registered, which its probe answers', async () => {
    for (const [index, client] of clients.entries()) {
      client.send('routes', { nodeId: `n${index}`, subscribe: ['chancery'] });
      const { resources, nonce } = await client.next();
      client.send('routes', { nonce });
      expect(messages.decodeResource(resources[0]!.resource)).toMatchObject({ name: 'chancery' });
    }
    expect(await encodedSoFar()).toBe(OF_ONE_NODE - 1 + NODES);
  });

  it('need one more encoding, whose bytes all share, when one grant changes for all of them', async () => {
    world.commit(putGrant(view, 'orders', 'a', aGrant('spiffe://mesh/a')));
    const responses = new Set<string>();
    for (const client of clients) {
      const { resources } = await client.next();
      responses.add(`${resources[0]!.version} ${Buffer.from(resources[0]!.resource.bytes).toString('hex')}`);
    }
    expect(responses.size).toBe(1);
    await eventually('all are offered it', () =>
      clients.every((_, index) => ads.nodeStatus(`n${index}`)?.offeredPosition?.seq === world.position().seq),
    );
    expect(await encodedSoFar()).toBe(OF_ONE_NODE + NODES);
  });
});
