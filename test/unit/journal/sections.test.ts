import { Arbitrary, array, assert, constantFrom, nat, property, record, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenState } from '../../../src/admin/token-state.ts';
import { sha256 } from '../../../src/core/digest.ts';
import { createIssuers } from '../../../src/identity/state.ts';
import type { Reducer } from '../../../src/journal/fold.ts';
import type { Draft } from '../../../src/journal/journal.ts';
import { releaseDraft } from '../../../src/policy/release.ts';
import { createPolicyState } from '../../../src/policy/state.ts';
import { createRegistry } from '../../../src/registry/state.ts';
import { aGrant, aNode, aService } from '../../support/registry-world.ts';
import { captured } from '../../support/sections.ts';
import { anEntry, aRevisionBody } from '../policy/policy-entries.ts';

const NAMES = ['a', 'b', 'c', 'd'] as const;
const SUBJECTS = ['spiffe://x/1', 'spiffe://x/2', 'spiffe://x/3'] as const;
const name = constantFrom(...NAMES);

const registryDraft: Arbitrary<Draft> = tuple(constantFrom(0, 1, 2, 3, 4, 5, 6), name, name, nat(2)).map(
  ([what, first, second, n]): Draft => {
    switch (what) {
      case 0:
        return {
          kind: 'registry.service.put',
          body: { name: first, service: aService({ prefix: `/${n}` }) },
        };
      case 1:
        return { kind: 'registry.service.delete', body: { name: first } };
      case 2: {
        const grant = { ...aGrant(), subject: { spiffe: SUBJECTS[n] ?? '' } };
        return { kind: 'registry.grant.put', body: { service: first, id: second, grant } };
      }
      case 3:
        return { kind: 'registry.grant.delete', body: { service: first, id: second } };
      case 4:
        return { kind: 'registry.node.put', body: { id: first, node: aNode(NAMES.slice(n)) } };
      case 5:
        return { kind: 'registry.node.delete', body: { id: first } };
      case 6:
        return { kind: 'settings.put', body: { settings: { defaultPolicy: first } } };
    }
  },
);

const issuerDraft: Arbitrary<Draft> = record({
  remove: constantFrom(true, false, false),
  name,
  n: nat(2),
}).map((one): Draft => {
  if (one.remove) return { kind: 'issuer.delete', body: { name: one.name } };
  const issuer = {
    issuer: `https://issuer-${one.n}`,
    jwksUri: 'https://issuer/keys',
    audiences: ['x'],
    algorithms: ['ES256'],
  };
  return { kind: 'issuer.put', body: { name: one.name, issuer } };
});

const policyDraft: Arbitrary<Draft> = record({ released: constantFrom(true, false), name, n: nat(3) }).map(
  ({ released, name: policy, n }): Draft => {
    const body = aRevisionBody(policy, `${policy} ${n}`);
    return released
      ? releaseDraft({ body: { ...body, request: sha256(`request ${n}`) } })
      : { kind: 'policy.revision', body };
  },
);

/** The first entries issue every token, since only what was issued can end. */
const tokenDrafts: Arbitrary<readonly Draft[]> = array(
  tuple(constantFrom('token.redeem', 'token.revoke'), name),
).map((ends): readonly Draft[] => [
  ...NAMES.map((id, n): Draft => {
    const expiresAt = '2030-01-01T00:00:00.000Z';
    const issue = { id, name: `token ${id}`, sha256: sha256(id), scopes: ['audit:read'], expiresAt };
    return { kind: 'token.issue', body: n % 2 === 0 ? issue : { ...issue, oneTime: true } };
  }),
  ...ends.map(([kind, id]) => ({ kind, body: { id } }) as Draft),
]);

interface Room {
  readonly reducer: Reducer;
  /** everything that the room shows of what it has folded */
  readonly look: () => unknown;
}

function aRegistry(): Room {
  const { reducer, view } = createRegistry();
  const look = () => ({
    settings: view.settings(),
    services: view.services(),
    nodes: view.nodes(),
    grants: NAMES.map((service) => view.grantsOf(service)),
    nodesOf: NAMES.map((service) => view.nodesOfService(service)),
    granted: NAMES.flatMap((service) =>
      SUBJECTS.map((spiffe) => [
        view.isGranted(service, spiffe, 'read', 0),
        view.isGranted(service, spiffe, '*', 0),
      ]),
    ),
  });
  return { reducer, look };
}

function theIssuers(): Room {
  const { reducer, view } = createIssuers();
  return {
    reducer,
    look: () => [view.list(), [0, 1, 2].map((n) => view.byIssuer(`https://issuer-${n}`))],
  };
}

function thePolicies(): Room {
  const { reducer, view } = createPolicyState();
  return {
    reducer,
    look: () => [
      view.names(),
      view.releases(),
      NAMES.map((policy) => [view.revisions(policy), view.releases(policy), view.released(policy)]),
    ],
  };
}

function theTokens(): Room {
  const { reducer, list } = createTokenState();
  return { reducer, look: list };
}

const ROOMS: Readonly<Record<string, readonly [() => Room, Arbitrary<readonly Draft[]>]>> = {
  registry: [aRegistry, array(registryDraft, { maxLength: 40 })],
  issuers: [theIssuers, array(issuerDraft)],
  policies: [thePolicies, array(policyDraft)],
  tokens: [theTokens, tokenDrafts],
};

function fold({ reducer }: Room, drafts: readonly Draft[], from = 1): readonly string[] {
  return drafts.flatMap((draft, index) => reducer.apply(anEntry(from + index, draft)));
}

/** Another version than 1: what an older program has captured is not restored. */
const VERSIONS: Readonly<Record<string, number>> = { registry: 2 };

describe.each(Object.entries(ROOMS))('the section of the %s', (section, [createRoom, drafts]) => {
  it('is named as its room, for all time', () => {
    expect(createRoom().reducer.section).toMatchObject({
      name: section,
      version: VERSIONS[section] ?? 1,
    });
  });

  it('brings back all that was folded, and the fold goes on from there as if nothing had been', () => {
    assert(
      property(drafts, drafts, (before, after) => {
        const whole = createRoom();
        fold(whole, before);
        const restored = createRoom();
        restored.reducer.section.restore(captured(whole.reducer.section));
        expect(restored.look()).toEqual(whole.look());
        expect(captured(restored.reducer.section)).toEqual(captured(whole.reducer.section));

        for (const room of [whole, restored]) fold(room, after, before.length + 1);
        expect(restored.look()).toEqual(whole.look());
        expect(captured(restored.reducer.section)).toEqual(captured(whole.reducer.section));
      }),
    );
  });

  it('replaces what was there, and names the keys of both', () => {
    assert(
      property(drafts, drafts, (earlier, later) => {
        const one = createRoom();
        const changed = new Set(fold(one, later));
        const other = createRoom();
        fold(other, earlier);
        const there = other.reducer.section.restore([]);
        fold(other, earlier);
        const keys = other.reducer.section.restore(captured(one.reducer.section));
        expect(other.look()).toEqual(one.look());
        for (const key of there) expect(keys).toContain(key);
        for (const key of createRoom().reducer.section.restore(captured(one.reducer.section))) {
          expect(changed).toContain(key);
          expect(keys).toContain(key);
        }
      }),
    );
  });

  it('stays as it was when one record has another form', () => {
    const room = createRoom();
    assert(
      property(drafts, (some) => {
        room.reducer.section.restore([]);
        fold(room, some);
        const before = room.look();
        const records = captured(room.reducer.section);
        for (const odd of [{}, { type: 'service' }, { ...records[0], seq: '1', record: {}, digest: 'x' }]) {
          expect(() => room.reducer.section.restore([...records, odd])).toThrow('store_mismatch');
        }
        expect(room.look()).toEqual(before);
      }),
    );
  });
});

describe('a captured section', () => {
  it('is not changed by what is folded afterwards', () => {
    const room = aRegistry();
    fold(room, [{ kind: 'registry.service.put', body: { name: 'a', service: aService() } }]);
    const then = JSON.stringify(captured(room.reducer.section));
    const records = room.reducer.section.capture();
    fold(
      room,
      [{ kind: 'registry.service.put', body: { name: 'a', service: aService({ prefix: '/b' }) } }],
      2,
    );
    fold(room, [{ kind: 'registry.service.delete', body: { name: 'a' } }], 3);
    expect(JSON.stringify([...records])).toBe(then);
  });

  it('has one order, however the same state came about', () => {
    const put = (name_: string): Draft => ({
      kind: 'registry.grant.put',
      body: { service: name_, id: 'g', grant: aGrant() },
    });
    const gone: Draft = { kind: 'registry.grant.delete', body: { service: 'b', id: 'g' } };
    const direct = aRegistry();
    const detour = aRegistry();
    direct.reducer.apply(anEntry(3, put('a')));
    detour.reducer.apply(anEntry(1, put('b')));
    detour.reducer.apply(anEntry(2, gone));
    detour.reducer.apply(anEntry(3, put('a')));
    for (const room of [direct, detour]) room.reducer.apply(anEntry(4, put('b')));
    expect(captured(detour.reducer.section)).toEqual(captured(direct.reducer.section));
  });
});
