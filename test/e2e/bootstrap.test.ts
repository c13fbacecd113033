import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort, validateConfig } from '../support/envoy-process.ts';
import { connectWorkers, ENVOY_VARIANTS, eventuallyAll } from '../support/envoy-variants.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpConnection, keepAlive } from '../support/http-connection.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { issueNode, nodeFiles, type PortFiles } from '../support/tls-files.ts';

const ALLOW_HELLO = `package envoy.authz
default allow := false
allow if input.parsed_path[1] == "hello"
`;

describe.each(ENVOY_VARIANTS)(
  'an Envoy ($protocol, concurrency $concurrency) that is started with what GET /v1/nodes/{id}/bootstrap answers',
  ({ protocol, concurrency }) => {
    let stack: Stack;
    let mtls: PortFiles;
    let connections: readonly HttpConnection[] = [];
    let envoy: EnvoyProcess;
    let port: number;
    let bootstrap: JsonObject;
    let dump: readonly JsonObject[];

    beforeAll(async () => {
      stack = await startStack({ mtls: true });
      mtls = stack.mtls!;
      port = await freePort();
      await stack.publishAndRelease('hello', ALLOW_HELLO);
      await stack.putService('orders', { access: 'policy', policy: 'hello' });
      await stack.putService('stock', { access: 'policy', policy: 'hello' });
      await stack.putNode('edge-1', {
        services: ['orders', 'stock'],
        listener: { address: '127.0.0.1', port },
      });
      bootstrap = await stack.bootstrap('edge-1', protocol);
      envoy = await stack.startNode('edge-1', { protocol, concurrency });
      await eventually('Envoy is LIVE', async () => (await envoy.state()) === 'LIVE');
      connections = await connectWorkers(envoy, { concurrency }, port, () => keepAlive(port));
      await eventuallyAll(
        'the policy answers',
        connections,
        async (connection) => (await connection.send('/orders/hello')).status === 200,
      );
      dump = (await envoy.json('/config_dump?include_eds'))['configs'] as readonly JsonObject[];
    });
    afterAll(async () => {
      for (const connection of connections) connection.close();
      await stack?.stop();
    });

    const part = (type: string): JsonObject =>
      dump.find((config) => config['@type'] === `type.googleapis.com/envoy.admin.v3.${type}`) ?? {};

    it('has been given a bootstrap that --mode validate accepts', async () => {
      const files = nodeFiles(mtls, await issueNode(mtls, 'edge-1'));
      expect(await validateConfig(bootstrap, { files })).toMatch(/configuration .* OK/);
    });

    it('runs as it should: this variant of xDS, so many workers, over mTLS to both ports', async () => {
      const apiType = { delta: 'DELTA_GRPC', sotw: 'GRPC' }[protocol];
      expect(bootstrap).toMatchObject({ dynamicResources: { adsConfig: { apiType } } });
      const { command_line_options: options } = await envoy.json('/server_info');
      expect(options).toMatchObject({ concurrency });
      expect(connections).toHaveLength(concurrency);
      for (const cluster of ['chancery-ads', 'chancery-authz']) {
        expect(await envoy.stat(`cluster.${cluster}.ssl.handshake`)).toBeGreaterThan(0);
      }
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
        for (const connection of connections) {
          await expectForwarded(stack.upstream, () => connection.send(`/${service}/hello`));
          expect(stack.upstream.lastPath()).toBe(`/${service}/hello`);
          await expectRefused(stack.upstream, () => connection.send(`/${service}/other`), 403);
        }
        expect(await envoy.stat(`cluster.service.${service}.upstream_rq_2xx`)).toBeGreaterThanOrEqual(
          concurrency,
        );
      }
    });

    it('says nothing of deprecated or unknown fields', () => {
      expect(envoy.log()).not.toMatch(/deprecated|unknown field/i);
      expect(envoy.running()).toBe(true);
    });
  },
);

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
