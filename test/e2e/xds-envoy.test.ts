import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { buildBootstrap } from '../../src/xds/bootstrap.ts';
import { buildResources } from '../../src/xds/build.ts';
import { EXT_AUTHZ_OFF } from '../../src/xds/ext-authz-filter.ts';
import { EXT_AUTHZ_FILTER, RBAC_FILTER } from '../../src/xds/names.ts';
import { RBAC_OPEN } from '../../src/xds/rbac.ts';
import { type EnvoyProcess, freePort, startEnvoy, validateConfig } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { rawRequest } from '../support/raw-http.ts';
import {
  aGrant,
  aNode,
  aService,
  createRegistryWorld,
  type RegistryWorld,
} from '../support/registry-world.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

describe('an Envoy that knows only its bootstrap', () => {
  const messages = loadEnvoyMessages();
  const metrics = createMetrics();
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let upstream: Upstream;
  let envoy: EnvoyProcess;
  let port: number;
  let bootstrap: JsonObject;
  /** what the test adds to the routes that are pushed */
  let spoil: ((routes: JsonObject) => JsonObject) | undefined;

  beforeAll(async () => {
    upstream = await startUpstream();
    port = await freePort();
    world = createRegistryWorld();
    const open = aService({
      access: 'policy',
      policy: 'quickstart',
      prefix: '/open',
      endpoints: [{ address: '127.0.0.1', port: upstream.port }],
    });
    world.commit(putService(world.view, 'open', open));
    const granted = aService({
      prefix: '/granted',
      operations: [
        { id: 'list', method: 'GET', path: '/granted/items' },
        { id: 'read', method: 'GET', path: '/granted/items/{id}' },
        { id: 'special', method: 'GET', path: '/granted/items/special' },
      ],
      endpoints: [{ address: '127.0.0.1', port: upstream.port }],
    });
    world.commit(putService(world.view, 'granted', granted));
    world.commit(putGrant(world.view, 'granted', 'app-a', aGrant('spiffe://mesh/app/a', ['read'])));
    world.commit(putNode(world.view, 'edge-1', aNode(['open', 'granted'], { port })));
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
        return spoil ? { ...built, routes: built.routes.map(spoil) } : built;
      },
      clock: { nowMs: () => Date.parse('2026-01-02T03:04:05Z') },
      logger: silentLogger,
      metrics,
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 4_194_304, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    bootstrap = buildBootstrap({
      nodeId: 'edge-1',
      adsAddress: '127.0.0.1',
      adsPort: await grpc.listen(),
      adminPort: 0,
    });
    envoy = await startEnvoy(bootstrap);
    await eventually('Envoy is LIVE', async () => (await envoy.state()) === 'LIVE');
    await listening();
  });

  afterAll(async () => {
    await envoy?.stop();
    ads?.close();
    await grpc?.close(1_000);
    await upstream?.close();
  });

  /** The same routes without authorizer and grants: they forward whatever matches. */
  const openRoutes = (routes: JsonObject): JsonObject => {
    const open = { [RBAC_FILTER]: RBAC_OPEN, [EXT_AUTHZ_FILTER]: EXT_AUTHZ_OFF };
    const text = JSON.stringify(routes, (key, value: unknown) =>
      key === 'typedPerFilterConfig' ? open : value,
    );
    return JSON.parse(text) as JsonObject;
  };
  const listening = () =>
    eventually('the listener answers', async () => (await rawRequest(port, '/nothing')).status === 404);
  const touch = () => world.commit(putService(world.view, 'open', world.view.service('open')!.value));
  const applied = async () => {
    const { seq } = world.position();
    await eventually('the node has it', () => ads.nodeStatus('edge-1')?.appliedPosition?.seq === seq);
  };

  it('accepts the bootstrap in validate mode', async () => {
    expect(await validateConfig(bootstrap)).toMatch(/configuration .* OK/);
  });

  it('has no static listener, one static cluster, and everything else from us', async () => {
    const { configs } = (await envoy.json('/config_dump?include_eds')) as { configs: JsonObject[] };
    const text = JSON.stringify(configs);
    const part = (type: string) =>
      configs.find(
        (config) => config['@type'] === `type.googleapis.com/envoy.admin.v3.${type}`,
      ) as JsonObject;
    expect(part('ListenersConfigDump')['static_listeners']).toBeUndefined();
    expect(part('ListenersConfigDump')['dynamic_listeners']).toHaveLength(1);
    expect(part('ClustersConfigDump')['static_clusters']).toHaveLength(1);
    expect(part('ClustersConfigDump')['dynamic_active_clusters']).toHaveLength(3);
    expect(part('RoutesConfigDump')['dynamic_route_configs']).toHaveLength(1);
    expect(text).toContain('"max_denied_response_body_bytes":4096');
    expect(text).toContain('"enforce_response_header_limits":true');
    expect(text).toContain('"emit_filter_state_stats":true');
    expect(envoy.log()).not.toMatch(/deprecated|unknown field/i);
    expect(envoy.running()).toBe(true);
  });

  it('answers 503 on a policy route while no authorizer is there, and does not forward', async () => {
    const before = upstream.count();
    expect((await rawRequest(port, '/open/x')).status).toBe(503);
    expect(upstream.count()).toBe(before);
  });

  it('answers 403 on a granted route to a caller without certificate, and does not call the authorizer', async () => {
    const before = upstream.count();
    const errors = await envoy.stat('http.chancery.ext_authz.pdp.error');
    expect((await rawRequest(port, '/granted/items/1')).status).toBe(403);
    expect((await rawRequest(port, '/granted/items')).status).toBe(403);
    expect(upstream.count()).toBe(before);
    expect(await envoy.stat('http.chancery.ext_authz.pdp.error')).toBe(errors);
  });

  it.each([
    ['another method', 'POST', '/granted/items', 404],
    ['a deeper path', 'GET', '/granted/items/1/2', 404],
    ['an empty segment for a name', 'GET', '/granted/items/', 404],
    ['the prefix itself', 'GET', '/granted', 404],
    ['a path that only begins like the prefix', 'GET', '/openx', 404],
    ['a path parameter', 'GET', '/open/a;x=1', 400],
    ['a path parameter behind a name', 'GET', '/open/a;/granted/items', 400],
    ['an encoded slash', 'GET', '/open/a%2fb', 400],
    ['an encoded slash in upper case', 'GET', '/open/a%2Fb', 400],
    ['an encoded backslash', 'GET', '/open/a%5cb', 400],
    ['an encoded NUL', 'GET', '/open/a%00b', 400],
    ['a cut escape', 'GET', '/open/a%2', 400],
    ['a byte that is no ASCII', 'GET', '/open/a\xff', 400],
    ['a byte that is no ASCII before a path parameter', 'GET', '/open/\xff;x=1', 400],
  ])('refuses %s with an answer of its own and forwards nothing', async (_, method, path, status) => {
    const before = upstream.count();
    expect((await rawRequest(port, path, { method })).status).toBe(status);
    expect(upstream.count()).toBe(before);
  });

  it('forwards through the pushed listener, route, cluster and endpoint', async () => {
    spoil = openRoutes;
    touch();
    await applied();
    const before = upstream.count();
    const answer = await rawRequest(port, '/open/x?a=;%2f%00&b=%');
    expect(answer.status).toBe(200);
    expect(upstream.count()).toBe(before + 1);
    expect(upstream.lastPath()).toBe('/open/x?a=;%2f%00&b=%');
    expect((await rawRequest(port, '/open/%7Euser/a%20b')).status).toBe(200);
    expect((await rawRequest(port, '/granted/items/special')).status).toBe(200);
    expect((await rawRequest(port, '/granted/./items//%41')).status).toBe(200);
    expect(upstream.lastPath()).toBe('/granted/items/A');
  });

  it.each([
    ['dots with a path parameter', '/open/..;/granted/items/1', '/granted/items/1'],
    ['a backslash', '/open\\a\\..\\b', '/open/b'],
    ['encoded dots', '/open/%2e%2e/granted/items/1', '/granted/items/1'],
  ])(
    'reads %s as the upstream will: one path for routes, rules and upstream',
    async (_, path, normalized) => {
      const before = upstream.count();
      expect((await rawRequest(port, path)).status).toBe(200);
      expect(upstream.count()).toBe(before + 1);
      expect(upstream.lastPath()).toBe(normalized);
    },
  );

  it('keeps traffic on the last accepted routes when it refuses new ones, and takes the next good ones', async () => {
    spoil = openRoutes;
    touch();
    await applied();
    const good = ads.nodeStatus('edge-1')!.types.routes.ackedVersion;
    const rejectedBefore = await envoy.stat('http.chancery.rds.chancery.update_rejected');

    spoil = (routes) => ({
      ...routes,
      virtualHosts: [
        {
          name: 'bad',
          domains: ['*'],
          routes: [{ match: { safeRegex: { regex: '[' } }, directResponse: { status: 200 } }],
        },
      ],
    });
    touch();
    const nack = await eventually(
      'the refusal is recorded',
      () => ads.nodeStatus('edge-1')?.types.routes.lastNack,
    );
    expect(nack.names).toEqual(['chancery']);
    expect(nack.reason).toMatch(/regex|missing \]/);
    expect(nack.at).toBe('2026-01-02T03:04:05.000Z');
    expect(nack.version).toBe(ads.nodeStatus('edge-1')!.types.routes.sentVersion);
    expect(nack.version).not.toBe(good);
    expect(ads.nodeStatus('edge-1')!.types.routes.ackedVersion).toBe(good);
    expect((await rawRequest(port, '/open/still')).status).toBe(200);
    expect(await envoy.stat('http.chancery.rds.chancery.update_rejected')).toBe(rejectedBefore + 1);

    spoil = (routes) => openRoutes({ ...routes, mostSpecificHeaderMutationsWins: true });
    touch();
    await applied();
    expect(ads.nodeStatus('edge-1')!.types.routes.ackedVersion).not.toBe(good);
    expect((await rawRequest(port, '/open/again')).status).toBe(200);
  });

  it('answers 403 on a route that was pushed without overrides', async () => {
    spoil = (routes) =>
      JSON.parse(
        JSON.stringify(routes, (key, value) => (key === 'typedPerFilterConfig' ? undefined : value)),
      );
    touch();
    await applied();
    const before = upstream.count();
    expect((await rawRequest(port, '/open/x')).status).toBe(403);
    expect((await rawRequest(port, '/granted/items/1')).status).toBe(403);
    expect(upstream.count()).toBe(before);
    spoil = undefined;
  });

  it('refuses to send what contradicts itself and keeps the last good snapshot', async () => {
    spoil = openRoutes;
    touch();
    await applied();
    const before = ads.nodeStatus('edge-1')!.types.routes.sentVersion;
    spoil = () => ({
      '@type': 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
      name: 'other',
    });
    touch();
    await eventually('the failure is counted', async () =>
      (await metrics.render()).includes('chancery_xds_snapshot_failures_total 1'),
    );
    expect((await rawRequest(port, '/open/x')).status).toBe(200);
    expect(ads.nodeStatus('edge-1')!.types.routes.sentVersion).toBe(before);
    spoil = undefined;
  });
});
