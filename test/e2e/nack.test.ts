import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { components } from '../../src/client/schema.d.ts';
import { ADS_PROTOCOLS } from '../../src/xds/bootstrap.ts';
import { buildResources } from '../../src/xds/build.ts';
import { withBadRoutes } from '../support/bad-routes.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';

type Rollout = components['schemas']['Rollout'];

const ALLOW_OPEN = `package envoy.authz
default allow := false
allow if input.parsed_path[1] == "open"
`;

describe.each(ADS_PROTOCOLS)('a node that refuses its routes (%s, mTLS)', (protocol) => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  const ports = { bad: 0, good: 0 };
  let spoiling = false;

  beforeAll(async () => {
    [ports.bad, ports.good] = [await freePort(), await freePort()];
    stack = await startStack({
      mtls: true,
      build: (view, node, options) => {
        const built = buildResources(view, node, options);
        const isSpoilt = spoiling && node.value.listener?.port === ports.bad;
        return isSpoilt ? { ...built, routes: built.routes.map(withBadRoutes) } : built;
      },
    });
    await stack.publishAndRelease('open', ALLOW_OPEN);
    await stack.putService('orders', { access: 'policy', policy: 'open' });
    for (const id of ['bad', 'good'] as const) {
      const listener = { address: '127.0.0.1', port: ports[id] };
      await stack.putNode(`edge-${id}`, { services: ['orders'], listener });
    }
    envoy = await stack.startNode('edge-bad', { protocol });
    await stack.startNode('edge-good', { protocol });
    for (const port of Object.values(ports)) await answers(port, '/orders/open', 200);
  });
  afterAll(() => stack?.stop());

  const answers = (port: number, path: string, status: number) =>
    eventually(`${path} answers ${status}`, async () => (await sendRequest(port, path)).status === status);
  const statusOf = async (id: string) => {
    const { data } = await stack.client.GET('/v1/nodes/{id}/status', { params: { path: { id } } });
    return data!;
  };
  const head = (): number => stack.app.world.follower.position().seq;
  const rolloutOf = async (seq: number): Promise<Rollout> => {
    const { data } = await stack.client.GET('/v1/journal/{seq}/rollout', {
      params: { path: { seq: `${seq}` } },
    });
    return data as Rollout;
  };
  const pushesOfRoutes = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${stack.app.ports.ops}/metrics`)).text();
    return Number(/chancery_xds_pushes_total\{type="routes"\} (\d+)/.exec(text)?.[1]);
  };
  /** The next change over REST: the service answers below another prefix as well. */
  const move = (prefix: string) => stack.putService('orders', { access: 'policy', policy: 'open', prefix });
  const expectServed = async (port: number, prefix: string): Promise<void> => {
    await expectForwarded(stack.upstream, () => sendRequest(port, `${prefix}/open`));
    await expectRefused(stack.upstream, () => sendRequest(port, `${prefix}/closed`), 403);
  };

  it('is shown with version and reason, keeps its last good routes, is told once, and takes the next good ones', async () => {
    const before = await statusOf('edge-bad');
    expect(before).toMatchObject({
      connected: true,
      types: { routes: { ackedVersion: expect.any(String) } },
    });
    expect(before.types.routes.lastNack).toBeUndefined();
    await expectServed(ports.bad, '/orders');

    const pushes = await pushesOfRoutes();
    spoiling = true;
    await move('/moved');
    const bad = head();
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
    await eventually('the other node has it', async () =>
      (await rolloutOf(bad)).nodes.some(({ id, state }) => id === 'edge-good' && state === 'applied'),
    );
    expect(await rolloutOf(bad)).toMatchObject({
      done: false,
      nodes: [
        {
          id: 'edge-bad',
          state: 'refused',
          nack: { type: 'routes', version: sentVersion, reason: lastNack!.reason },
        },
        { id: 'edge-good', state: 'applied' },
      ],
    });

    // each on its own: the one on the last good routes, the other on the new ones
    await expectServed(ports.bad, '/orders');
    await expectRefused(stack.upstream, () => sendRequest(ports.bad, '/moved/open'), 404);
    await expectServed(ports.good, '/moved');
    await expectRefused(stack.upstream, () => sendRequest(ports.good, '/orders/open'), 404);
    expect(await pushesOfRoutes()).toBe(pushes + 2);

    // what comes next is as bad: the one that takes it is told, the one that has refused it is not told again
    await move('/later');
    await eventually('the other node has it', async () =>
      (await rolloutOf(head())).nodes.some(({ id, state }) => id === 'edge-good' && state === 'applied'),
    );
    await answers(ports.good, '/later/open', 200);
    await expectServed(ports.good, '/later');
    await expectServed(ports.bad, '/orders');
    expect((await rolloutOf(head())).nodes).toMatchObject([{ id: 'edge-bad', state: 'refused' }, {}]);
    expect(await pushesOfRoutes()).toBe(pushes + 3);
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
    expect(await rolloutOf(head())).toMatchObject({ done: true });
    expect((await rolloutOf(head())).nodes[0]).not.toHaveProperty('nack');
    expect(await envoy.stat('http.chancery.rds.chancery.update_rejected')).toBe(1);
    // the last refusal stays to be read
    expect(accepted.types.routes.lastNack).toEqual(lastNack);
    expect(envoy.running()).toBe(true);
  });
});
