import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../src/core/digest.ts';
import { checkpointBlobs, parseManifest } from '../../../src/journal/checkpoint.ts';
import { type Checkpoints, KEPT_CHECKPOINTS } from '../../../src/journal/checkpoints.ts';
import { type CollectOptions, collectBlobs } from '../../../src/journal/collect.ts';
import type { CollectableBlobs, JournalEntry, StoredCommit } from '../../../src/journal/journal.ts';
import { createMemoryCheckpoints } from '../../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { aCheckpoint } from '../../support/journal-checkpoint.ts';
import { aCommitChain, type CommitChain } from '../../support/journal-commits.ts';

const GRACE_MS = 1_000;

describe('the collection of blobs', () => {
  let nowMs: number;
  let blobs: CollectableBlobs;
  let chain: CommitChain;
  let checkpoints: Checkpoints;
  beforeEach(() => {
    nowMs = 0;
    blobs = createMemoryBlobs({ nowMs: () => nowMs });
    chain = aCommitChain();
    checkpoints = createMemoryCheckpoints();
  });

  const put = (text: string): Promise<Digest> => blobs.put(Buffer.from(text));
  const isThere = (digest: Digest): Promise<boolean> =>
    blobs.get(digest).then(
      () => true,
      () => false,
    );
  const collect = (more: Partial<CollectOptions> = {}, commits: readonly StoredCommit[] = chain.commits) =>
    collectBlobs({ journal: createMemoryJournal(commits), blobs, checkpoints, graceMs: GRACE_MS, ...more });

  it('deletes what nothing refers to, once it is old enough', async () => {
    const [kept, idle] = [await put('kept'), await put('idle')];
    chain.next('c1', { nested: [{ artefact: kept }] });
    nowMs = GRACE_MS;
    expect(await collect()).toEqual({ blobs: 0, bytes: 0, more: false });
    nowMs = GRACE_MS + 1;
    expect(await collect()).toEqual({ blobs: 1, bytes: 4, more: false });
    expect([await isThere(kept), await isThere(idle)]).toEqual([true, false]);
  });

  it('begins the time anew when the same bytes are put again', async () => {
    const idle = await put('idle');
    nowMs = GRACE_MS;
    await put('idle');
    nowMs = 2 * GRACE_MS;
    await collect();
    expect(await isThere(idle)).toBe(true);
  });

  it('keeps the chunks of a checkpoint as long as the checkpoint is kept', async () => {
    const kept = await aCheckpoint(chain, chain.next('c0', {}), blobs);
    await checkpoints.put(kept);
    nowMs = 10 * GRACE_MS;
    expect(await collect()).toMatchObject({ blobs: 0 });
    for (let n = 1; n <= KEPT_CHECKPOINTS; n += 1)
      await checkpoints.put(await aCheckpoint(chain, chain.next(`c${n}`, {}), blobs));
    expect(await collect()).toMatchObject({ blobs: 1 });
    for (const digest of checkpointBlobs(parseManifest(kept.manifest)))
      expect(await isThere(digest)).toBe(false);
  });

  it('deletes nothing when a checkpoint that is kept cannot be read', async () => {
    const idle = await put('idle');
    await checkpoints.put({ position: { epoch: 1, seq: 1 }, manifest: '{"v":2}' });
    nowMs = 10 * GRACE_MS;
    await expect(collect()).rejects.toMatchObject({ code: 'journal_too_new' });
    expect(await isThere(idle)).toBe(true);
  });

  it('deletes so many at a time, and says that there may be more', async () => {
    for (let n = 0; n < 25; n += 1) await put(`idle ${n}`);
    nowMs = GRACE_MS + 1;
    expect(await collect({ maxDeleted: 20 })).toMatchObject({ blobs: 20, more: true });
    expect(await collect({ maxDeleted: 20 })).toMatchObject({ blobs: 5, more: false });
  });

  it('finds what is idle behind pages of what is referred to', async () => {
    const referred: Digest[] = [];
    for (let n = 0; n < 1_100; n += 1) referred.push(await put(`referred ${n}`));
    for (const at of [0, 500, 1_000]) {
      chain.next(`c${at}`, ...referred.slice(at, at + 500).map((source) => ({ source })));
    }
    for (let n = 0; n < 30; n += 1) await put(`idle ${n}`);
    nowMs = GRACE_MS + 1;
    expect(await collect()).toMatchObject({ blobs: 30 });
    expect((await Promise.all(referred.map(isThere))).every(Boolean)).toBe(true);
  });

  /** The publish comes between two steps of the collection, each time another. */
  it.each(['head', 'read', 'listOld', 'deleteOld'] as const)(
    'keeps the old blob of a publish that comes right before %s',
    async (step) => {
      const digest = await put('published again');
      nowMs = 10 * GRACE_MS;
      const journal = createMemoryJournal(chain.commits);
      let published = false;
      const publish = async (at: string): Promise<void> => {
        if (at !== step || published) return;
        published = true;
        await put('published again');
        const before = chain.head();
        await journal.append(chain.next('publish', { artefact: digest }), before);
      };
      await collectBlobs({
        graceMs: GRACE_MS,
        checkpoints,
        journal: {
          head: () => publish('head').then(() => journal.head()),
          base: () => journal.base(),
          read: (...args) => publish('read').then(() => journal.read(...args)),
        },
        blobs: {
          nowMs: () => blobs.nowMs(),
          get: (blob) => blobs.get(blob),
          listOld: (...args) => publish('listOld').then(() => blobs.listOld(...args)),
          deleteOld: (...args) => publish('deleteOld').then(() => blobs.deleteOld(...args)),
        },
      });
      expect(published).toBe(true);
      expect(await isThere(digest)).toBe(true);
    },
  );

  it('keeps what is published while it runs, however long it takes', async () => {
    const journal = createMemoryJournal(chain.commits);
    let digest: Digest | undefined;
    const slow = {
      ...blobs,
      async listOld(...args: Parameters<CollectableBlobs['listOld']>) {
        if (digest !== undefined) return blobs.listOld(...args);
        digest = await put('published meanwhile');
        const before = chain.head();
        await journal.append(chain.next('publish', { artefact: digest }), before);
        nowMs += 10 * GRACE_MS;
        return blobs.listOld(...args);
      },
    };
    expect(await collect({ journal, blobs: slow })).toMatchObject({ blobs: 0 });
    expect(digest !== undefined && (await isThere(digest))).toBe(true);
  });

  it.each([
    {
      what: 'an entry is missing',
      damage: (commits: readonly StoredCommit[]) => commits.filter((_, at) => at !== 1),
      code: 'store_diverged',
    },
    {
      what: 'a body is not what its entry says',
      damage: ([first, second, ...rest]: readonly StoredCommit[]) => [
        first!,
        { ...second!, entries: second!.entries.map((entry) => ({ ...entry, body: Buffer.from('{}') })) },
        ...rest,
      ],
      code: 'store_diverged',
    },
    {
      what: 'a kind is not known',
      damage: ([first, second, ...rest]: readonly StoredCommit[]) => [
        first!,
        {
          ...second!,
          entries: second!.entries.map((stored) => ({
            ...stored,
            entry: { ...stored.entry, kind: 'policy.future' as JournalEntry['kind'] },
          })),
        },
        ...rest,
      ],
      code: 'journal_too_new',
    },
  ])('deletes nothing when $what', async ({ damage, code }) => {
    const digest = await put('referred to in what cannot be read');
    const idle = await put('idle');
    chain.next('c1', { artefact: digest });
    chain.next('c2', { a: 1 });
    nowMs = 10 * GRACE_MS;
    await expect(collect({}, damage(chain.commits))).rejects.toMatchObject({ code });
    expect([await isThere(digest), await isThere(idle)]).toEqual([true, true]);
  });

  it('lets a blob go whose only reference was erased', async () => {
    const digest = await put('erased');
    chain.next('c1', { artefact: digest });
    const commits = chain.commits.map((commit, at) =>
      at === 0
        ? commit
        : {
            ...commit,
            entries: commit.entries.map(({ entry }) => ({ entry, salt: undefined, body: undefined })),
          },
    );
    nowMs = GRACE_MS + 1;
    expect(await collect({}, commits)).toMatchObject({ blobs: 1 });
  });

  it('stops when it is told to', async () => {
    await put('idle');
    nowMs = GRACE_MS + 1;
    await expect(collect({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'deadline_exceeded',
    });
  });
});
