import { beforeEach, describe, expect, it } from 'vitest';
import { type Digest, sha256 } from '../../../src/core/digest.ts';
import { checkpointBlobs, parseManifest } from '../../../src/journal/checkpoint.ts';
import type { Checkpoints } from '../../../src/journal/checkpoints.ts';
import {
  type CopyOptions,
  type CopyProgress,
  type CopyTarget,
  copyStore,
} from '../../../src/journal/copy.ts';
import { copySealedSecrets } from '../../../src/journal/copy-secrets.ts';
import {
  type Blobs,
  EMPTY_HEAD,
  type Journal,
  type JournalEntry,
  type StoredCommit,
} from '../../../src/journal/journal.ts';
import { createMemoryCheckpoints } from '../../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { createMemorySealedSecrets } from '../../../src/journal/memory-secrets.ts';
import { verifyStore } from '../../../src/journal/verify-store.ts';
import { aCheckpoint } from '../../support/journal-checkpoint.ts';
import { aCommitChain, type CommitChain } from '../../support/journal-commits.ts';

interface End {
  readonly journal: Journal;
  readonly blobs: Blobs;
  readonly checkpoints: Checkpoints;
}

const anEnd = (commits: readonly StoredCommit[] = []): End => ({
  journal: createMemoryJournal(commits),
  blobs: createMemoryBlobs(),
  checkpoints: createMemoryCheckpoints(),
});

/** To be damaged. */
const cloned = (commits: readonly StoredCommit[]) =>
  structuredClone([...commits]) as unknown as {
    id: string;
    entries: { entry: JournalEntry; body: Uint8Array }[];
  }[];
const asCommits = (damaged: ReturnType<typeof cloned>) => damaged as unknown as StoredCommit[];

describe('copying a store', () => {
  let chain: CommitChain;
  let source: End;
  let wasm: Digest;
  beforeEach(async () => {
    chain = aCommitChain();
    const blobs = createMemoryBlobs();
    const text = await blobs.put(Buffer.from('package envoy.authz'));
    wasm = await blobs.put(Buffer.from('wasm'));
    chain.next('c1', { a: 1 }, { a: 2 });
    chain.next('c2', { source: text, artefact: wasm });
    chain.next('c3', { artefact: wasm });
    source = { ...anEnd(chain.commits), blobs };
  });

  const copy = (target: CopyTarget, more: Partial<CopyOptions> = {}) =>
    copyStore({ source, target, expectations: { genesis: chain.genesis.genesisDigest }, ...more });

  it('brings every commit, with its salts and signatures, and the blobs that they refer to', async () => {
    const target = anEnd();
    const result = await copy(target);
    expect(result).toMatchObject({ head: chain.head(), entries: 5, of: 5, copied: 5, blobs: 2 });
    expect(await target.journal.read(0, 100)).toEqual(await source.journal.read(0, 100));
    const expectations = { genesis: chain.genesis.genesisDigest };
    expect(await verifyStore({ ...target, expectations })).toMatchObject({ ok: true, anchored: true });
  });

  it('leaves out blobs that nothing refers to', async () => {
    const orphan = await source.blobs.put(Buffer.from('refused'));
    const target = anEnd();
    await copy(target);
    await expect(target.blobs.get(orphan)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('changes nothing when it runs again', async () => {
    const target = anEnd();
    await copy(target);
    const journal = { ...target.journal, append: () => Promise.reject(new Error('an append')) };
    const blobs = { ...target.blobs, put: () => Promise.reject(new Error('a put')) };
    expect(await copy({ ...target, journal, blobs })).toMatchObject({
      copied: 0,
      entries: 5,
      head: chain.head(),
    });
  });

  it('goes on after what is there, and brings the blobs that are missing before it', async () => {
    const target = anEnd(chain.commits.slice(0, 3));
    expect(await copy(target)).toMatchObject({ copied: 1, head: chain.head() });
    expect(Buffer.from(await target.blobs.get(wasm)).toString()).toBe('wasm');
  });

  it('has the blobs of a commit before the commit, wherever it is cut off', async () => {
    const target = anEnd();
    for (let puts = 0; puts < 2; puts += 1) {
      let left = puts;
      const blobs: Blobs = {
        ...target.blobs,
        put: (bytes) => (left-- > 0 ? target.blobs.put(bytes) : Promise.reject(new Error('cut off'))),
      };
      await expect(copy({ ...target, blobs })).rejects.toThrow('store_unavailable');
      expect((await target.journal.head()).seq).toBe(3);
    }
  });

  it('refuses a target that holds something else, and leaves it as it is', async () => {
    const other = aCommitChain();
    const target = anEnd(other.commits);
    await expect(copy(target)).rejects.toMatchObject({ code: 'store_mismatch' });
    expect(await target.journal.head()).toEqual(other.head());
  });

  it('refuses a target that has gone on from the same beginning by itself', async () => {
    const [first, second] = chain.commits as [StoredCommit, StoredCommit];
    const forked = structuredClone(second);
    const target = anEnd([first, { ...forked, entries: [...forked.entries].reverse() }]);
    await expect(copy(target)).rejects.toMatchObject({ code: 'store_mismatch' });
    const ahead = anEnd([...chain.commits]);
    await ahead.journal.append(chain.next('c4', {}), await ahead.journal.head());
    await expect(copy(ahead)).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: expect.stringMatching(/beyond the source/),
    });
  });

  it('refuses a target of which a body has changed', async () => {
    const commits = cloned(chain.commits);
    commits[1]!.entries[0]!.body = Buffer.from('{"a":9}');
    await expect(copy(anEnd(asCommits(commits)))).rejects.toMatchObject({
      code: 'store_mismatch',
    });
  });

  it('refuses a source that is not the pinned one, and writes nothing', async () => {
    const target = anEnd();
    const expectations = { genesis: sha256('another') };
    await expect(copy(target, { expectations })).rejects.toMatchObject({ code: 'store_mismatch' });
    expect(await target.journal.head()).toEqual(EMPTY_HEAD);
  });

  it('stops at the first commit that is not sound, and names its seq', async () => {
    const commits = cloned(chain.commits);
    commits[2]!.entries[0]!.body = Buffer.from('{}');
    source = { ...source, journal: createMemoryJournal(asCommits(commits)) };
    const target = anEnd();
    await expect(copy(target)).rejects.toMatchObject({
      code: 'store_diverged',
      detail: 'seq 4: the body does not match its digest',
    });
    expect((await target.journal.head()).seq).toBe(3);
  });

  it('names the seq whose blob is missing', async () => {
    source = { ...source, blobs: createMemoryBlobs() };
    await expect(copy(anEnd())).rejects.toMatchObject({
      code: 'store_diverged',
      detail: expect.stringMatching(/^seq 4: blob sha256:[0-9a-f]{64}: there is no blob/),
    });
  });

  it('says an empty source is none', async () => {
    source = anEnd();
    await expect(copy(anEnd())).rejects.toMatchObject({ code: 'store_mismatch' });
  });

  it('ends where the source ended when it began', async () => {
    const target = anEnd();
    const before = chain.head();
    let grown = false;
    const onProgress = (): void => {
      if (grown) return;
      grown = true;
      void source.journal.append(chain.next('c4', { late: true }), before);
    };
    expect(await copy(target, { onProgress, readLimit: 1 })).toMatchObject({ head: before, entries: 5 });
  });

  it('tells how far it is, and stops when it is told to', async () => {
    const told: CopyProgress[] = [];
    await copy(anEnd(), { onProgress: (progress) => told.push(progress) });
    expect(told.map(({ entries, of }) => [entries, of])).toEqual([
      [1, 5],
      [3, 5],
      [4, 5],
      [5, 5],
    ]);
    expect(told.at(-1)).toMatchObject({ blobs: 2 });

    const stop = new AbortController();
    const target = anEnd();
    const stopped = copy(target, { readLimit: 1, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect((await target.journal.head()).seq).toBe(1);
    expect(await copy(target)).toMatchObject({ head: chain.head() });
  });

  it('brings the checkpoints of what it copies, with their chunks', async () => {
    const [, second, third] = chain.commits as [StoredCommit, StoredCommit, StoredCommit];
    for (const commit of [second, third])
      await source.checkpoints.put(await aCheckpoint(chain, commit, source.blobs));
    const target = anEnd();
    expect(await copy(target)).toMatchObject({ checkpoints: 2 });
    expect(await target.checkpoints.latest()).toEqual(await source.checkpoints.latest());
    for (const { manifest } of await target.checkpoints.latest()) {
      for (const digest of checkpointBlobs(parseManifest(manifest)))
        expect((await target.blobs.get(digest)).length).toBeGreaterThan(0);
    }
  });

  it('leaves out a checkpoint that it cannot believe, and copies all the same', async () => {
    const [, second, third] = chain.commits as [StoredCommit, StoredCommit, StoredCommit];
    const other = aCommitChain();
    const forged = await aCheckpoint(other, other.next('c1', { a: 1 }), source.blobs);
    const last = second.entries[1]!;
    const lost = { ...second, entries: [{ ...last, entry: { ...last.entry, digest: sha256('lost') } }] };
    const ofALostLine = await aCheckpoint(chain, lost, source.blobs);
    const chunkless = await aCheckpoint(chain, third, createMemoryBlobs());
    const good = await aCheckpoint(chain, second, source.blobs);
    for (const bad of [forged, chunkless, ofALostLine]) {
      const checkpoints = { latest: async () => [bad, good] };
      const target = anEnd();
      const result = await copy(target, { source: { ...source, checkpoints } });
      expect(result).toMatchObject({ head: chain.head(), checkpoints: 1 });
      expect(await target.checkpoints.latest()).toEqual([good]);
    }
  });

  it('copies a body that was erased as erased', async () => {
    const commits = structuredClone(chain.commits) as StoredCommit[];
    const [, second] = commits as [StoredCommit, StoredCommit];
    const entries = second.entries.map(({ entry }) => ({ entry, salt: undefined, body: undefined }));
    commits[1] = { ...second, entries };
    source = { ...source, journal: createMemoryJournal(commits) };
    const target = anEnd();
    await copy(target);
    expect(await verifyStore({ ...target })).toMatchObject({ ok: true, erased: [2, 3] });
  });
});

describe('copying sealed secrets', () => {
  it('copies them as they are, and deletes what the source has no more', async () => {
    const [source, target] = [createMemorySealedSecrets(), createMemorySealedSecrets()];
    for (let n = 0; n < 250; n += 1) await source.put(`key/${n}`, Uint8Array.of(n));
    await target.put('gone', Uint8Array.of(1));
    await target.put('key/7', Uint8Array.of(99));
    expect(await copySealedSecrets(source, target)).toBe(250);
    expect(await target.names('', 1_000)).toEqual(await source.names('', 1_000));
    expect(await target.get('key/7')).toEqual(Uint8Array.of(7));
  });
});
