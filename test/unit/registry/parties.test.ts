import { describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import {
  deleteApp,
  deleteGroup,
  deleteMember,
  planChanges,
  putApp,
  putGrant,
  putGroup,
  putMember,
  putNode,
  putNodeGroup,
  putService,
} from '../../../src/registry/commit.ts';
import type { Grant, Service } from '../../../src/registry/model.ts';
import { MAX_GROUP_DEPTH, PARTY_STATES, type PartyState } from '../../../src/registry/parties.ts';
import { nodesReached } from '../../../src/registry/reach.ts';
import { subjectsOf } from '../../../src/registry/subjects.ts';
import {
  aGroup,
  aMember,
  aNode,
  anApp,
  aService,
  createRegistryWorld,
  type RegistryWorld,
} from '../../support/registry-world.ts';

const op = (id: string, path: string) => ({ id, method: 'GET', path });
const NOON = '2026-06-01T12:00:00Z';
const NOON_MS = Date.parse(NOON);

/** Members `GOV/A` and `GOV/B` with the apps `x` and `y` each, all registered. */
function aWorld(): RegistryWorld {
  const world = createRegistryWorld();
  const { view } = world;
  for (const member of ['GOV/A', 'GOV/B']) {
    world.commit(putMember(view, member, aMember()));
    for (const app of ['x', 'y']) world.commit(putApp(view, `${member}/${app}`, anApp()));
  }
  return world;
}

function messages(change: () => unknown): readonly string[] {
  try {
    change();
  } catch (error) {
    if (error instanceof Failure) return error.issues.map(({ pointer, message }) => `${pointer} ${message}`);
    throw error;
  }
  throw new Error('the change was accepted');
}

describe('the state of a member and of an app', () => {
  const NEXT: Readonly<Record<PartyState, readonly PartyState[]>> = {
    pending: ['approved'],
    approved: ['registered'],
    registered: ['suspended', 'disabled'],
    suspended: ['registered', 'disabled'],
    disabled: ['registered', 'suspended'],
  };
  const withState = (state: PartyState) => ({
    state,
    ...(state === 'disabled' && { notice: 'until Monday' }),
  });
  const pairs = PARTY_STATES.flatMap((from) => PARTY_STATES.map((to) => [from, to] as const));

  it.each(pairs)('goes from %s to %s, or is told where it can go', (from, to) => {
    const world = createRegistryWorld();
    const { view } = world;
    world.commit(putMember(view, 'GOV/A', aMember()), putMember(view, 'GOV/B', withState(from)));
    world.commit(putApp(view, 'GOV/A/x', withState(from)));
    for (const change of [
      () => putMember(view, 'GOV/B', withState(to)),
      () => putApp(view, 'GOV/A/x', withState(to)),
    ]) {
      if (from === to || NEXT[from].includes(to)) expect(change).not.toThrow();
      else {
        const allowed = NEXT[from].map((state) => `"${state}"`).join(' or ');
        expect(messages(change)).toEqual([`/state "${from}" can only become ${allowed}, and not "${to}"`]);
      }
    }
  });

  it('has a notice with "disabled", and only then', () => {
    const { view } = aWorld();
    expect(messages(() => putMember(view, 'GOV/A', { state: 'disabled' }))).toEqual([
      '/notice is required when state is "disabled"',
    ]);
    // one character, and many bytes
    const long = `e${'\u0301'.repeat(2_500)}`;
    expect(messages(() => putApp(view, 'GOV/A/x', { state: 'disabled', notice: long }))).toHaveLength(1);
    expect(messages(() => putApp(view, 'GOV/A/x', { state: 'registered', notice: 'x' }))).toEqual([
      '/notice is only possible when state is "disabled"',
    ]);
  });

  it('gives an app its SPIFFE ID from the names of instance, member and app', () => {
    expect(aWorld().view.spiffeOf('GOV/A/x')).toBe('spiffe://mesh/app/GOV/A/x');
  });

  it.each(['GOV', 'GOV/', 'GOV/a b', 'GOV/..', '/A', 'GOV/A/x', 'GOV/%41'])(
    'is of no member with the name "%s"',
    (name) => {
      expect(messages(() => putMember(aWorld().view, name, aMember()))).toHaveLength(1);
    },
  );

  it('belongs to a member that exists', () => {
    expect(messages(() => putApp(aWorld().view, 'COM/C/x', anApp()))).toEqual([
      ' there is no member "COM/C"',
    ]);
  });
});

describe('a group', () => {
  it('names apps and groups that exist', () => {
    expect(messages(() => putGroup(aWorld().view, 'g', aGroup(['GOV/A/z', 'other'])))).toEqual([
      '/members/0/app there is no app "GOV/A/z"',
      '/members/1/group there is no group "other"',
    ]);
  });

  it('names each of them once', () => {
    expect(messages(() => putGroup(aWorld().view, 'g', aGroup(['GOV/A/x', 'GOV/A/x'])))).toEqual([
      '/members/1 is there twice',
    ]);
  });

  it('never contains itself, and the cycle is named', () => {
    const world = aWorld();
    const { view } = world;
    world.commit(putGroup(view, 'c', aGroup([])));
    world.commit(putGroup(view, 'b', aGroup(['c'])));
    world.commit(putGroup(view, 'a', aGroup(['b'])));
    expect(messages(() => putGroup(view, 'c', aGroup(['GOV/A/x', 'a'])))).toEqual([
      '/members a group may not contain itself: c → a → b → c',
    ]);
    expect(messages(() => putGroup(view, 'd', aGroup(['d'])))).toContain(
      '/members a group may not contain itself: d → d',
    );
  });

  it('is refused with a cycle that several changes close together', () => {
    const { view } = aWorld();
    const group = (name: string, members: readonly string[]) => ({
      kind: 'group' as const,
      name,
      value: aGroup(members),
    });
    expect(messages(() => planChanges(view, [group('a', ['b']), group('b', ['a'])]))).toEqual([
      '/changes/0/value/members a group may not contain itself: a → b → a',
      '/changes/1/value/members a group may not contain itself: b → a → b',
    ]);
    expect(() => planChanges(view, [group('a', ['b']), group('b', ['GOV/A/x'])])).not.toThrow();
  });

  it('is nested only so deep, whichever end grows', () => {
    const world = aWorld();
    const { view } = world;
    for (let at = 1; at <= MAX_GROUP_DEPTH; at += 1) {
      world.commit(putGroup(view, `g${at}`, aGroup(at === 1 ? [] : [`g${at - 1}`])));
    }
    const deep = `/members groups would be nested ${MAX_GROUP_DEPTH + 1} deep, and ${MAX_GROUP_DEPTH} is the most`;
    expect(messages(() => putGroup(view, 'top', aGroup([`g${MAX_GROUP_DEPTH}`])))).toEqual([deep]);
    world.commit(putGroup(view, 'bottom', aGroup(['GOV/A/x'])));
    expect(messages(() => putGroup(view, 'g1', aGroup(['bottom'])))).toEqual([deep]);
  });

  it('that is local is for its owner alone', () => {
    const world = aWorld();
    const { view } = world;
    const local = aGroup(['GOV/B/x'], { owner: 'GOV/A/x' });
    world.commit(putGroup(view, 'local', local));
    world.commit(putService(view, 'mine', aService({ owner: 'GOV/A/x', prefix: '/mine' })));
    world.commit(putService(view, 'other', aService({ owner: 'GOV/B/x', prefix: '/other' })));
    const grant: Grant = { subject: { group: 'local' }, operations: ['*'] };
    world.commit(putGrant(view, 'mine', 'g', grant));
    expect(messages(() => putGrant(view, 'other', 'g', grant))).toEqual([
      '/subject/group group "local" is local to "GOV/A/x", which does not own the service',
    ]);
    expect(messages(() => putGroup(view, 'global', aGroup(['local'])))).toEqual([
      '/members/0/group group "local" is local to "GOV/A/x"',
    ]);
    expect(messages(() => putGroup(view, 'local', { ...local, owner: 'GOV/B/x' }))).toEqual([
      '/owner grant "mine/g" names this group, and is not of "GOV/B/x"',
    ]);
    expect(messages(() => putService(view, 'mine', aService({ owner: 'GOV/B/x' })))).toEqual([
      '/owner grant "g" names a group that is local to "GOV/A/x"',
    ]);
  });
});

describe('what is named by others', () => {
  it('stays, and who names it is told', () => {
    const world = aWorld();
    const { view } = world;
    world.commit(putGroup(view, 'g', aGroup(['GOV/A/x'])), putService(view, 's', aService()));
    world.commit(putService(view, 'owned', aService({ owner: 'GOV/A/y', prefix: '/owned' })));
    world.commit(
      putGrant(view, 's', 'by-app', { subject: { app: 'GOV/A/x' }, operations: ['*'] }),
      putGrant(view, 's', 'by-id', { subject: { spiffe: 'spiffe://mesh/app/GOV/B/x' }, operations: ['*'] }),
      putGrant(view, 's', 'by-group', { subject: { group: 'g' }, operations: ['*'] }),
    );
    expect(messages(() => deleteMember(view, 'GOV/A'))).toEqual([' apps name this member: GOV/A/x, GOV/A/y']);
    expect(messages(() => deleteApp(view, 'GOV/A/x'))).toEqual([
      ' groups name this app: g',
      ' grants name this app: s/by-app',
    ]);
    expect(messages(() => deleteApp(view, 'GOV/A/y'))).toEqual([' services name this app: owned']);
    // it would count again as an ID that nobody knows
    expect(messages(() => deleteApp(view, 'GOV/B/x'))).toEqual([' grants name this app: s/by-id']);
    expect(messages(() => deleteGroup(view, 'g'))).toEqual([' grants name this group: s/by-group']);
    world.commit(deleteApp(view, 'GOV/B/y'));
    expect(view.apps().map(({ name }) => name)).toEqual(['GOV/A/x', 'GOV/A/y', 'GOV/B/x']);
  });

  it('goes together with who names it, in one set of changes in any order', () => {
    const world = aWorld();
    const { view } = world;
    world.commit(putGroup(view, 'g', aGroup(['GOV/A/x'])));
    const gone = ['member GOV/A', 'app GOV/A/x', 'app GOV/A/y', 'group g'].map((text) => {
      const [kind = '', name = ''] = text.split(' ');
      return { kind: kind as 'member' | 'app' | 'group', name, value: undefined };
    });
    world.commit(...planChanges(view, gone).drafts);
    expect([view.members().map(({ name }) => name), view.groups()]).toEqual([['GOV/B'], []]);
  });
});

describe('who may use an operation', () => {
  const OPERATIONS = [op('read', '/r'), op('write', '/w')];
  const X = 'spiffe://mesh/app/GOV/A/x';
  const Y = 'spiffe://mesh/app/GOV/A/y';
  const BX = 'spiffe://mesh/app/GOV/B/x';

  function withGrants(grants: Readonly<Record<string, Grant>>, service: Partial<Service> = {}) {
    const world = aWorld();
    const { view } = world;
    world.commit(putGroup(view, 'inner', aGroup(['GOV/A/x', 'GOV/B/x'])));
    world.commit(putGroup(view, 'outer', aGroup(['inner', 'GOV/A/y'])));
    world.commit(putService(view, 's', aService({ operations: OPERATIONS, ...service })));
    for (const [id, grant] of Object.entries(grants)) world.commit(putGrant(view, 's', id, grant));
    /** said twice: as it is compiled, and as it is asked; both must say the same */
    const who = (operation: string, atMs = NOON_MS - 1) => {
      const compiled = [...subjectsOf(view, 's', atMs)(operation).keys()].sort();
      const asked = [X, Y, BX, 'spiffe://mesh/app/GOV/B/y', 'spiffe://mesh/other'].filter((spiffe) =>
        view.isGranted('s', spiffe, operation, atMs),
      );
      expect(asked.sort()).toEqual(compiled);
      return compiled;
    };
    return { world, view, who };
  }

  it('is a workload, an app, or every app of a group and its groups', () => {
    const { who } = withGrants({
      id: { subject: { spiffe: 'spiffe://mesh/other' }, operations: ['read'] },
      app: { subject: { app: 'GOV/A/y' }, operations: ['write'] },
      group: { subject: { group: 'inner' }, operations: ['*'] },
    });
    expect(who('read')).toEqual([X, BX, 'spiffe://mesh/other'].sort());
    expect(who('write')).toEqual([X, Y, BX].sort());
    expect(who('*')).toEqual([X, BX]);
  });

  it('is nobody whom a deny names, whatever allows it, and in whichever order they came', () => {
    const deny: Grant = { subject: { group: 'inner' }, operations: ['write'], effect: 'deny' };
    const { who } = withGrants({
      a: deny,
      b: { subject: { group: 'outer' }, operations: ['*'] },
      c: { subject: { app: 'GOV/A/x' }, operations: ['write'] },
      d: { subject: { spiffe: BX }, operations: ['write'] },
    });
    expect(who('read')).toEqual([X, Y, BX].sort());
    expect(who('write')).toEqual([Y]);
    expect(who('*')).toEqual([Y]);
  });

  it('is denied by a SPIFFE ID as well as by the name of the app', () => {
    const { who } = withGrants({
      a: { subject: { app: 'GOV/A/x' }, operations: ['*'] },
      b: { subject: { spiffe: X }, operations: ['read'], effect: 'deny' },
    });
    expect([who('read'), who('write')]).toEqual([[], [X]]);
  });

  it('is nobody for whom a grant has ended, to the millisecond', () => {
    const { who } = withGrants({ a: { subject: { app: 'GOV/A/x' }, operations: ['*'], expiresAt: NOON } });
    expect([who('read', NOON_MS - 1), who('read', NOON_MS)]).toEqual([[X], []]);
  });

  it.each(['pending', 'approved', 'suspended', 'disabled'] as const)(
    'is nobody that is %s, or whose member is, by whichever name it is granted',
    (state) => {
      const notice = state === 'disabled' ? { notice: 'n' } : {};
      const grants: Readonly<Record<string, Grant>> = {
        app: { subject: { app: 'GOV/A/x' }, operations: ['*'] },
        id: { subject: { spiffe: X }, operations: ['*'] },
        group: { subject: { group: 'outer' }, operations: ['*'] },
        sibling: { subject: { app: 'GOV/A/y' }, operations: ['*'] },
      };
      const ofApp = withGrants(grants);
      ofApp.world.commit({
        kind: 'registry.app.put',
        body: { name: 'GOV/A/x', app: { state, ...notice } },
      });
      expect(ofApp.who('read')).toEqual([Y, BX].sort());
      const ofMember = withGrants(grants);
      ofMember.world.commit({
        kind: 'registry.member.put',
        body: { name: 'GOV/A', member: { state, ...notice } },
      });
      expect(ofMember.who('read')).toEqual([BX]);
    },
  );

  it('is not an unknown app of a member that is not registered', () => {
    const ghost = 'spiffe://mesh/app/GOV/A/ghost';
    const { world, view } = withGrants({ a: { subject: { spiffe: ghost }, operations: ['*'] } });
    expect(view.isGranted('s', ghost, 'read', 0)).toBe(true);
    world.commit(putMember(view, 'GOV/A', { state: 'suspended' }));
    expect(view.isGranted('s', ghost, 'read', 0)).toBe(false);
    expect(subjectsOf(view, 's', 0)('read').size).toBe(0);
  });

  it.each<[string, Grant, string]>([
    [
      'an app that is not there',
      { subject: { app: 'GOV/A/z' }, operations: ['*'] },
      '/subject/app there is no app "GOV/A/z"',
    ],
    [
      'a group that is not there',
      { subject: { group: 'z' }, operations: ['*'] },
      '/subject/group there is no group "z"',
    ],
    [
      'the end of a deny',
      { subject: { app: 'GOV/A/x' }, operations: ['*'], effect: 'deny', expiresAt: NOON },
      '/expiresAt is not possible when effect is "deny"',
    ],
    [
      'a day that is not there',
      { subject: { app: 'GOV/A/x' }, operations: ['*'], expiresAt: '2026-02-30T00:00:00Z' },
      '/expiresAt is not a time that there is',
    ],
    [
      'an hour that is not there',
      { subject: { app: 'GOV/A/x' }, operations: ['*'], expiresAt: '2026-02-28T25:00:00Z' },
      '/expiresAt is not a time that there is',
    ],
  ])('is not said by a grant with %s', (_, grant, message) => {
    const { view } = withGrants({});
    expect(messages(() => putGrant(view, 's', 'g', grant))).toEqual([message]);
  });
});

describe('nodes and groups of nodes', () => {
  const service = (prefix: string) => aService({ prefix });

  it('have the services of both, and no two at one place', () => {
    const world = createRegistryWorld();
    const { view } = world;
    world.commit(
      putService(view, 'a', service('/a')),
      putService(view, 'b', service('/b')),
      putService(view, 'b2', service('/b')),
    );
    world.commit(putNode(view, 'n1', aNode(['a'])), putNode(view, 'n2', aNode(['b2'])));
    world.commit(putNodeGroup(view, 'edge', { nodes: ['n1'], services: ['b'] }));
    expect([view.servicesOfNode('n1'), view.nodesOfService('b')]).toEqual([['a', 'b'], ['n1']]);
    expect(messages(() => putNodeGroup(view, 'edge', { nodes: ['n1', 'n2'], services: ['b'] }))).toEqual([
      '/nodes/1 node "n2": "b2" and "b" are both at host "*", prefix "/b"',
    ]);
    expect(messages(() => putNode(view, 'n1', aNode(['a', 'b2'])))).toEqual([
      '/services/1 "b2" and "b" are both at host "*", prefix "/b"',
    ]);
    expect(messages(() => putService(view, 'a', service('/b')))).toEqual([
      '/prefix service "b" is at host "*", prefix "/b" on node "n1" already',
    ]);
    expect(messages(() => putNodeGroup(view, 'edge', { nodes: ['x'], services: ['y'] }))).toEqual([
      '/services/0 there is no service "y"',
      '/nodes/0 there is no node "x"',
    ]);
  });
});

describe('a change', () => {
  function reachOf() {
    const world = aWorld();
    const { view } = world;
    for (const name of ['s1', 's2', 's3', 's4'])
      world.commit(putService(view, name, aService({ prefix: `/${name}` })));
    world.commit(putService(view, 'owned', aService({ prefix: '/owned', owner: 'GOV/A/y' })));
    world.commit(putGroup(view, 'inner', aGroup(['GOV/A/x'])));
    world.commit(putGroup(view, 'outer', aGroup(['inner'])));
    world.commit(
      putGrant(view, 's1', 'g', { subject: { app: 'GOV/A/x' }, operations: ['*'] }),
      putGrant(view, 's2', 'g', { subject: { group: 'outer' }, operations: ['*'] }),
      putGrant(view, 's3', 'g', { subject: { spiffe: 'spiffe://mesh/app/GOV/A/x' }, operations: ['*'] }),
      putGrant(view, 's4', 'g', { subject: { app: 'GOV/B/x' }, operations: ['*'] }),
    );
    for (const name of ['s1', 's2', 's3', 's4', 'owned'])
      world.commit(putNode(view, `n-${name}`, aNode([name])));
    world.commit(putNode(view, 'n-group', aNode([])));
    world.commit(putNodeGroup(view, 'edge', { nodes: ['n-group'], services: ['s4'] }));
    return world;
  }

  it('reaches exactly the nodes whose routes it may change', () => {
    const { view } = reachOf();
    const reached = (key: string) => nodesReached(view, key);
    expect(reached('grant/s1/g')).toEqual(['n-s1']);
    expect(reached('app/GOV/A/x')).toEqual(['n-s1', 'n-s2', 'n-s3']);
    expect(reached('app/GOV/A/y')).toEqual(['n-owned']);
    expect(reached('member/GOV/A')).toEqual(['n-owned', 'n-s1', 'n-s2', 'n-s3']);
    expect(reached('group/inner')).toEqual(['n-s2']);
    expect(reached('group/outer')).toEqual(['n-s2']);
    expect(reached('app/GOV/B/x')).toEqual(['n-group', 'n-s4']);
    expect(reached('service/s4')).toEqual(['n-group', 'n-s4']);
    expect(reached('app/GOV/B/y')).toEqual([]);
    expect(reached('settings')).toEqual([]);
  });

  it('of a group of nodes is told of each node that was or is in it', () => {
    const world = reachOf();
    const applied = world.commit(putNodeGroup(world.view, 'edge', { nodes: ['n-s1'], services: ['s4'] }));
    expect([...applied.changed]).toEqual(['node-group/edge', 'node/n-group', 'node/n-s1']);
  });
});
