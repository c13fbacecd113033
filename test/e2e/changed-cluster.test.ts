import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADS_PROTOCOLS } from '../../src/xds/bootstrap.ts';
import { type BuildResources, buildResources } from '../../src/xds/build.ts';
import { expectForwarded } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** Without endpoints Envoy goes on by itself, with those that it had, after 15 s. */
const SOON_MS = 10_000;
const ALLOW_ALL = 'package envoy.authz\nallow := true\n';

describe.each(ADS_PROTOCOLS)('an Envoy whose cluster changes (%s)', (protocol) => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  let port: number;
  let isChanged = false;

  beforeAll(async () => {
    stack = await startStack({
      build: (...input) =>
        isChanged ? withAnotherTimeout(buildResources(...input)) : buildResources(...input),
    });
    port = await freePort();
    await stack.publishAndRelease('all', ALLOW_ALL);
    await stack.putService('orders', { access: 'policy', policy: 'all' });
    await stack.putNode('edge', { services: ['orders'], listener: { address: '127.0.0.1', port } });
    envoy = await stack.startNode('edge', { protocol });
    await eventually('it serves', async () => (await sendRequest(port, '/orders')).status === 200);
  });
  afterAll(() => stack?.stop());

  it('takes it into use at once, with its endpoints', async () => {
    isChanged = true;
    await stack.putService('orders', { access: 'policy', policy: 'all', hosts: ['a.test', '*'] });
    await eventually(
      'the changed cluster is in use',
      async () => {
        const { configs } = (await envoy.json('/config_dump?resource=dynamic_active_clusters')) as {
          configs?: readonly { cluster: { name: string; connect_timeout: string } }[];
        };
        return configs?.some(
          ({ cluster }) => cluster.name === 'service.orders' && cluster.connect_timeout === '3s',
        );
      },
      SOON_MS,
    );
    expect(await envoy.stat('cluster_manager.warming_clusters')).toBe(0);
    await expectForwarded(stack.upstream, () => sendRequest(port, '/orders'));
  });
});

function withAnotherTimeout(built: ReturnType<BuildResources>): ReturnType<BuildResources> {
  return JSON.parse(JSON.stringify(built).replaceAll('"connectTimeout":"2s"', '"connectTimeout":"3s"'));
}
