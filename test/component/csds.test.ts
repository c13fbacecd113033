/** Client status discovery: what operators see of nodes, by a client of the packaged `.proto` files. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { createCsdsService } from '../../src/xds/csds-service.ts';
import { type AdsClient, openAdsClient } from '../support/ads-client.ts';
import { PROTO_INCLUDE_DIRS } from '../support/check-client.ts';
import { eventually } from '../support/eventually.ts';
import {
  aGrant,
  aNode,
  aService,
  createRegistryWorld,
  type RegistryWorld,
} from '../support/registry-world.ts';

interface Answer {
  readonly config: readonly {
    readonly node: { readonly id: string };
    readonly client_scope: string;
    readonly generic_xds_configs: readonly {
      readonly type_url: string;
      readonly name: string;
      readonly version_info: string;
      readonly config_status: string;
      readonly client_status: string;
      readonly xds_config: object | null;
      readonly error_state: { readonly details: string; readonly version_info: string } | null;
    }[];
  }[];
}

const definitions = loadSync('envoy/service/status/v3/csds.proto', {
  includeDirs: PROTO_INCLUDE_DIRS,
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});
const METHODS = definitions['envoy.service.status.v3.ClientStatusDiscoveryService'] as unknown as Record<
  'FetchClientStatus' | 'StreamClientStatus',
  MethodDefinition<object, Answer>
>;
const messages = loadEnvoyMessages();

describe('client status discovery', () => {
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let port: number;
  let mayInspect: boolean;
  let node: AdsClient;
  let operator: Client;

  beforeEach(async () => {
    world = createRegistryWorld();
    const { view } = world;
    mayInspect = true;
    world.commit(putService(view, 'orders', aService({ prefix: '/orders' })));
    for (const id of ['edge-1', 'edge-2']) world.commit(putNode(view, id, aNode(['orders'])));
    ads = createAdsService({
      registry: view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: () => true }),
      messages,
      buildOptions: () => ({ authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 200 } }),
      clock: { nowMs: () => 1_500 },
      logger: silentLogger,
      metrics: createMetrics(),
    });
    const status = createCsdsService({
      messages,
      nodeIds: () => view.nodes().map(({ name }) => name),
      clientsOf: (id) => ads.clientsOf(id),
      peerClaims: () => ({ mayInspect: () => mayInspect }),
      logger: silentLogger,
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 100 },
      [ads.service, status],
      silentLogger,
    );
    port = await grpc.listen();
    node = openAdsClient(port, messages);
    operator = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  });

  afterEach(async () => {
    node.close();
    operator.close();
    ads.close();
    await grpc.close(0);
  });

  const fetchStatus = (request: object = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = METHODS.FetchClientStatus;
      operator.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
        error ? reject(error) : resolve(answer as Answer),
      );
    });
  const exactly = (id: string) => ({ node_matchers: [{ node_id: { exact: id } }] });
  /** `Cluster/name: CONFIG CLIENT` */
  const linesOf = async (id: string): Promise<readonly string[]> =>
    (await fetchStatus(exactly(id))).config.flatMap((config) =>
      config.generic_xds_configs.map(
        (each) =>
          `${each.type_url.slice(each.type_url.lastIndexOf('.') + 1)}/${each.name}: ${each.config_status} ${each.client_status}`,
      ),
    );
  const accept = async (type: string, subscribe: readonly string[] = []): Promise<void> => {
    node.send(type, { nodeId: 'edge-1', subscribe });
    node.send(type, { nonce: (await node.next()).nonce });
  };

  it('shows what a node has accepted, what is on its way, and what it never asked for', async () => {
    await accept('cluster');
    node.send('endpoints', { subscribe: ['service.orders', 'nope'] });
    await node.next();
    expect(await linesOf('edge-1')).toEqual([
      'Cluster/chancery-authz: SYNCED ACKED',
      'Cluster/service.orders: SYNCED ACKED',
      'ClusterLoadAssignment/chancery-authz: NOT_SENT UNKNOWN',
      'ClusterLoadAssignment/nope: SYNCED DOES_NOT_EXIST',
      'ClusterLoadAssignment/service.orders: STALE REQUESTED',
      'Listener/listener.127.0.0.1:10000: NOT_SENT UNKNOWN',
      'RouteConfiguration/chancery: NOT_SENT UNKNOWN',
    ]);
  });

  it('shows what a node refuses, with its reason, and what it has of an older state', async () => {
    await accept('routes', ['chancery']);
    world.commit(putGrant(world.view, 'orders', 'a', aGrant('spiffe://mesh/a')));
    const { nonce, resources } = await node.next();
    expect(await linesOf('edge-1')).toContain('RouteConfiguration/chancery: STALE ACKED');
    node.send('routes', { nonce, error: { code: 3, message: 'not with me' } });
    await eventually('it is known', () => ads.nodeStatus('edge-1')?.types.routes.lastNack);
    const { config } = await fetchStatus(exactly('edge-1'));
    const routes = config[0]?.generic_xds_configs.find(({ name }) => name === 'chancery');
    expect(routes).toMatchObject({
      version_info: resources[0]?.version,
      config_status: 'ERROR',
      client_status: 'NACKED',
      xds_config: null,
      error_state: {
        details: 'not with me',
        version_info: resources[0]?.version,
        last_update_attempt: { seconds: '1', nanos: 500_000_000 },
      },
    });
  });

  it('answers for each stream of a node, for nodes without one, and for those that are asked about', async () => {
    await accept('cluster');
    const other = openAdsClient(port, messages);
    other.send('cluster', { nodeId: 'edge-1' });
    await other.next();
    const ids = async (request: object) => (await fetchStatus(request)).config.map((each) => each.node.id);
    expect(await ids({})).toEqual(['edge-1', 'edge-1', 'edge-2']);
    const { config } = await fetchStatus({});
    expect(new Set(config.map((each) => each.client_scope)).size).toBe(3);
    expect(await ids({ node_matchers: [{ node_id: { suffix: '-2' } }] })).toEqual(['edge-2']);
    expect(await ids({ node_matchers: [{ node_id: { prefix: 'edge' } }] })).toHaveLength(3);
    expect(await ids(exactly('nobody'))).toEqual([]);
    other.close();
  });

  it('refuses who is no operator, and matchers that it does not know', async () => {
    const codeOf = (request: object) =>
      fetchStatus(request).then(
        () => 0,
        ({ code }: ServiceError) => code,
      );
    expect(await codeOf({ node_matchers: [{ node_id: { safe_regex: { regex: '.*' } } }] })).toBe(3);
    expect(await codeOf({ node_matchers: [{ node_metadatas: [{ path: [] }] }] })).toBe(3);
    mayInspect = false;
    expect(await codeOf({})).toBe(7);
  });

  it('answers each request of a stream, and ends the stream of who is no operator any more', async () => {
    const { path, requestSerialize, responseDeserialize } = METHODS.StreamClientStatus;
    const stream = operator.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const answers: Answer[] = [];
    let code: number | undefined;
    stream.on('data', (answer: Answer) => answers.push(answer));
    stream.on('error', ({ code: ended }: ServiceError) => {
      code = ended;
    });
    stream.write(exactly('edge-2'));
    stream.write({});
    await eventually('both are answered', () => answers.length === 2);
    expect(answers.map(({ config }) => config.length)).toEqual([1, 2]);
    mayInspect = false;
    stream.write({});
    expect(await eventually('it is ended', () => code)).toBe(7);
  });
});
