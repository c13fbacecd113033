/** How far a change has come, asked of one process, where the nodes are connected to others. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AdminClient } from '../../src/client/client.ts';
import type { components } from '../../src/client/schema.d.ts';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { type AdsClient, openAdsClient } from '../support/ads-client.ts';
import { eventually } from '../support/eventually.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';
import { createStackAdmin, type StackAdmin } from '../support/stack.ts';

type Rollout = components['schemas']['Rollout'];

const messages = loadEnvoyMessages();
const NODE = { services: ['orders'], listener: { address: '127.0.0.1', port: 10000 } };

describe('the roll-out of an instance in several processes', { timeout: 120_000 }, () => {
  let instance: Instance;
  let processes: ServeProcess[];
  let clients: AdsClient[];
  let api: AdminClient;
  let admin: StackAdmin;

  beforeEach(async () => {
    [processes, clients] = [[], []];
    instance = await initInstance();
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    for (const each of processes) await each.kill();
    await instance.remove();
  });

  /** @param role  all of them when left out */
  const start = async (role?: string): Promise<ServeProcess> => {
    const set = [...(role === undefined ? [] : [`roles=${role}`]), 'journal.pollMs=100'];
    const flags = set.flatMap((each) => ['--set', each]);
    const process = await startServe(['--config', instance.configFile, ...flags]);
    processes.push(process);
    return process;
  };
  const useAdmin = async (process: ServeProcess): Promise<void> => {
    api = (await exchangeToken(process, instance.oneTimeToken)).client;
    admin = createStackAdmin(api, { port: 9 });
  };
  const head = async (): Promise<number> => (await api.GET('/v1/journal')).data?.head.seq ?? 0;
  const rollout = async (seq?: number): Promise<Rollout> => {
    const path = { seq: `${seq ?? (await head())}` };
    return (await api.GET('/v1/journal/{seq}/rollout', { params: { path } })).data as Rollout;
  };
  const nodeOf = async (id: string, seq?: number) =>
    (await rollout(seq)).nodes.find((node) => node.id === id);
  /** A client that has accepted all that its node should have. */
  const settle = async (process: ServeProcess, nodeId: string): Promise<AdsClient> => {
    const client = openAdsClient(process.ports.control, messages);
    clients.push(client);
    const names = { cluster: [], endpoints: ['service.orders'], listener: [], routes: ['chancery'] };
    for (const [type, subscribe] of Object.entries(names)) {
      client.send(type, { nodeId, subscribe });
      client.send(type, { nonce: (await client.next()).nonce });
    }
    return client;
  };

  it('is done when the nodes of a process without an admin are, shows what they refuse, and forgets who dies', async () => {
    await useAdmin(await start('admin'));
    await admin.putService('orders', {});
    await admin.putNode('edge-1', NODE);
    expect(await nodeOf('edge-1')).toEqual({
      id: 'edge-1',
      connected: false,
      state: 'unknown',
      proven: false,
    });

    await start('authz');
    const control = await start('control');
    await eventually('control is heard of', async () => (await nodeOf('edge-1'))?.state === 'disconnected');
    const client = await settle(control, 'edge-1');
    const done = await eventually('it is done', async () => {
      const seen = await rollout();
      return seen.done ? seen : undefined;
    });
    expect(done.replicas.map(({ role }) => role).toSorted()).toEqual(['admin', 'authz', 'control']);
    expect(done.nodes).toEqual([
      { id: 'edge-1', connected: true, state: 'applied', proven: false, seq: done.head },
    ]);
    // what does not concern it moves it on without a word
    await admin.putService('other', {});
    const { head: applied } = await eventually('it is done again', async () => {
      const seen = await rollout();
      return seen.done ? seen : undefined;
    });
    expect(applied).toBe(done.head + 1);

    await admin.putGrant('orders', 'web', 'spiffe://mesh/web');
    const bad = await client.next();
    client.send('routes', { nonce: bad.nonce, error: { code: 3, message: 'not with me' } });
    const refused = await eventually('it is refused', async () => {
      const node = await nodeOf('edge-1');
      return node?.state === 'refused' ? node : undefined;
    });
    expect(refused).toEqual({
      id: 'edge-1',
      connected: true,
      state: 'refused',
      proven: false,
      seq: applied,
      nack: {
        version: bad.systemVersion,
        type: 'routes',
        names: ['chancery'],
        reason: 'not with me',
        at: refused.nack?.at,
      },
    });
    const { data: status } = await api.GET('/v1/nodes/{id}/status', { params: { path: { id: 'edge-1' } } });
    expect(status).toMatchObject({ connected: true, appliedPosition: `1.${applied}` });

    await control.kill();
    await eventually('it is forgotten', async () => (await nodeOf('edge-1'))?.state === 'unknown');
    expect(await nodeOf('edge-1')).toEqual({
      id: 'edge-1',
      connected: false,
      state: 'unknown',
      proven: false,
    });
  });

  it('joins what the processes know: who is connected anywhere is connected, and who drains is forgotten', async () => {
    await useAdmin(await start());
    await admin.putService('orders', {});
    for (const id of ['edge-1', 'edge-2']) await admin.putNode(id, NODE);
    const other = await start('control');
    const here = await settle(processes[0] as ServeProcess, 'edge-1');
    await settle(other, 'edge-2');
    await eventually('it is done', async () => (await rollout()).done);

    // a node that moves is where it is now
    here.close();
    await eventually('it has left', async () => (await nodeOf('edge-1'))?.connected === false);
    expect((await nodeOf('edge-1'))?.state).toBe('applied');
    await settle(other, 'edge-1');
    await eventually('it is seen elsewhere', async () => (await nodeOf('edge-1'))?.connected);
    await admin.putGrant('orders', 'web', 'spiffe://mesh/web');
    await eventually('both are told', async () => {
      const { nodes } = await rollout();
      return nodes.every(({ connected, state }) => connected && state === 'pending');
    });

    expect(await other.stop()).toBe(0);
    await eventually('they are forgotten', async () => {
      const { nodes } = await rollout();
      return nodes.every(({ connected, state }) => !connected && state === 'disconnected');
    });
  });
});
