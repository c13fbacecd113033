import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { components } from '../../src/client/schema.d.ts';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { type AdsClient, openAdsClient } from '../support/ads-client.ts';
import { eventually } from '../support/eventually.ts';
import { type Stack, startStack } from '../support/stack.ts';

type Rollout = components['schemas']['Rollout'];

const messages = loadEnvoyMessages();
const CLOSED = 'package envoy.authz\ndefault allow := false\n';

describe('the roll-out of an entry', () => {
  let stack: Stack;
  let clients: AdsClient[];

  beforeEach(async () => {
    clients = [];
    stack = await startStack();
    for (const name of ['orders', 'other']) await stack.putService(name, {});
    for (const [id, service] of [
      ['edge-1', 'orders'],
      ['edge-2', 'other'],
    ] as const) {
      await stack.putNode(id, { services: [service], listener: { address: '127.0.0.1', port: 10000 } });
    }
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await stack.stop();
  });

  const head = (): number => stack.app.world.follower.position().seq;
  const rollout = async (seq = head()): Promise<Rollout> => {
    const { data } = await stack.client.GET('/v1/journal/{seq}/rollout', {
      params: { path: { seq: `${seq}` } },
    });
    return data as Rollout;
  };
  const nodeOf = ({ nodes }: Rollout, id: string) => nodes.find((node) => node.id === id);
  const stateOf = async (id: string, seq = head()) => nodeOf(await rollout(seq), id)?.state;
  /** A client that has accepted all that its node should have. */
  const settle = async (nodeId: string, service: string): Promise<AdsClient> => {
    const client = openAdsClient(stack.app.ports.control ?? 0, messages);
    clients.push(client);
    const subscriptions = {
      cluster: [],
      endpoints: [`service.${service}`],
      listener: [],
      routes: ['chancery'],
    };
    for (const [type, subscribe] of Object.entries(subscriptions)) {
      client.send(type, { nodeId, subscribe });
      client.send(type, { nonce: (await client.next()).nonce });
    }
    await eventually('the node is there', async () => (await stateOf(nodeId)) === 'applied');
    return client;
  };

  it('waits for every registered node, and is done when the last has accepted', async () => {
    const seq = head();
    expect(await rollout()).toMatchObject({
      seq,
      head: seq,
      done: false,
      nodes: [
        { id: 'edge-1', connected: false, state: 'disconnected' },
        { id: 'edge-2', connected: false, state: 'disconnected' },
      ],
    });
    await settle('edge-1', 'orders');
    expect(await rollout()).toMatchObject({ done: false });
    await settle('edge-2', 'other');
    const { done, replicas, nodes } = await rollout();
    expect(done).toBe(true);
    expect(replicas.map(({ role, seq: at, error }) => [role, at, error])).toEqual([
      ['admin', seq, undefined],
      ['authz', seq, undefined],
      ['control', seq, undefined],
    ]);
    expect(nodes.map(({ state, seq: at }) => [state, at])).toEqual([
      ['applied', seq],
      ['applied', seq],
    ]);
  });

  it('passes a node that an entry does not concern without sending anything', async () => {
    const [concerned, bystander] = [await settle('edge-1', 'orders'), await settle('edge-2', 'other')];
    const before = head();
    await stack.putGrant('orders', 'web', 'spiffe://mesh/web');
    const response = await concerned.next();
    expect(await stateOf('edge-1')).toBe('pending');
    expect(await stateOf('edge-1', before)).toBe('applied');
    expect(nodeOf(await rollout(), 'edge-2')).toEqual({
      id: 'edge-2',
      connected: true,
      state: 'applied',
      seq: before + 1,
      proven: false,
    });
    concerned.send('routes', { nonce: response.nonce });
    await eventually('it is done', async () => (await rollout()).done);
    // a policy concerns no node at all
    await stack.publishAndRelease('closed', CLOSED);
    await eventually('it is done', async () => (await rollout()).done);
    const { data } = await stack.client.GET('/v1/nodes/{id}/status', { params: { path: { id: 'edge-2' } } });
    expect(data?.appliedPosition).toBe(`1.${head()}`);
    expect([concerned.waiting(), bystander.waiting()]).toEqual([0, 0]);
  });

  it('shows which node refuses what and why, until it accepts the next one', async () => {
    const client = await settle('edge-1', 'orders');
    const before = head();
    await stack.putGrant('orders', 'web', 'spiffe://mesh/web');
    const bad = await client.next();
    client.send('routes', { nonce: bad.nonce, error: { code: 3, message: 'not with me' } });
    await eventually('it is refused', async () => (await stateOf('edge-1')) === 'refused');
    const refused = nodeOf(await rollout(), 'edge-1');
    expect(refused).toMatchObject({
      connected: true,
      seq: before,
      nack: { version: bad.systemVersion, type: 'routes', reason: 'not with me' },
    });
    // an entry that does not concern it does not make the refusal go away
    await stack.putService('third', {});
    expect(nodeOf(await rollout(), 'edge-1')).toEqual(refused);
    expect(client.waiting()).toBe(0);

    await stack.deleteGrant('orders', 'web');
    const good = await client.next();
    client.send('routes', { nonce: good.nonce });
    await eventually('it is accepted', async () => (await stateOf('edge-1')) === 'applied');
    expect(nodeOf(await rollout(), 'edge-1')).not.toHaveProperty('nack');
  });

  it('keeps a node that went away where it was', async () => {
    const client = await settle('edge-1', 'orders');
    const before = head();
    client.close();
    await eventually('it is gone', async () => nodeOf(await rollout(), 'edge-1')?.connected === false);
    expect(await stateOf('edge-1')).toBe('applied');
    await stack.putGrant('orders', 'web', 'spiffe://mesh/web');
    expect(nodeOf(await rollout(), 'edge-1')).toEqual({
      id: 'edge-1',
      connected: false,
      state: 'disconnected',
      seq: before,
      proven: false,
    });
    expect(await stateOf('edge-1', before)).toBe('applied');
  });

  it('is linked to from a release, and there is none of an entry that is not there', async () => {
    const revision = await stack.publish('closed', CLOSED);
    const { data } = await stack.client.POST('/v1/releases', { body: { policy: 'closed', revision } });
    expect(data?.rollout).toBe(`/v1/journal/${head()}/rollout`);
    const list = await stack.client.GET('/v1/releases');
    expect(list.data?.items.map((release) => release.rollout)).toEqual([data?.rollout]);
    for (const seq of [head() + 1, 999_999_999]) {
      await expect(rollout(seq)).rejects.toMatchObject({ status: 404, code: 'not_found' });
    }
    for (const seq of [0, -1]) await expect(rollout(seq)).rejects.toMatchObject({ status: 400 });
  });
});
