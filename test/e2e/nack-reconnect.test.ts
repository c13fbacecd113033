import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { components } from '../../src/client/schema.d.ts';
import { ADS_PROTOCOLS } from '../../src/xds/bootstrap.ts';
import { buildResources } from '../../src/xds/build.ts';
import { withBadRoutes } from '../support/bad-routes.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type CutProxy, startCutProxy } from '../support/cut-proxy.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type LogLine, recordLog } from '../support/log-lines.ts';
import { type Stack, startStack, withFreeAdminPort } from '../support/stack.ts';

type Rollout = components['schemas']['Rollout'];

const ALLOW_OPEN = `package envoy.authz
default allow := false
allow if input.parsed_path[1] == "open"
`;
const RECONNECTS = 3;

describe.each(ADS_PROTOCOLS)('a node that has refused a version and connects anew (%s)', (protocol) => {
  let stack: Stack;
  let proxy: CutProxy;
  let envoy: EnvoyProcess;
  let lines: readonly LogLine[];
  let spoiling: boolean;
  const ports = { first: 0, held: 0 };

  beforeEach(async () => {
    [ports.first, ports.held, spoiling] = [await freePort(), await freePort(), false];
    const recorded = recordLog();
    lines = recorded.lines;
    stack = await startStack({
      logger: recorded.logger,
      build: (view, node, options) => {
        const built = buildResources(view, node, options);
        return spoiling ? { ...built, routes: built.routes.map(withBadRoutes) } : built;
      },
    });
    await stack.publishAndRelease('open', ALLOW_OPEN);
    await stack.putService('orders', { access: 'policy', policy: 'open' });
    await listenOn(ports.first);
    proxy = await startCutProxy(stack.app.ports.control ?? 0);
    envoy = await startThroughProxy();
    await eventually('the node is there', async () => (await rollout()).done);
  });
  afterEach(async () => {
    await envoy?.stop();
    await proxy?.close();
    await stack?.stop();
  });

  const startThroughProxy = async (): Promise<EnvoyProcess> => {
    const bootstrap = JSON.stringify(withFreeAdminPort(await stack.bootstrap('edge', protocol)));
    const direct = `"portValue":${stack.app.ports.control}`;
    expect(bootstrap).toContain(direct);
    return startEnvoy(JSON.parse(bootstrap.replace(direct, `"portValue":${proxy.port}`)));
  };

  const listenOn = (port: number) =>
    stack.putNode('edge', { services: ['orders'], listener: { address: '127.0.0.1', port } });
  const rollout = async (): Promise<Rollout> => {
    const path = { seq: `${stack.app.world.follower.position().seq}` };
    return (await stack.client.GET('/v1/journal/{seq}/rollout', { params: { path } })).data as Rollout;
  };
  const edge = async () => (await rollout()).nodes[0];
  const connections = (): number => lines.filter(({ message }) => message === 'a node has connected').length;
  /** It loses its stream a few times, and comes back. */
  const reconnect = async (): Promise<void> => {
    for (let time = 0; time < RECONNECTS; time += 1) {
      const before = connections();
      proxy.cut();
      await eventually('it has come back', () => connections() > before);
    }
  };
  const expectServed = async (prefix: string): Promise<void> => {
    await expectForwarded(stack.upstream, () => sendRequest(ports.first, `${prefix}/open`));
    await expectRefused(stack.upstream, () => sendRequest(ports.first, `${prefix}/closed`), 403);
  };

  it('is not sent the routes again, is shown as refusing them, serves on, and takes the next ones', async () => {
    const move = (prefix: string) => stack.putService('orders', { access: 'policy', policy: 'open', prefix });
    spoiling = true;
    await move('/moved');
    const refused = await eventually('the refusal is shown', async () => {
      const node = await edge();
      return node?.state === 'refused' ? node : undefined;
    });
    expect(refused.nack).toMatchObject({ type: 'routes', names: ['chancery'] });
    await reconnect();
    await eventually('it is shown still', async () => (await edge())?.state === 'refused');
    expect(await edge()).toEqual(refused);
    expect(await envoy.stat('http.chancery.rds.chancery.update_rejected')).toBe(1);
    await expectServed('/orders');

    spoiling = false;
    await move('/again');
    await eventually('it has the next ones', async () => (await rollout()).done);
    await expectServed('/again');
    await reconnect();
    expect(await envoy.stat('http.chancery.rds.chancery.update_rejected')).toBe(1);
  });

  it('is not sent the listener again, until it is started anew and the port is free', async () => {
    const holder = createServer().listen(ports.held, '127.0.0.1');
    await once(holder, 'listening');
    try {
      await listenOn(ports.held);
      await eventually('the refusal is shown', async () => (await edge())?.state === 'refused');
      await reconnect();
      await eventually('it is shown still', async () => (await edge())?.state === 'refused');
      expect((await edge())?.nack?.reason).toMatch(new RegExp(`${ports.held}.*in use`));
      expect(await envoy.stat('listener_manager.lds.update_rejected')).toBe(1);
      await expectServed('/orders');
    } finally {
      holder.close();
    }
    // the cause is gone: who runs on is not told, who starts is
    await reconnect();
    expect((await edge())?.state).not.toBe('applied');
    await envoy.stop();
    envoy = await startThroughProxy();
    await eventually('it has the new one', async () => (await rollout()).done);
    ports.first = ports.held;
    await expectServed('/orders');
  });
});
