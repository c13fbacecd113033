/** Who is sent a change: the streams whose scope holds it, one response each, and nobody else a single byte. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { deleteGrant, putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { type AdsClient, openAdsClient, openSotwClient, type SotwClient } from '../support/ads-client.ts';
import { eventually } from '../support/eventually.ts';
import { aGrant, aNode, aService, createRegistryWorld } from '../support/registry-world.ts';

const NODES = 50;
const SERVICES = 50;
const GRANTS_PER_SERVICE = 100;
/** A node serves these, counted from its own number; each service is on as many nodes. */
const SERVED = [0, 1, 7];

const messages = loadEnvoyMessages();
const indexes = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
const servicesOf = (node: number): readonly string[] =>
  SERVED.map((step) => `s${String((node + step) % SERVICES)}`);

/** What both variants of the protocol let a node do. */
interface ScopeNode {
  readonly id: string;
  readonly services: readonly string[];
  /** the type of the next response, which it accepts */
  takeNext(): Promise<string>;
  /** asks for something: the answer says that all that was sent before it has been received */
  barrier(): Promise<string>;
  waiting(): number;
  receivedBytes(): number;
  close(): void;
}

describe.each(['delta', 'state of the world'])(
  'with 50 nodes, 50 services and 5,000 grants, in %s',
  (variant) => {
    const world = createRegistryWorld();
    const { view } = world;
    const isDelta = variant === 'delta';
    let ads: AdsService;
    let grpc: GrpcServer;
    let nodes: readonly ScopeNode[];

    beforeAll(async () => {
      for (const service of indexes(SERVICES).map((index) => `s${index}`)) {
        world.commit(putService(view, service, aService({ prefix: `/${service}` })));
        for (const index of indexes(GRANTS_PER_SERVICE)) {
          world.commit(putGrant(view, service, `g${index}`, aGrant(`spiffe://mesh/${service}/${index}`)));
        }
      }
      for (const index of indexes(NODES)) world.commit(putNode(view, `n${index}`, aNode(servicesOf(index))));
      ads = createAdsService({
        registry: view,
        position: world.position,
        onApplied: world.onApplied,
        peerClaims: () => ({ mayClaimNode: () => true }),
        messages,
        buildOptions: () => ({ authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 200 } }),
        clock: { nowMs: () => 0 },
        logger: silentLogger,
        metrics: createMetrics(),
      });
      grpc = createGrpcServer(
        { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 100 },
        [ads.service],
        silentLogger,
      );
      const port = await grpc.listen();
      nodes = indexes(NODES).map((index) => {
        const [id, services] = [`n${index}`, servicesOf(index)];
        return isDelta
          ? deltaNode(id, services, openAdsClient(port, messages))
          : sotwNode(id, services, openSotwClient(port, messages));
      });
      for (const node of nodes)
        for (const _ of ['cluster', 'endpoints', 'listener', 'routes']) await node.takeNext();
      await appliedEverywhere();
      expect(view.nodes()).toHaveLength(NODES);
    });

    afterAll(async () => {
      for (const node of nodes) node.close();
      ads.close();
      await grpc.close(0);
    });

    const appliedEverywhere = () =>
      eventually('every node has all that the journal says', () =>
        indexes(NODES).every((index) => {
          const { appliedPosition, offeredPosition } = ads.nodeStatus(`n${index}`) ?? {};
          const { seq } = world.position();
          return appliedPosition?.seq === seq && offeredPosition?.seq === seq;
        }),
      );

    it.each([
      ['is added', () => putGrant(view, 's10', 'new', aGrant('spiffe://mesh/new'))],
      ['is changed', () => putGrant(view, 's10', 'g5', aGrant('spiffe://mesh/other'))],
      ['is taken away', () => deleteGrant(view, 's10', 'g6')],
    ])('one grant that %s reaches the three streams that hold it once, and no other', async (_, change) => {
      const before = new Map(nodes.map((node) => [node.id, node.receivedBytes()]));
      world.commit(change());
      const concerned = nodes.filter(({ services }) => services.includes('s10'));
      for (const node of concerned) expect(await node.takeNext()).toContain('RouteConfiguration');
      await appliedEverywhere();
      const others = nodes.filter((node) => !concerned.includes(node));
      expect([concerned.length, others.length]).toEqual([SERVED.length, NODES - SERVED.length]);
      for (const node of others) {
        expect([node.id, node.receivedBytes()]).toEqual([node.id, before.get(node.id)]);
        // and nothing was on its way: the next that comes is the answer to what is asked now
        expect(await node.barrier()).toMatch(isDelta ? 'ScopedRouteConfiguration' : 'Cluster');
      }
      for (const node of concerned) {
        expect(await node.barrier()).toMatch(isDelta ? 'ScopedRouteConfiguration' : 'Cluster');
      }
      expect(nodes.map((node) => node.waiting())).toEqual(nodes.map(() => 0));
    });
  },
);

const endpointsOf = (services: readonly string[]): readonly string[] => [
  'chancery-authz',
  ...services.map((service) => `service.${service}`),
];

function deltaNode(id: string, services: readonly string[], client: AdsClient): ScopeNode {
  const UNSERVED = 'type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration';
  const takeNext = async (): Promise<string> => {
    const { typeUrl, nonce } = await client.next();
    client.send(typeUrl, { nonce });
    return typeUrl;
  };
  client.send('cluster', { nodeId: id });
  client.send('endpoints', { subscribe: endpointsOf(services) });
  client.send('listener');
  client.send('routes', { subscribe: ['chancery'] });
  return {
    ...client,
    id,
    services,
    takeNext,
    barrier() {
      client.send(UNSERVED, { subscribe: ['x'] });
      return takeNext();
    },
  };
}

function sotwNode(id: string, services: readonly string[], client: SotwClient): ScopeNode {
  const names: Readonly<Record<string, readonly string[]>> = {
    ClusterLoadAssignment: endpointsOf(services),
    RouteConfiguration: ['chancery'],
  };
  const namesOf = (typeUrl: string): readonly string[] =>
    names[typeUrl.slice(typeUrl.lastIndexOf('.') + 1)] ?? [];
  const takeNext = async (): Promise<string> => {
    const { typeUrl, nonce, version } = await client.next();
    client.send(typeUrl, { nonce, version, names: namesOf(typeUrl) });
    return typeUrl;
  };
  client.send('cluster', { nodeId: id });
  client.send('endpoints', { names: endpointsOf(services) });
  client.send('listener');
  client.send('routes', { names: ['chancery'] });
  return {
    ...client,
    id,
    services,
    takeNext,
    barrier() {
      client.send('cluster', {});
      return takeNext();
    },
  };
}
