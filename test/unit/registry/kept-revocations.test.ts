import { describe, expect, it } from 'vitest';
import type { Draft } from '../../../src/journal/journal.ts';
import {
  deleteApp,
  deleteGrant,
  deleteGroup,
  putApp,
  putGrant,
  putGroup,
  putMember,
  putNode,
  putNodeGroup,
  putService,
} from '../../../src/registry/commit.ts';
import { keptRegistryRevocations } from '../../../src/registry/kept-revocations.ts';
import type { Grant } from '../../../src/registry/model.ts';
import type { RegistryView } from '../../../src/registry/state.ts';
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

const LOST_AT = '2026-01-01T00:00:00Z';
const [X, Y] = ['GOV/A/x', 'GOV/A/y'];
const group: Grant = { subject: { group: 'g' }, operations: ['*'] };

/** What both lines have in common: two apps in a group that is granted `s`. */
function aFork(): RegistryWorld {
  const world = createRegistryWorld();
  const { view } = world;
  world.commit(putMember(view, 'GOV/A', aMember()));
  world.commit(putApp(view, X, anApp()), putApp(view, Y, anApp()));
  world.commit(putGroup(view, 'g', aGroup([X, Y])), putGroup(view, 'all', aGroup([X, Y])));
  world.commit(putService(view, 's', aService()));
  world.commit(putGrant(view, 's', 'g', group));
  world.commit(putNode(view, 'n', aNode([])));
  world.commit(putNodeGroup(view, 'edge', { nodes: ['n'], services: ['s'] }));
  return world;
}

/**
 * @param lose  what the lost part did
 * @param adopt  what the adopted line did meanwhile
 * @returns the adopted registry with what is kept, and who may call `s` there
 */
function adopted(
  lose: (view: RegistryView) => Iterable<Draft>,
  adopt: (view: RegistryView) => Iterable<Draft> = () => [],
) {
  const [fork, line, lost] = [aFork(), aFork(), aFork()];
  for (const draft of lose(lost.view)) lost.commit(draft);
  for (const draft of adopt(line.view)) line.commit(draft);
  const kept = keptRegistryRevocations(fork.view, line.view, lost.view, LOST_AT);
  line.commit(...kept);
  const allowed = [...subjectsOf(line.view, 's', Date.parse(LOST_AT))('*').keys()];
  return {
    kept,
    view: line.view,
    allowed: allowed.map((spiffe) => spiffe.slice('spiffe://mesh/app/'.length)),
  };
}

describe('what a lost part had taken away', () => {
  it.each<[string, (view: RegistryView) => Iterable<Draft>, readonly string[]]>([
    ['nothing', () => [], [X, Y]],
    ['the registration of an app', (view) => [putApp(view, X, anApp({ state: 'suspended' }))], [Y]],
    [
      'the registration of a member',
      (view) => [putMember(view, 'GOV/A', aMember({ state: 'suspended' }))],
      [],
    ],
    ['an app out of a group', (view) => [putGroup(view, 'g', aGroup([Y]))], [Y]],
    [
      'the grant, with its group',
      function* (view) {
        yield deleteGrant(view, 's', 'g');
        yield deleteGroup(view, 'g');
      },
      [],
    ],
    [
      'what a deny takes away',
      (view) => [putGrant(view, 's', 'no', { subject: { app: X }, operations: ['*'], effect: 'deny' })],
      [Y],
    ],
    [
      'an app as a whole',
      function* (view) {
        yield putGroup(view, 'g', aGroup([Y]));
        yield putGroup(view, 'all', aGroup([Y]));
        yield deleteApp(view, X);
      },
      [Y],
    ],
    ['the time of a grant', (view) => [putGrant(view, 's', 'g', { ...group, expiresAt: LOST_AT })], []],
  ])('stays away: %s', (_, lose, allowed) => {
    expect(adopted(lose).allowed).toEqual(allowed);
  });

  it('stays away from whom the adopted line lets in by another way', () => {
    const { allowed, view } = adopted(
      (lost) => [putGroup(lost, 'g', aGroup([Y]))],
      (line) => [putGrant(line, 's', 'again', { subject: { group: 'all' }, operations: ['*'] })],
    );
    expect(allowed).toEqual([Y]);
    const [denied] = view.grantsOf('s').filter(({ value }) => value.effect === 'deny');
    expect(denied?.value).toEqual({ subject: { app: X }, operations: ['*'], effect: 'deny' });
  });

  it('keeps a deny of the adopted line whose group the lost part had made smaller', () => {
    const deny: Grant = { subject: { group: 'all' }, operations: ['*'], effect: 'deny' };
    expect(
      adopted(
        (lost) => [
          putGroup(lost, 'g', aGroup([X])),
          putService(lost, 's', aService({ state: 'disabled', notice: 'n' })),
        ],
        (line) => [putGrant(line, 's', 'no', deny)],
      ).allowed,
    ).toEqual([]);
  });

  it('keeps the notice of a service that was disabled, and takes it from the nodes that lost it', () => {
    const { view } = adopted((lost) => [
      putService(lost, 's', aService({ state: 'disabled', notice: 'later' })),
      putNodeGroup(lost, 'edge', { nodes: ['n'], services: [] }),
    ]);
    expect(view.serviceStatus('s')).toEqual({ state: 'disabled', notice: 'later' });
    expect(view.nodesOfService('s')).toEqual([]);
  });
});
