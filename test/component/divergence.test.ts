import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Digest } from '../../src/core/digest.ts';
import { type AdoptionPlan, adoptJournal } from '../../src/journal/adopt.ts';
import { adoptionOf } from '../../src/journal/adopt-body.ts';
import type { Applied } from '../../src/journal/fold.ts';
import { FoldedState } from '../../src/journal/folded-state.ts';
import { initJournal } from '../../src/journal/init.ts';
import type { Draft, Journal, StoredCommit } from '../../src/journal/journal.ts';
import type { LocalLine } from '../../src/journal/lost.ts';
import { createMemoryBlobs } from '../../src/journal/memory-journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import type { SigningKey } from '../../src/journal/signing-key.ts';
import { verifyStore } from '../../src/journal/verify-store.ts';
import { planStoreAdoption } from '../../src/roles/adoption.ts';
import { createState, reducersOf } from '../../src/roles/state.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aReplaceableStore, aReplica, type ReplaceableStore, type Replica } from '../support/replica.ts';

const aGrant = (app: string, ...operations: readonly string[]): Draft => ({
  kind: 'registry.grant.put',
  body: { service: 'orders', id: app, grant: { subject: { spiffe: `spiffe://mesh/${app}` }, operations } },
});
const noGrant = (id: string): Draft => ({ kind: 'registry.grant.delete', body: { service: 'orders', id } });
const aToken = (id: string): Draft => ({
  kind: 'token.issue',
  body: {
    id,
    name: id,
    sha256: `sha256:${'1'.repeat(64)}`,
    scopes: [],
    expiresAt: '2100-01-01T00:00:00.000Z',
  },
});
const orders: Draft = {
  kind: 'registry.service.put',
  body: {
    name: 'orders',
    service: {
      hosts: ['orders.test'],
      prefix: '/',
      access: 'grants',
      operations: [
        { id: 'read', method: 'GET', path: '/o' },
        { id: 'write', method: 'PUT', path: '/o' },
      ],
      endpoints: [],
    },
  },
};

interface Scene {
  readonly store: ReplaceableStore;
  readonly genesis: Digest;
  readonly signingKey: SigningKey;
  /** at the head of the store */
  readonly replica: Replica;
  /** what the store held before the last changes of the replica */
  readonly older: readonly StoredCommit[];
  another(): Replica;
  plan(lost: readonly LocalLine[] | 'unknown' | 'none'): Promise<AdoptionPlan>;
  adopt(lost: readonly LocalLine[] | 'unknown' | 'none', journal?: Journal): Promise<void>;
}

/** grants a, b, c and token t; then a, a half of b, and t are taken away, and d is given */
async function aScene(extra: readonly Draft[] = []): Promise<Scene> {
  const store = aReplaceableStore();
  const { genesisDigest: genesis, signingKey } = await initJournal({
    journal: store.journal,
    instance: 'test',
    environment: 'test',
    development: false,
    clock: systemClock,
    random: systemRandom,
  });
  const another = (): Replica => aReplica(store.journal, { genesis, signingKey });
  const replica = another();
  await replica.change(
    'setup',
    orders,
    aGrant('a', 'read'),
    aGrant('b', '*'),
    aGrant('c', 'read'),
    aToken('t'),
  );
  if (extra.length > 0) await replica.change('extra', ...(extra as [Draft, ...Draft[]]));
  const older = await store.commits();
  await replica.change('l1', noGrant('a'), aGrant('b', 'read'));
  await replica.change('l2', { kind: 'token.revoke', body: { id: 't' } });
  await replica.change('l3', aGrant('d', 'read'));
  const plan: Scene['plan'] = (lost) =>
    planStoreAdoption({
      journal: store.journal,
      blobs: createMemoryBlobs(),
      expectations: { genesis },
      lost,
      logger: silentLogger,
    });
  return {
    store,
    genesis,
    signingKey,
    replica,
    older,
    another,
    plan,
    async adopt(lost, journal = store.journal) {
      const ambient = { clock: systemClock, random: systemRandom };
      await adoptJournal(await plan(lost), { journal, signingKey, reason: 'adopt', ...ambient });
    },
  };
}

const granted = ({ state }: Replica, app: string, operation: string): boolean =>
  state.registry.view.isGranted('orders', `spiffe://mesh/${app}`, operation, 0);

async function anotherInstance(): Promise<readonly StoredCommit[]> {
  return (await aScene()).store.commits();
}

describe('a replica whose store has lost what it applied', () => {
  it.each<{ what: string; other: (scene: Scene) => Promise<readonly StoredCommit[]> }>([
    { what: 'an older copy', other: async ({ older }) => older },
    { what: 'nothing', other: async () => [] },
    { what: 'the journal of another instance', other: anotherInstance },
  ])(
    'keeps its state when the store holds $what, and takes no change until it is adopted',
    async ({ other }) => {
      const scene = await aScene();
      const { replica, store } = scene;
      const before = replica.captured();
      const right = await store.commits();
      store.replace(await other(scene));
      await expect(replica.follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
      expect(replica.follower.trouble()).toMatch(
        /this replica keeps the state of 1\.10 sha256:.*`chancery store adopt`/,
      );
      await expect(replica.change('more', aGrant('e', 'read'))).rejects.toMatchObject({
        code: 'store_diverged',
      });
      expect(replica.captured()).toEqual(before);
      expect(await replica.metrics.render()).toMatch(/^chancery_journal_diverged 1$/m);

      store.replace(right);
      await expect(replica.follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
      await scene.adopt('none');
      await replica.follower.sync();
      expect(replica.follower.trouble()).toBeUndefined();
      expect(await replica.metrics.render()).toMatch(/^chancery_journal_diverged 0$/m);
      await replica.change('more', aGrant('e', 'read'));
      expect(granted(replica, 'e', 'read')).toBe(true);
    },
  );

  it('changes over to the adopted journal in one step, with what was revoked there still revoked', async () => {
    const scene = await aScene();
    const { replica, store } = scene;
    const copy = { commits: await store.commits() };
    const { position: lostHead } = replica.follower.chain();
    store.replace(scene.older);
    const behind = scene.another();
    await behind.follower.sync();
    await expect(replica.follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
    await scene.adopt([copy]);

    const applied: Applied[] = [];
    replica.follower.onApplied((one) => applied.push(one));
    await replica.follower.sync();
    await behind.follower.sync();
    const fresh = scene.another();
    await fresh.follower.sync();

    for (const each of [replica, behind, fresh]) {
      expect(granted(each, 'a', 'read')).toBe(false);
      expect([granted(each, 'b', 'read'), granted(each, 'b', 'write')]).toEqual([true, false]);
      expect(granted(each, 'c', 'read')).toBe(true);
      expect(granted(each, 'd', 'read')).toBe(false);
      expect(each.state.tokens.get('t')?.ended).toBe(true);
      expect(each.captured()).toEqual(fresh.captured());
      expect(each.follower.position()).toEqual(await store.journal.head());
    }
    expect(applied).toHaveLength(1);
    expect([...applied[0]!.changed]).toEqual(
      expect.arrayContaining(['service/orders', 'grant/orders/b', 'grant/orders/d', 'token/t']),
    );

    const adoption = adoptionOf((await store.commits()).at(-1)!);
    expect(adoption).toMatchObject({
      base: { epoch: 1, seq: 6 },
      lost: {
        through: lostHead,
        entries: [{ seq: 7 }, { seq: 8 }, { seq: 9 }, { seq: 10, kind: 'registry.grant.put' }],
      },
      kept: [
        { seq: 8, kind: 'registry.grant.delete', key: 'grant/orders/a' },
        { seq: 9, kind: 'registry.grant.put', key: 'grant/orders/b' },
        { seq: 10, kind: 'token.revoke', key: 'token/t' },
      ],
      reason: 'adopt',
    });
    const { genesis } = scene;
    expect(
      await verifyStore({ journal: store.journal, blobs: createMemoryBlobs(), expectations: { genesis } }),
    ).toMatchObject({ ok: true, anchored: true });

    await behind.change('anew', aGrant('a', 'read'));
    await replica.follower.sync();
    expect(granted(replica, 'a', 'read')).toBe(true);
  });

  it('stays as it is when the adoption does not know of it, and says that its own copy is needed', async () => {
    const scene = await aScene();
    const { replica, store } = scene;
    const copy = { commits: await store.commits() };
    store.replace(scene.older);
    await scene.adopt('unknown');
    for (let look = 0; look < 2; look += 1) {
      await expect(replica.follower.sync()).rejects.toMatchObject({
        code: 'store_diverged',
        detail: expect.stringMatching(/adopted in epoch 2, but nobody knew .* again with its local copy/),
      });
    }
    expect(granted(replica, 'a', 'read')).toBe(false);
    await scene.adopt([copy]);
    await replica.follower.sync();
    const fresh = scene.another();
    await fresh.follower.sync();
    expect(replica.follower.position()).toMatchObject({ epoch: 3 });
    expect(granted(fresh, 'a', 'read')).toBe(false);
    expect(replica.captured()).toEqual(fresh.captured());
  });

  it('changes over also when an earlier adoption is among what was lost, whose epoch is not used again', async () => {
    const scene = await aScene();
    const { replica, store } = scene;
    const behind = scene.another();
    await behind.follower.sync();
    await scene.adopt('none');
    await replica.follower.sync();
    await replica.change('in-epoch-2', noGrant('c'));
    const copy = { commits: await store.commits() };
    store.replace(scene.older);
    for (const each of [replica, behind]) {
      await expect(each.follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
    }
    await scene.adopt([copy]);
    for (const each of [replica, behind]) {
      await each.follower.sync();
      expect(each.follower.position()).toMatchObject({ epoch: 3 });
      expect(['a', 'c'].map((app) => granted(each, app, 'read'))).toEqual([false, false]);
    }
    const { genesis } = scene;
    const expectations = { genesis };
    expect(
      await verifyStore({ journal: store.journal, blobs: createMemoryBlobs(), expectations }),
    ).toMatchObject({ ok: true, anchored: true });
  });

  it.each([true, false])(
    'does not start from a copy of the lost part unless it was adopted (%s)',
    async (isAdopted) => {
      const scene = await aScene();
      const commits = await scene.store.commits();
      scene.store.replace(scene.older);
      if (isAdopted) await scene.adopt([{ commits }]);
      const { follower } = scene.another();
      for (const commit of commits) follower.replay(commit);
      const started = follower.start(AbortSignal.timeout(60_000));
      if (isAdopted) expect(await started).toEqual(await scene.store.journal.head());
      else await expect(started).rejects.toMatchObject({ code: 'store_diverged' });
      await follower.close();
    },
  );

  it('believes no adoption that is not signed by a key of the journal', async () => {
    const scene = await aScene();
    const { replica, store } = scene;
    const copy = { commits: await store.commits() };
    store.replace(scene.older);
    await scene.adopt([copy]);
    const commits = await store.commits();
    const { entries, id } = commits.at(-1)!;
    const signature = commits[0]!.entries[0]!.entry.signature;
    const forged = entries.map(({ entry, ...rest }) => ({ entry: { ...entry, signature }, ...rest }));
    store.replace([...commits.slice(0, -1), { id, entries: forged }]);
    await expect(replica.follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
    expect(granted(replica, 'd', 'read')).toBe(true);
  });

  it('was ahead on a journal that others have gone on with: both lines are known, and the revocations hold', async () => {
    const scene = await aScene();
    const { replica, store } = scene;
    const copy = { commits: await store.commits() };
    store.replace(scene.older);
    const other = scene.another();
    await other.follower.sync();
    await other.change('other', aGrant('x', 'read'), noGrant('c'));
    await scene.adopt([copy]);
    await replica.follower.sync();
    await other.follower.sync();
    expect(['a', 'c', 'd', 'x'].map((app) => granted(replica, app, 'read'))).toEqual([
      false,
      false,
      false,
      true,
    ]);
    expect(replica.captured()).toEqual(other.captured());
  });
});

describe('planning an adoption', () => {
  it('finds nothing to do when the store has everything that the copies have, or has adopted without them', async () => {
    const scene = await aScene();
    const copy = { commits: await scene.store.commits() };
    expect(await scene.plan([copy, { commits: scene.older }])).toMatchObject({ lost: 'none', kept: [] });
    scene.store.replace(scene.older);
    await scene.adopt([copy]);
    expect(await scene.plan([copy])).toMatchObject({ lost: 'none', kept: [] });
  });

  it('takes the furthest of several copies of one line', async () => {
    const scene = await aScene();
    const all = await scene.store.commits();
    scene.store.replace(scene.older);
    const plan = await scene.plan([{ commits: all.slice(0, -1) }, { commits: all }]);
    expect(plan.lostEntries).toBe(4);
    expect(plan.kept.map(({ key }) => key)).toEqual(['grant/orders/a', 'grant/orders/b', 'token/t']);
  });

  it.each([
    { what: 'before what was lost', commits: 2, listed: 4 },
    { what: 'where the lost part has begun already', commits: 4, listed: 1 },
  ])('knows the same from a copy with a checkpoint $what', async ({ commits, listed }) => {
    const scene = await aScene();
    const all = await scene.store.commits();
    const folded = new FoldedState({ reducers: reducersOf(createState()), logger: silentLogger });
    for (const commit of all.slice(0, commits)) folded.apply(commit);
    scene.store.replace(scene.older);
    const plan = await scene.plan([{ checkpoint: folded.capture(), commits: all.slice(commits) }]);
    expect(plan.lostEntries).toBe(listed);
    expect(plan.kept.map(({ key }) => key)).toEqual(['grant/orders/a', 'grant/orders/b', 'token/t']);
  });

  it('refuses copies of different lines, and of another journal', async () => {
    const scene = await aScene();
    const one = { commits: await scene.store.commits() };
    scene.store.replace(scene.older);
    const other = scene.another();
    await other.follower.sync();
    await other.change('other', aGrant('x', 'read'));
    const two = { commits: await scene.store.commits() };
    scene.store.replace(scene.older);
    await expect(scene.plan([one, two])).rejects.toMatchObject({ code: 'request_malformed' });
    await expect(scene.plan([{ commits: await anotherInstance() }])).rejects.toMatchObject({
      code: 'store_mismatch',
    });
  });

  it('is not carried out on a journal that has gone on meanwhile', async () => {
    const scene = await aScene();
    const { store, signingKey, replica } = scene;
    const plan = await scene.plan('unknown');
    await replica.change('more', aGrant('e', 'read'));
    const ambient = { clock: systemClock, random: systemRandom };
    await expect(
      adoptJournal(plan, { journal: store.journal, signingKey, reason: 'adopt', ...ambient }),
    ).rejects.toMatchObject({ code: 'object_changed' });
    expect((await store.journal.head()).epoch).toBe(1);
  });

  it('carries out more than one commit holds, and goes on where it was cut off', async () => {
    const apps = Array.from({ length: 900 }, (_, index) => `app${index}`);
    const scene = await aScene(apps.map((app) => aGrant(app, 'read')));
    const { store, replica } = scene;
    await replica.change('gone', ...(apps.map(noGrant) as unknown as [Draft, ...Draft[]]));
    const copy = { commits: await store.commits() };
    store.replace(scene.older);
    let appends = 0;
    const dying: Journal = {
      ...store.journal,
      async append(commit, expectedHead) {
        appends += 1;
        if (appends > 1) throw new Error('the process is killed here');
        return store.journal.append(commit, expectedHead);
      },
    };
    await expect(scene.adopt([copy], dying)).rejects.toThrow('killed');
    expect((await store.journal.head()).epoch).toBe(1);
    await scene.adopt([copy]);
    await replica.follower.sync();
    expect(replica.follower.position().epoch).toBe(2);
    expect(replica.state.registry.view.grantsOf('orders').map(({ name }) => name)).toEqual(['b', 'c']);
    expect((await store.commits()).slice(scene.older.length).map(({ entries }) => entries.length)).toEqual([
      391, 513,
    ]);
  });
});
