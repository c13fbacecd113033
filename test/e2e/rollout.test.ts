import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { components } from '../../src/client/schema.d.ts';
import { ADS_PROTOCOLS } from '../../src/xds/bootstrap.ts';
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

describe.each(ADS_PROTOCOLS)('a node that cannot have its new listener (%s, mTLS)', (protocol) => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  const ports = { first: 0, second: 0, third: 0 };

  beforeAll(async () => {
    for (const name of ['first', 'second', 'third'] as const) ports[name] = await freePort();
    stack = await startStack({ mtls: true });
    await stack.publishAndRelease('open', ALLOW_OPEN);
    await stack.putService('orders', { access: 'policy', policy: 'open' });
    await stack.putService('other', { access: 'policy', policy: 'open' });
    await listenOn('edge', ports.first, ['orders']);
    await listenOn('bystander', ports.second, ['other']);
    envoy = await stack.startNode('edge', { protocol });
    await stack.startNode('bystander', { protocol });
    await eventually('both nodes are there', async () => (await rollout()).done);
  });
  afterAll(() => stack?.stop());

  const listenOn = (id: string, port: number, services: string[]) =>
    stack.putNode(id, { services, listener: { address: '127.0.0.1', port } });
  const head = (): number => stack.app.world.follower.position().seq;
  const rollout = async (seq = head()): Promise<Rollout> => {
    const { data } = await stack.client.GET('/v1/journal/{seq}/rollout', {
      params: { path: { seq: `${seq}` } },
    });
    return data as Rollout;
  };
  const edge = async (seq = head()) => (await rollout(seq)).nodes.find(({ id }) => id === 'edge');
  const expectServed = async (port: number): Promise<void> => {
    await expectForwarded(stack.upstream, () => sendRequest(port, '/orders/open'));
    await expectRefused(stack.upstream, () => sendRequest(port, '/orders/closed'), 403);
  };
  const pushesOfListeners = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${stack.app.ports.ops}/metrics`)).text();
    return Number(/chancery_xds_pushes_total\{type="listener"\} (\d+)/.exec(text)?.[1]);
  };

  it('is shown with the reason, serves on where it was, is told once, and takes the next good one', async () => {
    await expectServed(ports.first);
    const before = { seq: head(), pushes: await pushesOfListeners() };
    // another process holds the port: for Envoy this one is
    const holder = createServer().listen(ports.third, '127.0.0.1');
    await once(holder, 'listening');
    try {
      await listenOn('edge', ports.third, ['orders']);
      const bad = head();
      await eventually('the refusal is shown', async () => (await edge(bad))?.state === 'refused');
      expect(await edge(bad)).toMatchObject({
        connected: true,
        seq: before.seq,
        nack: { type: 'listener', reason: expect.stringMatching(new RegExp(`${ports.third}.*in use`)) },
      });
      expect(await rollout(bad)).toMatchObject({
        done: false,
        nodes: [{ id: 'bystander', state: 'applied', seq: bad }, { id: 'edge' }],
      });
      expect(await rollout(before.seq)).toMatchObject({ done: true });

      // the last good one serves on; what comes for the other types is told, the bad listener is not told again
      await expectServed(ports.first);
      await stack.putService('orders', {
        access: 'policy',
        policy: 'open',
        prefix: '/orders',
        hosts: ['a.test', '*'],
      });
      await stack.putService('other', { access: 'policy', policy: 'open', hosts: ['b.test', '*'] });
      await eventually('the other node has it', async () =>
        (await rollout()).nodes.some(({ id, state }) => id === 'bystander' && state === 'applied'),
      );
      await eventually('the routes have come', async () =>
        (await envoy.get('/config_dump')).includes('a.test'),
      );
      expect((await edge())?.state).toBe('refused');
      expect(await pushesOfListeners()).toBe(before.pushes + 1);
      expect(await envoy.stat('listener_manager.lds.update_rejected')).toBe(1);
      await expectServed(ports.first);

      // back to where it is: the next good one
      await listenOn('edge', ports.first, ['orders']);
      await eventually('it has all', async () => (await rollout()).done);
      expect(await edge()).not.toHaveProperty('nack');
      expect(await envoy.stat('listener_manager.lds.update_rejected')).toBe(1);
      await expectServed(ports.first);
    } finally {
      holder.close();
    }
  });

  it('moves when the port is free', async () => {
    await listenOn('edge', ports.third, ['orders']);
    await eventually('it has all', async () => (await rollout()).done);
    await expectServed(ports.third);
    await eventually('the old listener is gone', () =>
      sendRequest(ports.first, '/orders/open').then(
        () => false,
        () => true,
      ),
    );
    expect(envoy.running()).toBe(true);
  });
});
