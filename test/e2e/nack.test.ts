import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildResources } from '../../src/xds/build.ts';
import { withBadRoutes } from '../support/bad-routes.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';

const ALLOW_OPEN = `package envoy.authz
default allow := false
allow if input.parsed_path[1] == "open"
`;

describe('a node that refuses its routes', () => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  const ports = { bad: 0, good: 0 };
  let spoiling = false;

  beforeAll(async () => {
    [ports.bad, ports.good] = [await freePort(), await freePort()];
    stack = await startStack({
      build: (view, node, options) => {
        const built = buildResources(view, node, options);
        const isSpoilt = spoiling && node.listener.port === ports.bad;
        return isSpoilt ? { ...built, routes: built.routes.map(withBadRoutes) } : built;
      },
    });
    await stack.publishAndRelease('open', ALLOW_OPEN);
    await stack.putService('orders', { access: 'policy', policy: 'open' });
    for (const id of ['bad', 'good'] as const) {
      const listener = { address: '127.0.0.1', port: ports[id] };
      await stack.putNode(`edge-${id}`, { services: ['orders'], listener });
    }
    envoy = await stack.startNode('edge-bad');
    await stack.startNode('edge-good');
    for (const port of Object.values(ports)) await answers(port, '/orders/open', 200);
  });
  afterAll(() => stack?.stop());

  const answers = (port: number, path: string, status: number) =>
    eventually(`${path} answers ${status}`, async () => (await sendRequest(port, path)).status === status);
  const statusOf = async (id: string) => {
    const { data } = await stack.client.GET('/v1/nodes/{id}/status', { params: { path: { id } } });
    return data!;
  };
  /** The next change over REST: the service answers below another prefix as well. */
  const move = (prefix: string) => stack.putService('orders', { access: 'policy', policy: 'open', prefix });
  const expectServed = async (port: number, prefix: string): Promise<void> => {
    await expectForwarded(stack.upstream, () => sendRequest(port, `${prefix}/open`));
    await expectRefused(stack.upstream, () => sendRequest(port, `${prefix}/closed`), 403);
  };

  it('is shown with version and reason, keeps its last good routes, and takes the next good ones', async () => {
    const before = await statusOf('edge-bad');
    expect(before).toMatchObject({
      connected: true,
      types: { routes: { ackedVersion: expect.any(String) } },
    });
    expect(before.types.routes.lastNack).toBeUndefined();
    await expectServed(ports.bad, '/orders');

    spoiling = true;
    await move('/moved');
    await answers(ports.good, '/moved/open', 200);
    const refused = await eventually('the refusal is shown', async () => {
      const status = await statusOf('edge-bad');
      return status.types.routes.lastNack === undefined ? undefined : status;
    });
    const { sentVersion, ackedVersion, lastNack } = refused.types.routes;
    expect(lastNack).toMatchObject({ version: sentVersion, names: ['chancery'] });
    expect(lastNack!.reason).toMatch(/missing \)|regex/);
    expect(ackedVersion).toBe(before.types.routes.ackedVersion);
    expect(sentVersion).not.toBe(ackedVersion);
    expect(refused.connected).toBe(true);
    expect(refused.appliedPosition).toBe(before.appliedPosition);
    expect((await statusOf('edge-good')).types.routes.lastNack).toBeUndefined();

    // each on its own: the one on the last good routes, the other on the new ones
    await expectServed(ports.bad, '/orders');
    await expectRefused(stack.upstream, () => sendRequest(ports.bad, '/moved/open'), 404);
    await expectServed(ports.good, '/moved');
    await expectRefused(stack.upstream, () => sendRequest(ports.good, '/orders/open'), 404);
    expect(await envoy.stat('http.chancery.rds.chancery.update_rejected')).toBe(1);

    spoiling = false;
    await move('/again');
    await answers(ports.bad, '/again/open', 200);
    await expectServed(ports.bad, '/again');
    await expectRefused(stack.upstream, () => sendRequest(ports.bad, '/orders/open'), 404);
    const accepted = await eventually('the node has all', async () => {
      const [status, good] = [await statusOf('edge-bad'), await statusOf('edge-good')];
      return status.appliedPosition === good.appliedPosition ? status : undefined;
    });
    expect(accepted.types.routes.ackedVersion).toBe(accepted.types.routes.sentVersion);
    expect(accepted.types.routes.ackedVersion).not.toBe(ackedVersion);
    // the last refusal stays to be read
    expect(accepted.types.routes.lastNack).toEqual(lastNack);
    expect(envoy.running()).toBe(true);
  });
});
