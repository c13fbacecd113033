import { describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Applied, FoldedEntry, Reducer } from '../../../src/journal/fold.ts';
import { createFollower, type FollowerOptions } from '../../../src/journal/follower.ts';
import { EMPTY_HEAD, type Journal, type StoredCommit } from '../../../src/journal/journal.ts';
import { createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { aCommitChain, endOf, NOON_MS } from '../../support/journal-commits.ts';
import { withTheRest } from '../../support/journal-memory.ts';
import { resealed } from '../../support/journal-reseal.ts';
import { noSection } from '../../support/sections.ts';

function aReducer() {
  const bodies: JsonObject[] = [];
  const entries: FoldedEntry[] = [];
  const reducer: Reducer = {
    kinds: ['settings.put'],
    section: noSection(),
    apply(entry) {
      entries.push(entry);
      bodies.push(entry.body);
      return ['settings', `entry/${entry.seq}`];
    },
  };
  return { reducer, bodies, entries };
}

function aFollower(journal: Journal, options: Partial<FollowerOptions> = {}) {
  return createFollower({
    journal,
    reducers: withTheRest([]),
    logger: silentLogger,
    metrics: createMetrics(),
    clock: { nowMs: () => NOON_MS },
    random: systemRandom,
    pollMs: 5,
    ...options,
  });
}

/** A journal whose content a test replaces, as a store that loses its file or is swapped for another. */
function aSwitchable(commits: readonly StoredCommit[]) {
  let current = createMemoryJournal(commits);
  let away = false;
  const there = (): Journal => {
    if (away) throw new Failure('store_unavailable', 'away');
    return current;
  };
  const journal: Journal = {
    append: async (commit, expectedHead) => there().append(commit, expectedHead),
    find: async (id) => there().find(id),
    read: async (afterSeq, limit) => there().read(afterSeq, limit),
    head: async () => there().head(),
    base: async () => there().base(),
    beginAfter: async (base) => there().beginAfter(base),
    follow: (onHint, signal) => current.follow(onHint, signal),
    close: () => current.close(),
  };
  return {
    journal,
    replace: (next: readonly StoredCommit[]) => {
      current = createMemoryJournal(next);
    },
    setAway: (value: boolean) => {
      away = value;
    },
  };
}

describe('a follower', () => {
  it('folds whole commits in order and publishes one change set for each', async () => {
    const chain = aCommitChain();
    chain.next('c1', { a: 1 }, { a: 2 });
    chain.next('c2', { b: 1 });
    const { reducer, bodies, entries } = aReducer();
    const follower = aFollower(createMemoryJournal(chain.commits), { reducers: withTheRest([reducer]) });
    const applied: Applied[] = [];
    follower.onApplied((one) => applied.push(one));

    expect(follower.position()).toEqual(EMPTY_HEAD);
    expect(await follower.sync()).toEqual(chain.head());

    expect(bodies).toEqual([{ a: 1 }, { a: 2 }, { b: 1 }]);
    expect(entries[1]).toEqual({
      seq: 3,
      epoch: 1,
      digest: chain.commits[1]!.entries[1]!.entry.digest,
      at: '2026-01-01T12:00:01.000Z',
      actor: 'test:somebody',
      commitId: 'c1',
      kind: 'settings.put',
      body: { a: 2 },
    });
    expect(applied).toEqual([
      { position: endOf(chain.commits[0]!), changed: new Set() },
      { position: endOf(chain.commits[1]!), changed: new Set(['settings', 'entry/2', 'entry/3']) },
      { position: endOf(chain.commits[2]!), changed: new Set(['settings', 'entry/4']) },
    ]);
    expect(follower.genesis()).toMatchObject({ instance: 'test', environment: 'test', epoch: 1 });
    expect(follower.trouble()).toBeUndefined();
    expect(follower.confirmedAtMs()).toBe(NOON_MS);
  });

  it('applies each entry once, however many syncs run at the same time', async () => {
    const chain = aCommitChain();
    for (let index = 0; index < 20; index += 1) chain.next(`c${index}`, { index });
    const { reducer, bodies } = aReducer();
    const journal = createMemoryJournal(chain.commits);
    const follower = aFollower(journal, { reducers: withTheRest([reducer]), readLimit: 3 });
    await Promise.all(Array.from({ length: 10 }, () => follower.sync()));
    expect(bodies).toEqual(Array.from({ length: 20 }, (_, index) => ({ index })));
  });

  it('reads what was there when sync was called, even while another sync is running', async () => {
    const chain = aCommitChain();
    const journal = createMemoryJournal(chain.commits);
    const follower = aFollower(journal);
    const early = follower.sync();
    const before = chain.head();
    await journal.append(chain.next('c1', {}), before);
    expect(await follower.sync()).toEqual(chain.head());
    await early;
  });

  it('resolves a wait when the position is applied, and fails it at its deadline', async () => {
    const chain = aCommitChain();
    chain.next('c1', {});
    const follower = aFollower(createMemoryJournal(chain.commits));
    const wait = follower.waitFor(2, new AbortController().signal);
    await follower.sync();
    await expect(wait).resolves.toBeUndefined();
    await expect(follower.waitFor(3, AbortSignal.timeout(1))).rejects.toMatchObject({
      code: 'deadline_exceeded',
    });
  });

  it('follows after start by hint, and by poll when hints are lost', async () => {
    for (const hints of [true, false]) {
      const chain = aCommitChain();
      const memory = createMemoryJournal(chain.commits);
      const journal: Journal = hints ? memory : { ...memory, follow: () => {} };
      const follower = aFollower(journal, { pollMs: hints ? 1_000_000 : 5 });
      await follower.start(AbortSignal.timeout(60_000));
      const before = chain.head();
      await memory.append(chain.next('c1', {}), before);
      await follower.waitFor(2, AbortSignal.timeout(5_000));
      expect(follower.position()).toEqual(chain.head());
      await follower.close();
    }
  });

  it('keeps its state while the store is away, says so, and goes on afterwards', async () => {
    const chain = aCommitChain();
    const store = aSwitchable(chain.commits);
    const follower = aFollower(store.journal);
    await follower.start(AbortSignal.timeout(60_000));
    store.setAway(true);
    await expect(follower.sync()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(follower.trouble()).toMatch(/^store_unavailable/);
    expect(follower.position()).toEqual(chain.head());
    chain.next('c1', {});
    store.replace(chain.commits);
    store.setAway(false);
    await follower.waitFor(2, AbortSignal.timeout(5_000));
    await follower.sync();
    expect(follower.trouble()).toBeUndefined();
    await follower.close();
  });

  it.each([
    { what: 'an empty journal', commits: () => [], options: {}, code: 'store_mismatch' },
    {
      what: 'a journal with another genesis than the pinned one',
      commits: () => aCommitChain().commits,
      options: { genesis: aCommitChain().genesis.genesisDigest },
      code: 'store_mismatch',
    },
    {
      what: 'a journal of another instance',
      commits: () => aCommitChain().commits,
      options: { instance: 'other' },
      code: 'store_mismatch',
    },
    {
      what: 'a journal of another environment',
      commits: () => aCommitChain().commits,
      options: { environment: 'other' },
      code: 'store_mismatch',
    },
  ])('does not start on $what', async ({ commits, options, code }) => {
    const follower = aFollower(createMemoryJournal(commits()), { expectations: options });
    await expect(follower.start(AbortSignal.timeout(60_000))).rejects.toMatchObject({ code });
    expect(follower.position()).toEqual(EMPTY_HEAD);
    expect(follower.trouble()).toMatch(new RegExp(`^${code}`));
  });

  it('stops at an entry of a kind that it does not know, with everything before it applied', async () => {
    const chain = aCommitChain();
    chain.next('c1', { a: 1 });
    const known = chain.head();
    const next = resealed(chain.next('c2', {}), chain.genesis.signingKey, {
      kind: 'future.kind' as 'settings.put',
    });
    const follower = aFollower(createMemoryJournal([...chain.commits.slice(0, 2), next]));
    await expect(follower.sync()).rejects.toMatchObject({
      code: 'journal_too_new',
      detail: expect.stringMatching(/^seq 3:/),
    });
    expect(follower.position()).toEqual(known);
    expect(follower.trouble()).toMatch(/^journal_too_new/);
  });

  it.each([
    { what: 'ends before what was applied', other: (own: readonly StoredCommit[]) => own.slice(0, 2) },
    { what: 'is empty', other: () => [] },
    {
      what: 'has another entry at the same seq',
      other: (own: readonly StoredCommit[]) => [...own.slice(0, 2), fork('fork')],
    },
    {
      what: 'goes on after another entry at the seq that was applied',
      other: (own: readonly StoredCommit[]) => [...own.slice(0, 2), fork('fork'), fork('fork2')],
    },
    {
      what: 'is in another epoch',
      other: (own: readonly StoredCommit[]) => [
        ...own.slice(0, 2),
        resealed(own[2]!, forked!.genesis.signingKey, { epoch: 2 }),
      ],
    },
  ])(
    'stays on its last state with store_diverged when the store $what, also when that passes',
    async ({ other }) => {
      const chain = aCommitChain();
      forked = chain;
      chain.next('c1', {});
      chain.next('c2', {});
      const own = [...chain.commits];
      const head = chain.head();
      const store = aSwitchable(own);
      const { reducer, bodies } = aReducer();
      const follower = aFollower(store.journal, { reducers: withTheRest([reducer]) });
      await follower.sync();
      store.replace(other(own));
      await expect(follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
      expect(follower.trouble()).toMatch(/^store_diverged/);
      expect(follower.position()).toEqual(head);
      expect(bodies).toHaveLength(2);
      store.replace(own);
      await expect(follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
    },
  );

  it('does not go on over an erased body, whose change it would drop', async () => {
    const chain = aCommitChain();
    const { id, entries } = chain.next('c1', { revoke: true });
    const erased = { id, entries: entries.map(({ entry }) => ({ entry, salt: undefined, body: undefined })) };
    const follower = aFollower(createMemoryJournal([chain.genesis.commit, erased]));
    await expect(follower.sync()).rejects.toMatchObject({
      code: 'store_diverged',
      detail: expect.stringMatching(/^seq 2:/),
    });
  });

  it('applies nothing more after a reducer has thrown', async () => {
    const chain = aCommitChain();
    chain.next('c1', {});
    const broken: Reducer = {
      kinds: ['settings.put'],
      section: noSection(),
      apply() {
        throw new Error('a bug');
      },
    };
    const follower = aFollower(createMemoryJournal(chain.commits), { reducers: withTheRest([broken]) });
    await expect(follower.sync()).rejects.toMatchObject({ code: 'internal' });
    expect(follower.position().seq).toBe(1);
    expect(follower.trouble()).toMatch(/^internal: seq 2/);
    await expect(follower.sync()).rejects.toMatchObject({ code: 'internal' });
  });

  it('goes on when a listener throws, and no longer calls one that has ended', async () => {
    const chain = aCommitChain();
    chain.next('c1', {});
    const follower = aFollower(createMemoryJournal(chain.commits));
    const seen: number[] = [];
    follower.onApplied(() => {
      throw new Error('a bug');
    });
    follower.onApplied(({ position }) => seen.push(position.seq));
    follower.onApplied(() => seen.push(-1))();
    await follower.sync();
    expect(seen).toEqual([1, 2]);
  });

  it('wants exactly one reducer for each kind', () => {
    const journal = createMemoryJournal();
    const { reducer } = aReducer();
    expect(() => aFollower(journal, { reducers: [reducer] })).toThrow(/no reducer for token\.issue/);
    expect(() => aFollower(journal, { reducers: [...withTheRest([]), reducer] })).toThrow(
      /settings\.put has two/,
    );
  });
});

let forked: ReturnType<typeof aCommitChain> | undefined;

/** Seals one more entry as if the last commit had never been. */
function fork(id: string): StoredCommit {
  const chain = forked!;
  const commits = chain.commits as StoredCommit[];
  if (id === 'fork') commits.pop();
  return chain.next(id, { other: true });
}
