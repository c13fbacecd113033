import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { PROBE_HOST } from '../../src/core/probe.ts';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { deleteGrant, putGrant, putNode, putService } from '../../src/registry/commit.ts';
import type { Service } from '../../src/registry/model.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { buildBootstrap } from '../../src/xds/bootstrap.ts';
import { buildResources } from '../../src/xds/build.ts';
import { withBadRoutes } from '../support/bad-routes.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort, startEnvoy, validateConfig } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type ClientTls, sendRequest } from '../support/http-request.ts';
import {
  aGrant,
  aNode,
  aService,
  createRegistryWorld,
  type RegistryWorld,
} from '../support/registry-world.ts';
import { startStack, withFreeAdminPort } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const GRANTED = 'spiffe://mesh/app/a';
const RDS = 'http.chancery.rds.chancery';

describe('an Envoy that speaks state-of-the-world', () => {
  const messages = loadEnvoyMessages();
  let files: TlsFiles;
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let upstream: Upstream;
  let envoy: EnvoyProcess;
  let bootstrap: JsonObject;
  let port: number;
  let granted: ClientTls;
  let spoiling = false;

  beforeAll(async () => {
    files = await createTlsFiles();
    granted = await files.client({ uris: [GRANTED] });
    upstream = await startUpstream();
    port = await freePort();
    world = createRegistryWorld();
    putItems({});
    world.commit(putGrant(world.view, 'items', 'app-a', aGrant(GRANTED, ['read'])));
    putEdge(['items']);
    await serveOn(0);
    bootstrap = buildBootstrap({
      nodeId: 'edge-1',
      adsAddress: '127.0.0.1',
      adsPort,
      adminPort: 0,
      protocol: 'sotw',
    });
    envoy = await startEnvoy(bootstrap);
    await eventually('the listener answers', async () => (await ask('/items/1')).status === 200);
    await applied();
  });

  afterAll(async () => {
    await envoy?.stop();
    await stopServing();
    await upstream?.close();
    await files?.remove();
  });

  let adsPort = 0;
  const serveOn = async (fixedPort: number): Promise<void> => {
    ads = createAdsService({
      registry: world.view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: () => true }),
      messages,
      buildOptions: () => ({
        authz: { places: [{ address: '127.0.0.1', port: 1 }], timeoutMs: 500 },
      }),
      build: (view, node, options) => {
        const built = buildResources(view, node, options);
        return spoiling ? { ...built, routes: built.routes.map(withBadRoutes) } : built;
      },
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics: createMetrics(),
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: fixedPort, maxMessageBytes: 4_194_304, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    adsPort = await grpc.listen();
  };
  const stopServing = async (): Promise<void> => {
    ads?.close();
    await grpc?.close(1_000);
  };
  const aServiceAt = (prefix: string, change: Partial<Service> = {}) =>
    aService({
      prefix,
      operations: [{ id: 'read', method: 'GET', path: `${prefix}/{id}` }],
      endpoints: [{ address: '127.0.0.1', port: upstream.port }],
      ...change,
    });
  const putItems = ({ prefix = '/items', ...change }: Partial<Service>) =>
    world.commit(putService(world.view, 'items', aServiceAt(prefix, change)));
  const putEdge = (services: string[]) =>
    world.commit(putNode(world.view, 'edge-1', aNode(services, { port, tls: files.listener })));
  const ask = (path: string, tls: ClientTls = granted) => sendRequest(port, path, { tls });
  const applied = () =>
    eventually(
      'the node has it',
      () => ads.nodeStatus('edge-1')?.appliedPosition?.seq === world.position().seq,
    );
  const statusOf = () => ads.nodeStatus('edge-1')!;

  it('accepts the bootstrap in validate mode', async () => {
    expect(await validateConfig(bootstrap)).toMatch(/configuration .* OK/);
  });

  it('gets everything from us, and forwards for who is granted alone', async () => {
    const dump = JSON.stringify(await envoy.json('/config_dump'));
    expect(dump).toContain('"api_type":"GRPC"');
    expect(dump).not.toContain('DELTA_GRPC');
    const { types } = statusOf();
    const { extensions, runtime, ...asked } = types;
    // an Envoy of ours names no filter and no runtime layer
    expect({ extensions, runtime }).toEqual({ extensions: {}, runtime: {} });
    for (const { sentVersion, ackedVersion } of Object.values(asked)) {
      expect(sentVersion).toMatch(/^[0-9a-f]{32}$/);
      expect(ackedVersion).toBe(sentVersion);
    }
    // what Envoy calls its version is ours
    expect(dump).toContain(`"version_info":"${types.routes.ackedVersion}"`);
    expect(dump).toContain(`"version_info":"${types.cluster.ackedVersion}"`);
    expect(envoy.log()).not.toMatch(/deprecated|unknown field|Unwatched|unwatched/i);
    await expectForwarded(upstream, () => ask('/items/1'));
    const other = await files.client({ uris: ['spiffe://mesh/app/b'] });
    await expectRefused(upstream, () => ask('/items/1', other), 403);
    await expectRefused(upstream, () => ask('/nothing'), 404);
  });

  it('follows a grant that is taken away and given again', async () => {
    world.commit(deleteGrant(world.view, 'items', 'app-a'));
    await applied();
    await expectRefused(upstream, () => ask('/items/1'), 403);
    world.commit(putGrant(world.view, 'items', 'app-a', aGrant(GRANTED, ['read'])));
    await applied();
    await expectForwarded(upstream, () => ask('/items/1'));
    expect(await envoy.stat('listener_manager.total_listeners_draining')).toBe(0);
  });

  it('follows a route that moves', async () => {
    putItems({ prefix: '/moved' });
    await applied();
    await expectForwarded(upstream, () => ask('/moved/1'));
    await expectRefused(upstream, () => ask('/items/1'), 404);
    putItems({});
    await applied();
    await expectForwarded(upstream, () => ask('/items/1'));
  });

  it('gets a new service with its cluster and endpoints, and drops it again', async () => {
    world.commit(putService(world.view, 'more', aServiceAt('/more')));
    world.commit(putGrant(world.view, 'more', 'app-a', aGrant(GRANTED, ['*'])));
    putEdge(['items', 'more']);
    await applied();
    await expectForwarded(upstream, () => ask('/more/1'));
    await expectForwarded(upstream, () => ask('/items/1'));
    putEdge(['items']);
    await applied();
    await expectRefused(upstream, () => ask('/more/1'), 404);
    expect(await envoy.get('/clusters')).not.toContain('service.more::');
    await expectForwarded(upstream, () => ask('/items/1'));
  });

  it('moves to endpoints that have changed', async () => {
    const elsewhere = await startUpstream();
    try {
      putItems({ endpoints: [{ address: '127.0.0.1', port: elsewhere.port }] });
      await applied();
      await expectForwarded(elsewhere, () => ask('/items/1'));
      putItems({});
      await applied();
      await expectForwarded(upstream, () => ask('/items/1'));
    } finally {
      await elsewhere.close();
    }
  });

  it('keeps traffic on the last good routes when it refuses new ones, which are sent once, and takes the next', async () => {
    const good = statusOf().types.routes.ackedVersion;
    const rejected = await envoy.stat(`${RDS}.update_rejected`);
    spoiling = true;
    putItems({ prefix: '/moved' });
    const nack = await eventually('the refusal is recorded', () => statusOf().types.routes.lastNack);
    expect(nack.names).toEqual(['chancery']);
    expect(nack.reason).toMatch(/regex|missing \)/);
    expect(nack.version).toBe(statusOf().types.routes.sentVersion);
    expect(statusOf().types.routes.ackedVersion).toBe(good);
    await expectForwarded(upstream, () => ask('/items/1'));
    await expectRefused(upstream, () => ask('/moved/1'), 404);

    // the endpoints that come next are taken, and the bad routes are not sent with them
    const elsewhere = await startUpstream();
    try {
      const { ackedVersion } = statusOf().types.endpoints;
      putItems({ prefix: '/moved', endpoints: [{ address: '127.0.0.1', port: elsewhere.port }] });
      await eventually(
        'endpoints are accepted',
        () => statusOf().types.endpoints.ackedVersion !== ackedVersion,
      );
      await expectForwarded(elsewhere, () => ask('/items/1'));
      expect(await envoy.stat(`${RDS}.update_rejected`)).toBe(rejected + 1);
    } finally {
      await elsewhere.close();
    }

    spoiling = false;
    putItems({ prefix: '/again' });
    await applied();
    await expectForwarded(upstream, () => ask('/again/1'));
    await expectRefused(upstream, () => ask('/items/1'), 404);
    expect(await envoy.stat(`${RDS}.update_rejected`)).toBe(rejected + 1);
    expect(envoy.running()).toBe(true);
  });

  it('serves while the control plane is away, comes back to another, and takes what has changed meanwhile', async () => {
    await stopServing();
    await eventually(
      'the stream is gone',
      async () => (await envoy.stat('control_plane.connected_state')) === 0,
    );
    await expectForwarded(upstream, () => ask('/again/1'));
    world.commit(deleteGrant(world.view, 'items', 'app-a'));
    await expectForwarded(upstream, () => ask('/again/1'));
    await serveOn(adsPort);
    await eventually('the node is back', () => ads.nodeStatus('edge-1')?.connected);
    await applied();
    await expectRefused(upstream, () => ask('/again/1'), 403);
    world.commit(putGrant(world.view, 'items', 'app-a', aGrant(GRANTED, ['read'])));
    await applied();
    await expectForwarded(upstream, () => ask('/again/1'));
    expect(await envoy.stat('cluster_manager.cds.update_rejected')).toBe(0);
    expect(await envoy.stat('listener_manager.lds.update_rejected')).toBe(0);
  });
});

describe('a node whose bootstrap is asked for in state-of-the-world', () => {
  const ALLOW_OPEN = `package envoy.authz
default allow := false
allow if input.parsed_path == ["orders", "open"]
`;

  it('is served as any other, beside a node that speaks delta', async () => {
    const stack = await startStack();
    let envoy: EnvoyProcess | undefined;
    try {
      const ports = { sotw: await freePort(), delta: await freePort() };
      await stack.publishAndRelease('open', ALLOW_OPEN);
      await stack.putService('orders', { access: 'policy', policy: 'open' });
      for (const id of ['sotw', 'delta'] as const) {
        const listener = { address: '127.0.0.1', port: ports[id] };
        await stack.putNode(`edge-${id}`, { services: ['orders'], listener });
      }
      const path = { id: 'edge-sotw' };
      const params = { path, query: { protocol: 'sotw' } } as const;
      const unknown = { path, query: { protocol: 'other' as 'sotw' } };
      await expect(stack.client.GET('/v1/nodes/{id}/bootstrap', { params: unknown })).rejects.toMatchObject({
        status: 400,
      });
      const { data } = await stack.client.GET('/v1/nodes/{id}/bootstrap', { params });
      envoy = await startEnvoy(withFreeAdminPort(data as object));
      const other = await stack.startNode('edge-delta');
      for (const port of Object.values(ports)) {
        await eventually('it serves', async () => (await sendRequest(port, '/orders/open')).status === 200);
        await expectForwarded(stack.upstream, () => sendRequest(port, '/orders/open'));
        await expectRefused(stack.upstream, () => sendRequest(port, '/orders/closed'), 403);
      }
      const apiTypeOf = async (config: Promise<Record<string, unknown>>) =>
        /"api_type":"(\w+)"/.exec(JSON.stringify(await config))?.[1];
      expect(await apiTypeOf(envoy.json('/config_dump'))).toBe('GRPC');
      // one configuration, two ways to say it: all but the listener, which has the port, and the position is the same
      const types = await eventually('both have accepted all', async () => {
        const [sotw, delta] = await Promise.all(
          ['edge-sotw', 'edge-delta'].map(async (id) => {
            const { data: status } = await stack.client.GET('/v1/nodes/{id}/status', {
              params: { path: { id } },
            });
            return status?.appliedPosition === undefined ? undefined : status.types;
          }),
        );
        return sotw && delta && { sotw, delta };
      });
      for (const type of ['cluster', 'endpoints'] as const) {
        expect(types.sotw[type].ackedVersion).toBe(types.delta[type].ackedVersion);
      }
      const hostsOf = async ({ json }: EnvoyProcess): Promise<readonly unknown[]> => {
        const { configs = [] } = (await json('/config_dump?resource=dynamic_route_configs')) as {
          configs?: readonly { route_config: { virtual_hosts: readonly { name: string }[] } }[];
        };
        const hosts = configs.flatMap(({ route_config }) => route_config.virtual_hosts);
        expect(hosts.map(({ name }) => name)).toContain(PROBE_HOST);
        return hosts.filter(({ name }) => name !== PROBE_HOST);
      };
      expect(await hostsOf(envoy)).toEqual(await hostsOf(other));
    } finally {
      await envoy?.stop();
      await stack.stop();
    }
  });
});
