import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort, validateConfig } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';

const ALLOW_HELLO = `package envoy.authz
default allow := false
allow if input.parsed_path[1] == "hello"
`;

describe('an Envoy that is started with what GET /v1/nodes/{id}/bootstrap answers', () => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  let port: number;
  let bootstrap: JsonObject;
  let dump: readonly JsonObject[];

  beforeAll(async () => {
    stack = await startStack();
    port = await freePort();
    await stack.publishAndRelease('hello', ALLOW_HELLO);
    await stack.putService('orders', { access: 'policy', policy: 'hello' });
    await stack.putService('stock', { access: 'policy', policy: 'hello' });
    await stack.putNode('edge-1', {
      services: ['orders', 'stock'],
      listener: { address: '127.0.0.1', port },
    });
    const path = { id: 'edge-1' };
    const { data } = await stack.client.GET('/v1/nodes/{id}/bootstrap', { params: { path } });
    bootstrap = data as JsonObject;
    envoy = await stack.startNode('edge-1');
    await eventually('Envoy is LIVE', async () => (await envoy.state()) === 'LIVE');
    await eventually(
      'the policy answers',
      async () => (await sendRequest(port, '/orders/hello')).status === 200,
    );
    dump = (await envoy.json('/config_dump?include_eds'))['configs'] as readonly JsonObject[];
  });
  afterAll(() => stack?.stop());

  const part = (type: string): JsonObject =>
    dump.find((config) => config['@type'] === `type.googleapis.com/envoy.admin.v3.${type}`) ?? {};

  it('has been given a bootstrap that --mode validate accepts', async () => {
    expect(await validateConfig(bootstrap)).toMatch(/configuration .* OK/);
  });

  it('knows from it only who it is and where Chancery is', () => {
    expect(bootstrap).toMatchObject({ node: { id: 'edge-1' } });
    expect(Object.keys(bootstrap['staticResources'] as object)).toEqual(['clusters']);
    const text = JSON.stringify(bootstrap);
    expect(text).toContain(`"portValue":${stack.app.ports.control}`);
    expect(text).not.toContain(`"portValue":${stack.app.ports.authz}`);
    expect(text).not.toMatch(/token|BEGIN|orders|stock/);
  });

  it('has no static listener, and the ADS cluster is its only static one', () => {
    expect(part('ListenersConfigDump')['static_listeners']).toBeUndefined();
    expect(part('RoutesConfigDump')['static_route_configs']).toBeUndefined();
    expect(part('ClustersConfigDump')['static_clusters']).toMatchObject([
      { cluster: { name: 'chancery-ads' } },
    ]);
  });

  it('has a listener, a route configuration and two clusters with endpoints from us', () => {
    expect(part('ListenersConfigDump')['dynamic_listeners']).toMatchObject([
      { active_state: { listener: { address: { socket_address: { port_value: port } } } } },
    ]);
    expect(part('RoutesConfigDump')['dynamic_route_configs']).toMatchObject([
      { route_config: { name: 'chancery' } },
    ]);
    const endpoint = { socket_address: { address: '127.0.0.1', port_value: stack.upstream.port } };
    const found = part('EndpointsConfigDump')['dynamic_endpoint_configs'] as readonly JsonObject[];
    const assignments = new Map(
      found.map(({ endpoint_config }) => {
        const { cluster_name, endpoints } = endpoint_config as JsonObject;
        return [cluster_name, endpoints];
      }),
    );
    for (const service of ['orders', 'stock']) {
      expect(part('ClustersConfigDump')['dynamic_active_clusters']).toContainEqual(
        expect.objectContaining({ cluster: expect.objectContaining({ name: `service.${service}` }) }),
      );
      expect(assignments.get(`service.${service}`)).toMatchObject([
        { lb_endpoints: [{ endpoint: { address: endpoint }, health_status: 'HEALTHY' }] },
      ]);
    }
  });

  it('brings an allowed request to the upstream, through each of the clusters', async () => {
    for (const service of ['orders', 'stock']) {
      await expectForwarded(stack.upstream, () => sendRequest(port, `/${service}/hello`));
      expect(stack.upstream.lastPath()).toBe(`/${service}/hello`);
      expect(await envoy.stat(`cluster.service.${service}.upstream_rq_2xx`)).toBeGreaterThan(0);
      await expectRefused(stack.upstream, () => sendRequest(port, `/${service}/other`), 403);
    }
  });

  it('says nothing of deprecated or unknown fields', () => {
    expect(envoy.log()).not.toMatch(/deprecated|unknown field/i);
    expect(envoy.running()).toBe(true);
  });
});

describe('the bootstrap of a node that does not exist', () => {
  it('is 404: there is nothing to start an Envoy with', async () => {
    await using undo = new AsyncDisposableStack();
    const stack = undo.adopt(await startStack(), (it) => it.stop());
    const path = { id: 'nobody' };
    await expect(stack.client.GET('/v1/nodes/{id}/bootstrap', { params: { path } })).rejects.toMatchObject({
      status: 404,
    });
  });
});
