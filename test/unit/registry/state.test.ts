import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Draft } from '../../../src/journal/journal.ts';
import {
  deleteGrant,
  deleteNode,
  deleteService,
  putGrant,
  putNode,
  putService,
  putSettings,
} from '../../../src/registry/commit.ts';
import { createRegistry } from '../../../src/registry/state.ts';
import { aGrant, aNode, aService, createRegistryWorld } from '../../support/registry-world.ts';

describe('the registry as a fold', () => {
  it('records each object with the digest, place and time of the entry that made it so', () => {
    const world = createRegistryWorld();
    const service = aService();
    const { position } = world.commit(putService(world.view, 's', service));
    expect(world.view.service('s')).toEqual({
      name: 's',
      value: service,
      digest: position.digest,
      seq: 1,
      at: '2026-01-01T00:00:01Z',
    });
  });

  it('tells which objects a commit changed', () => {
    const world = createRegistryWorld();
    const { view } = world;
    const keys = (...drafts: readonly Draft[]) => [...world.commit(...drafts).changed];
    expect(keys(putService(view, 's', aService()))).toEqual(['service/s']);
    expect(keys(putGrant(view, 's', 'g', aGrant()))).toEqual(['grant/s/g']);
    expect(keys(putNode(view, 'n', aNode(['s'])))).toEqual(['node/n']);
    expect(keys(putSettings(view, {}), deleteGrant(view, 's', 'g'))).toEqual(['settings', 'grant/s/g']);
    expect(keys(deleteNode(view, 'n'))).toEqual(['node/n']);
    expect(keys(deleteService(view, 's'))).toEqual(['service/s']);
    expect([view.services(), view.nodes(), view.grantsOf('s')]).toEqual([[], [], []]);
  });

  it('lists by name, whatever the order of the entries', () => {
    const world = createRegistryWorld();
    for (const name of ['b', 'c', 'a']) world.commit(putService(world.view, name, aService()));
    expect(world.view.services().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  it('knows the nodes of a service, also after a node has changed its mind', () => {
    const world = createRegistryWorld();
    const { view } = world;
    world.commit(putService(view, 'a', aService()), putService(view, 'b', aService({ prefix: '/b' })));
    world.commit(putNode(view, 'n2', aNode(['a'])), putNode(view, 'n1', aNode(['a', 'b'])));
    expect([view.nodesOfService('a'), view.nodesOfService('b')]).toEqual([['n1', 'n2'], ['n1']]);
    world.commit(putNode(view, 'n1', aNode(['b'])));
    expect([view.nodesOfService('a'), view.nodesOfService('b')]).toEqual([['n2'], ['n1']]);
    world.commit(deleteNode(view, 'n1'));
    expect(view.nodesOfService('b')).toEqual([]);
  });

  it('knows the last entry that concerns a node: of itself, of its services, of their grants, gone ones too', () => {
    const world = createRegistryWorld();
    const { view } = world;
    const last = () => view.lastChangeOf('n')?.seq;
    world.commit(putService(view, 'mine', aService()), putService(view, 'other', aService({ prefix: '/o' })));
    expect(last()).toBeUndefined();
    world.commit(putNode(view, 'n', aNode(['mine'])));
    expect(last()).toBe(3);
    world.commit(putGrant(view, 'other', 'g', aGrant()), putSettings(view, {}));
    expect(last()).toBe(3);
    world.commit(putGrant(view, 'mine', 'g', aGrant()));
    expect(last()).toBe(6);
    world.commit(deleteGrant(view, 'mine', 'g'));
    expect(last()).toBe(7);
    world.commit(putNode(view, 'n', aNode(['other'])));
    expect(last()).toBe(8);
    world.commit(putService(view, 'other', aService({ prefix: '/p' })), deleteService(view, 'mine'));
    expect(last()).toBe(9);
    const moved = [{ address: '127.0.0.9', port: 9 }];
    world.commit(putService(view, 'other', aService({ prefix: '/p', endpoints: moved })));
    expect(last()).toBe(9);
    world.commit(deleteNode(view, 'n'));
    expect(last()).toBeUndefined();
  });

  it('knows who is granted what, through every change of a grant', () => {
    const world = createRegistryWorld();
    const { view } = world;
    const [a, b] = ['spiffe://mesh/app/a', 'spiffe://mesh/app/b'];
    const operations = ['read', 'write'].map((id) => ({ id, method: 'GET', path: `/${id}` }));
    const granted = () =>
      [a, b].map((subject) =>
        ['read', 'write', '*'].filter((each) => view.isGranted('s', subject ?? '', each, 0)),
      );
    world.commit(putService(view, 's', aService({ operations })));
    world.commit(
      putGrant(view, 's', 'one', aGrant(a, ['read'])),
      putGrant(view, 's', 'two', aGrant(a, ['write'])),
    );
    expect(granted()).toEqual([['read', 'write'], []]);
    world.commit(putGrant(view, 's', 'two', aGrant(b, ['*'])));
    expect(granted()).toEqual([['read'], ['read', 'write', '*']]);
    world.commit(putGrant(view, 's', 'three', aGrant(b, ['read'])), deleteGrant(view, 's', 'two'));
    expect(granted()).toEqual([['read'], ['read']]);
    world.commit(deleteGrant(view, 's', 'one'));
    expect(granted()).toEqual([[], ['read']]);
    expect(view.isGranted('other', b ?? '', 'read', 0)).toBe(false);
  });

  it('stops at a body that it does not understand instead of serving another world', () => {
    const { reducer } = createRegistry();
    const entry = {
      seq: 7,
      epoch: 1,
      digest: `sha256:${'0'.repeat(64)}`,
      at: '2026-01-01T00:00:00Z',
      actor: 'x',
      commitId: 'c',
      kind: 'registry.grant.put',
      body: { service: 's', id: 'g', grant: { subject: {}, operations: ['*'] } },
    } as const;
    expect(() => reducer.apply(entry)).toThrow(/journal_too_new.*entry 7/);
  });

  it('leaves entries of other rooms alone', () => {
    const { reducer } = createRegistry();
    expect(reducer.kinds).not.toContain('policy.release');
    expect(reducer.kinds).toContain('settings.put');
  });

  it('folds and restores what was written before there were members, apps and groups', () => {
    const place = { digest: `sha256:${'1'.repeat(64)}`, seq: 3, at: '2026-01-01T00:00:00Z' } as const;
    const service = {
      hosts: ['*'],
      prefix: '/',
      access: 'grants',
      endpoints: [{ address: '127.0.0.1', port: 8080 }],
    };
    const grant = { subject: { spiffe: 'spiffe://mesh/app/a' }, operations: ['*'] };
    const node = { services: ['s'], listener: { address: '127.0.0.1', port: 10000 } };
    const entry = (
      kind: 'registry.service.put' | 'registry.grant.put' | 'registry.node.put',
      body: JsonObject,
    ) => ({
      ...place,
      epoch: 1,
      actor: 'x',
      commitId: 'c',
      kind,
      body,
    });
    const folded = createRegistry();
    folded.reducer.apply(entry('registry.service.put', { name: 's', service }));
    folded.reducer.apply(entry('registry.grant.put', { service: 's', id: 'g', grant }));
    folded.reducer.apply(entry('registry.node.put', { id: 'n', node }));
    const restored = createRegistry();
    const changed = restored.reducer.section.restore([
      { type: 'settings', record: { name: 'settings', value: {}, ...place } },
      { type: 'service', record: { name: 's', value: service, ...place } },
      { type: 'node', record: { name: 'n', value: node, ...place } },
      { type: 'grant', service: 's', record: { name: 'g', value: grant, ...place } },
    ]);
    expect([...changed].sort()).toEqual(['grant/s/g', 'node/n', 'service/s', 'settings']);
    for (const { view } of [folded, restored]) {
      expect(view.isGranted('s', 'spiffe://mesh/app/a', '*', 0)).toBe(true);
      expect(view.serviceStatus('s')).toEqual({ state: 'enabled' });
      expect(view.nodesOfService('s')).toEqual(['n']);
    }
  });
});
