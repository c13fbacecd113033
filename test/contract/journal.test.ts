import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Digest, sha256 } from '../../src/core/digest.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Position } from '../../src/core/position.ts';
import { EMPTY_HEAD, type StoredCommit, type StoredEntry } from '../../src/journal/journal.ts';
import { MAX_BODY_BYTES, MAX_COMMIT_ENTRIES, MAX_READ_BYTES } from '../../src/journal/limits.ts';
import { CHAIN_START, verifyCommit } from '../../src/journal/verify.ts';
import { aCommitChain, type CommitChain, endOf } from '../support/journal-commits.ts';
import { TEST_STORES, type TestStore } from '../support/journal-stores.ts';

describe.each(Object.entries(TEST_STORES))('a journal on %s', (_name, createStore) => {
  let store: TestStore;
  let chain: CommitChain;
  beforeEach(async () => {
    store = await createStore();
    chain = aCommitChain();
  });
  afterEach(() => store.remove());

  /** A journal with genesis and the commits `c1` … of so many entries each. */
  async function aJournalWith(...sizes: readonly number[]) {
    const { journal } = await store.open();
    await journal.append(chain.genesis.commit, EMPTY_HEAD);
    for (const [index, size] of sizes.entries()) {
      const before = chain.head();
      const bodies = Array.from({ length: size }, (_, entry) => ({ entry }));
      await journal.append(chain.next(`c${index + 1}`, ...bodies), before);
    }
    return journal;
  }

  it('is empty at first', async () => {
    const { journal } = await store.open();
    expect(await journal.head()).toEqual(EMPTY_HEAD);
    expect(await journal.read(0, 10)).toEqual([]);
    expect(await journal.find('c1')).toBeUndefined();
  });

  it('answers an append with the position of the last entry, which is then the head', async () => {
    const journal = await aJournalWith();
    const before = chain.head();
    const commit = chain.next('c1', { a: 1 }, { a: 2 });
    expect(await journal.append(commit, before)).toEqual(endOf(commit));
    expect(await journal.head()).toEqual({ epoch: 1, seq: 3, digest: commit.entries[1]?.entry.digest });
  });

  it('gives back every member, salt and body as they were appended, and they verify', async () => {
    const journal = await aJournalWith(2, 1);
    const read = await journal.read(0, 100);
    expect(plain(read)).toEqual(plain(chain.commits));
    let state = CHAIN_START;
    for (const commit of read) {
      const verified = verifyCommit(state, commit, { genesis: chain.genesis.genesisDigest });
      expect(verified.problems).toEqual([]);
      state = verified.state;
    }
    expect(state.position).toEqual(chain.head());
  });

  it('answers a commit id that is there with its position and appends nothing', async () => {
    const journal = await aJournalWith(1);
    const before = chain.head();
    const commit = chain.next('c2', { a: 1 });
    const first = await journal.append(commit, before);
    expect(await journal.append(commit, before)).toEqual(first);
    expect(await journal.head()).toEqual(first);
    expect(await journal.read(0, 100)).toHaveLength(3);
  });

  it('answers a repeated commit id even when the head has moved on', async () => {
    const journal = await aJournalWith();
    const before = chain.head();
    const commit = chain.next('c1', { a: 1 });
    const first = await journal.append(commit, before);
    await journal.append(chain.next('c2', { a: 2 }), first);
    expect(await journal.append(commit, before)).toEqual(first);
  });

  it('refuses an append after a head that has moved, and keeps nothing of it', async () => {
    const journal = await aJournalWith();
    const before = chain.head();
    const late = chain.next('late', { a: 1 }, { a: 2 });
    const rival = aRival('rival', before, chain);
    await journal.append(rival, before);
    await expect(journal.append(late, before)).rejects.toMatchObject({ code: 'object_changed' });
    expect(await journal.find('late')).toBeUndefined();
    expect(await journal.head()).toEqual(endOf(rival));
  });

  it.each([
    { what: 'another epoch', change: { epoch: 2 } },
    { what: 'another digest', change: { digest: sha256('another') } },
  ])('refuses an append that expects a head with $what', async ({ change }) => {
    const journal = await aJournalWith();
    const expected = { ...chain.head(), ...change };
    const commit = rechained(chain.next('c1', { a: 1 }), expected.digest);
    await expect(journal.append(commit, expected)).rejects.toMatchObject({ code: 'object_changed' });
  });

  it.each([
    { what: 'without entries', damage: (): readonly number[] => [] },
    { what: 'without its first entry', damage: () => [1, 2] },
    { what: 'without its last entry', damage: () => [0, 1] },
    { what: 'without one in the middle', damage: () => [0, 2] },
    { what: 'in another order', damage: () => [1, 0, 2] },
  ])('refuses a commit $what, and keeps nothing of it', async ({ damage }) => {
    const journal = await aJournalWith();
    const before = chain.head();
    const whole = chain.next('c1', { a: 1 }, { a: 2 }, { a: 3 });
    const part = { id: whole.id, entries: damage().map((index) => whole.entries[index]!) };
    await expect(journal.append(part, before)).rejects.toMatchObject({ code: 'internal' });
    expect(await journal.head()).toEqual(before);
    expect(await journal.find('c1')).toBeUndefined();
  });

  it.each([
    { what: 'more entries', bodies: () => Array.from({ length: MAX_COMMIT_ENTRIES + 1 }, () => ({})) },
    { what: 'a larger body', bodies: () => [{ text: 'x'.repeat(MAX_BODY_BYTES) }] },
    { what: 'more bytes', bodies: () => Array.from({ length: 9 }, () => ({ text: 'x'.repeat(1_000_000) })) },
  ])('refuses a commit that has $what than a journal takes, and keeps nothing of it', async ({ bodies }) => {
    const journal = await aJournalWith();
    const before = chain.head();
    const large = aCommitOf(bodies(), chain);
    await expect(journal.append(large, before)).rejects.toMatchObject({ code: 'request_malformed' });
    expect(await journal.head()).toEqual(before);
  });

  it('reads so many bytes at a time, and everything in the end', async () => {
    const journal = await aJournalWith();
    for (let n = 0; n < 12; n += 1) {
      const before = chain.head();
      await journal.append(chain.next(`c${n}`, { text: 'x'.repeat(1_000_000) }), before);
    }
    const sizes: number[] = [];
    for (let seq = 0; seq < chain.head().seq; ) {
      const page = await journal.read(seq, 1_000);
      const entries = page.flatMap((commit) => commit.entries);
      sizes.push(entries.reduce((sum, { body }) => sum + (body?.length ?? 0), 0));
      seq = entries.at(-1)?.entry.seq ?? Number.NaN;
    }
    expect(sizes).toHaveLength(2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_READ_BYTES);
  });

  it('finds where a commit ends by its id', async () => {
    const journal = await aJournalWith(3, 1);
    expect(await journal.find('c1')).toEqual(endOf(chain.commits[1]!));
    expect(await journal.find('c2')).toEqual(endOf(chain.commits[2]!));
    expect(await journal.find('c')).toBeUndefined();
  });

  it.each([
    { after: 0, limit: 100, ids: ['journal:genesis', 'c1', 'c2', 'c3'] },
    { after: 1, limit: 100, ids: ['c1', 'c2', 'c3'] },
    { after: 0, limit: 1, ids: ['journal:genesis'] },
    { after: 0, limit: 4, ids: ['journal:genesis', 'c1'] },
    { after: 0, limit: 5, ids: ['journal:genesis', 'c1'] },
    { after: 0, limit: 6, ids: ['journal:genesis', 'c1', 'c2'] },
    { after: 1, limit: 1, ids: ['c1'] },
    { after: 1, limit: 4, ids: ['c1'] },
    { after: 4, limit: 2, ids: ['c2'] },
    { after: 7, limit: 2, ids: [] },
  ])(
    'reads whole commits: at most $limit entries after seq $after, at least one commit: $ids',
    async (row) => {
      const journal = await aJournalWith(3, 2, 1);
      const read = await journal.read(row.after, row.limit);
      expect(read.map(({ id }) => id)).toEqual(row.ids);
      expect(read.every(({ entries }) => entries.length === entries[0]?.entry.commit.count)).toBe(true);
    },
  );

  it('leaves out the rest of a commit that the place to read from is within', async () => {
    const journal = await aJournalWith(3, 1);
    expect((await journal.read(2, 100)).map(({ id }) => id)).toEqual(['c2']);
  });

  it('keeps a body of a megabyte as it is', async () => {
    const journal = await aJournalWith();
    const before = chain.head();
    const commit = chain.next('large', { text: 'ä"\\\u{1F512}'.repeat(80_000) });
    await journal.append(commit, before);
    const [read] = await journal.read(before.seq, 1);
    const [sent, got] = [commit.entries[0]!.body!, read!.entries[0]!.body!];
    expect(Buffer.compare(got, sent)).toBe(0);
    expect(got.length).toBeGreaterThan(700_000);
  });

  it('lets exactly one of many concurrent appends after one head in', async () => {
    const [one, two] = await Promise.all([store.open(), store.open()]);
    await one.journal.append(chain.genesis.commit, EMPTY_HEAD);
    const before = chain.head();
    const rivals = Array.from({ length: 10 }, (_, index) => aRival(`r${index}`, before, chain));
    const results = await Promise.allSettled(
      rivals.map((rival, index) => (index % 2 === 0 ? one : two).journal.append(rival, before)),
    );
    const won = results.filter(({ status }) => status === 'fulfilled');
    const lost = results.filter((result) => result.status === 'rejected');
    expect(won).toHaveLength(1);
    expect(lost.map(({ reason }) => (reason as { code: string }).code)).toEqual(
      Array(9).fill('object_changed'),
    );
    expect(await two.journal.read(before.seq, 100)).toHaveLength(1);
  });

  it('shows another connection what was appended, and hints at it', async () => {
    const [one, two] = await Promise.all([store.open(), store.open()]);
    const end = new AbortController();
    let hints = 0;
    two.journal.follow(() => {
      hints += 1;
    }, end.signal);
    // the hint is about changes from now on: whoever follows reads once for itself
    expect(await two.journal.head()).toEqual(EMPTY_HEAD);
    await one.journal.append(chain.genesis.commit, EMPTY_HEAD);
    await eventually(() => hints > 0);
    expect(await two.journal.head()).toEqual(chain.head());
    end.abort();
  });

  it('hints at an append of its own, to each follower until that one ends', async () => {
    const { journal } = await store.open();
    const ended = new AbortController();
    const going = new AbortController();
    const seen = { ended: 0, going: 0 };
    journal.follow(() => {
      seen.ended += 1;
    }, ended.signal);
    journal.follow(() => {
      seen.going += 1;
    }, going.signal);
    ended.abort();
    await journal.append(chain.genesis.commit, EMPTY_HEAD);
    await eventually(() => seen.going > 0);
    expect(seen.ended).toBe(0);
    going.abort();
  });
});

describe('a journal on SQLite that is closed and opened again', () => {
  it('has everything that was appended', async () => {
    const store = await TEST_STORES['SQLite']!();
    try {
      const chain = aCommitChain();
      const first = await store.open();
      await first.journal.append(chain.genesis.commit, EMPTY_HEAD);
      const digest = await first.blobs.put(Uint8Array.of(1, 2, 3));
      await first.journal.close();
      const second = await store.open();
      expect(await second.journal.head()).toEqual(chain.head());
      expect(plain(await second.journal.read(0, 10))).toEqual(plain(chain.commits));
      expect(await second.blobs.get(digest)).toEqual(Uint8Array.of(1, 2, 3));
      await expect(first.journal.head()).rejects.toMatchObject({ code: 'store_unavailable' });
    } finally {
      await store.remove();
    }
  });
});

/** Structured clones lose the subclass of a byte array, which is of no interest. */
function plain(commits: readonly StoredCommit[]): unknown {
  return commits.map(({ id, entries }) => ({
    id,
    entries: entries.map(({ entry, salt, body }) => ({ entry, salt: [...salt!], body: [...body!] })),
  }));
}

/** A commit of one entry that continues `before`; a store does not judge its digests. */
function aRival(id: string, before: Position, chain: CommitChain): StoredCommit {
  const [template] = chain.genesis.commit.entries;
  const entry = {
    ...template!.entry,
    seq: before.seq + 1,
    previous: before.digest,
    digest: sha256(id),
    commit: { id, index: 0, count: 1 },
  };
  return { id, entries: [{ ...template!, entry }] };
}

function rechained(commit: StoredCommit, previous: Digest): StoredCommit {
  const entries = commit.entries.map((stored) => ({ ...stored, entry: { ...stored.entry, previous } }));
  return { id: commit.id, entries };
}

/** Chained after the head, whatever its size: sealing would refuse it. */
function aCommitOf(bodies: readonly JsonObject[], { genesis, head }: CommitChain): StoredCommit {
  const [{ entry, salt }] = genesis.commit.entries as [StoredEntry];
  let previous = head().digest;
  const entries = bodies.map((body, index) => {
    const own = { seq: head().seq + 1 + index, previous, digest: sha256(previous) };
    previous = own.digest;
    const commit = { id: 'large', index, count: bodies.length };
    return { entry: { ...entry, ...own, commit }, salt, body: Buffer.from(JSON.stringify(body)) };
  });
  return { id: 'large', entries };
}

async function eventually(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('the condition did not become true in time');
    await sleep(5);
  }
}
