import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { EMPTY_HEAD, type Journal, type JournalBase } from '../../src/journal/journal.ts';
import { aCommitChain, type CommitChain, endOf } from '../support/journal-commits.ts';
import { TEST_STORES, type TestStore } from '../support/journal-stores.ts';

describe.each(Object.entries(TEST_STORES))('where a journal on %s begins', (_name, createStore) => {
  let store: TestStore;
  let chain: CommitChain;
  let journal: Journal;
  /** seq 1, 2–3, 4, 5–6 */
  beforeEach(async () => {
    store = await createStore();
    chain = aCommitChain();
    ({ journal } = await store.open());
    await journal.append(chain.genesis.commit, EMPTY_HEAD);
    for (const [id, size] of [
      ['c1', 2],
      ['c2', 1],
      ['c3', 2],
    ] as const) {
      const before = chain.head();
      await journal.append(chain.next(id, ...Array.from({ length: size }, (_, n) => ({ n }))), before);
    }
  });
  afterEach(() => store.remove());

  const baseAfter = (index: number): JournalBase => {
    return { position: endOf(chain.commits[index]!), manifest: `after ${index}` };
  };
  const seqs = async (): Promise<readonly number[]> =>
    (await journal.read(0, 100)).flatMap(({ entries }) => entries.map(({ entry }) => entry.seq));

  it('is its first entry as long as nobody says otherwise', async () => {
    expect(await journal.base()).toBeUndefined();
    expect(await seqs()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is after the commit that somebody names; older ones are gone, for every connection', async () => {
    await journal.beginAfter(baseAfter(1));
    const other = (await store.open()).journal;
    expect(await other.base()).toEqual(baseAfter(1));
    expect(await seqs()).toEqual([4, 5, 6]);
    expect(await other.find('c1')).toBeUndefined();
    expect(await other.find('c2')).toEqual(endOf(chain.commits[2]!));
    expect(await other.head()).toEqual(chain.head());
    const [page] = await other.read(1, 1);
    expect(page?.id).toBe('c2');
  });

  it('moves on with a later commit, and the journal goes on as before', async () => {
    await journal.beginAfter(baseAfter(0));
    await journal.beginAfter(baseAfter(2));
    expect(await journal.base()).toEqual(baseAfter(2));
    const before = chain.head();
    await journal.append(chain.next('c4', { n: 1 }), before);
    expect(await seqs()).toEqual([5, 6, 7]);
  });

  it.each<{ what: string; base: () => JournalBase }>([
    { what: 'the last commit, which would leave nothing', base: () => baseAfter(3) },
    {
      what: 'an entry within a commit',
      base: () => {
        const { epoch, seq, digest } = chain.commits[1]!.entries[0]!.entry;
        return { position: { epoch, seq, digest }, manifest: '' };
      },
    },
    {
      what: 'an entry with another digest',
      base: () => ({ position: { ...baseAfter(1).position, digest: sha256('other') }, manifest: '' }),
    },
    {
      what: 'an entry of another epoch',
      base: () => ({ position: { ...baseAfter(1).position, epoch: 2 }, manifest: '' }),
    },
    {
      what: 'what is not there yet',
      base: () => ({ position: { ...chain.head(), seq: 9 }, manifest: '' }),
    },
  ])('is never after $what', async ({ base }) => {
    await expect(journal.beginAfter(base())).rejects.toMatchObject({ code: 'object_changed' });
    expect(await journal.base()).toBeUndefined();
    expect(await seqs()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('does not go back to what has left', async () => {
    await journal.beginAfter(baseAfter(2));
    await expect(journal.beginAfter(baseAfter(1))).rejects.toMatchObject({ code: 'object_changed' });
    await expect(journal.beginAfter(baseAfter(2))).rejects.toMatchObject({ code: 'object_changed' });
    expect(await journal.base()).toEqual(baseAfter(2));
  });

  it('may be chosen for an empty one, which is then continued from there', async () => {
    const another = await createStore();
    try {
      const empty = (await another.open()).journal;
      await empty.beginAfter(baseAfter(1));
      expect(await empty.head()).toEqual(baseAfter(1).position);
      expect(await empty.append(chain.commits[2]!, baseAfter(1).position)).toEqual(endOf(chain.commits[2]!));
      await expect(empty.append(chain.genesis.commit, EMPTY_HEAD)).rejects.toMatchObject({
        code: 'object_changed',
      });
      expect(await empty.head()).toEqual(endOf(chain.commits[2]!));
    } finally {
      await another.remove();
    }
  });
});
