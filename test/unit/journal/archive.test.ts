import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { archive, planArchive } from '../../../src/journal/archive.ts';
import { checkpointBlobs, parseManifest } from '../../../src/journal/checkpoint.ts';
import { writeCheckpoint } from '../../../src/journal/checkpoint-writer.ts';
import { collectBlobs } from '../../../src/journal/collect.ts';
import { type CopyOptions, type CopyProgress, copyStore } from '../../../src/journal/copy.ts';
import type { CollectableBlobs, Journal } from '../../../src/journal/journal.ts';
import { createMemoryCheckpoints } from '../../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { readSegments } from '../../../src/journal/segments.ts';
import { verifyStore } from '../../../src/journal/verify-store.ts';
import { archiveOptions, archiveTo, aStart, stateDigest } from '../../support/archived-journal.ts';
import {
  aReplica,
  type CheckpointJournal,
  createCheckpointJournal,
  folded,
} from '../../support/checkpoint-journal.ts';

let test: CheckpointJournal;
let folder: string;
beforeEach(async () => {
  test = await createCheckpointJournal();
  folder = await mkdtemp(join(tmpdir(), 'chancery-segments-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Entries, a checkpoint, entries after it. @returns seq of the checkpoint */
async function grow(rounds = 3): Promise<number> {
  await test.grow(rounds);
  const { position } = await test.checkpoint();
  await test.grow(1);
  return position.seq;
}

const seqsOf = async (journal: Journal): Promise<readonly number[]> =>
  (await journal.read(0, 10_000)).flatMap(({ entries }) => entries.map(({ entry }) => entry.seq));
const verify = (withSegments: boolean) =>
  verifyStore({
    ...test,
    ...(withSegments && { archived: readSegments(folder, test.journal, test.expectations) }),
  });

describe('archiving', () => {
  it('leaves a journal from which a start has the same state, by digest', async () => {
    const seq = await grow();
    const whole = await stateDigest(test.follower, test);
    const name = await archiveTo(folder, test);
    expect(readdirSync(folder).toSorted()).toEqual([`${name}.json`, `${name}.jsonl.zst`]);
    expect((await seqsOf(test.journal))[0]).toBe(seq + 1);
    const { follower } = await aStart(test);
    expect(follower.position().seq).toBe(seq);
    await follower.sync();
    expect(await stateDigest(follower, test)).toBe(whole);
    expect(folded(follower)).toEqual(folded(test.follower));
    await test.grow(1);
    await follower.sync();
    expect(folded(follower)).toEqual(folded(test.follower));
  });

  it('leaves a start also when every other checkpoint is gone or damaged', async () => {
    const seq = await grow();
    await archiveTo(folder, test);
    for (let more = 0; more < 4; more += 1) await grow(1);
    const damaged = createMemoryCheckpoints();
    for (const { position, manifest } of await test.checkpoints.latest()) {
      await damaged.put({ position, manifest: manifest.replace('"signature":"', '"signature":"x') });
    }
    const { follower, log } = await aStart(test, { checkpoints: damaged });
    expect(follower.position().seq).toBe(seq);
    expect(log.filter(({ message }) => /cannot be used/.test(message))).toHaveLength(3);
    await follower.sync();
    expect(folded(follower)).toEqual(folded(test.follower));
  });

  it('is never a start from nothing: without a usable checkpoint it says what to do', async () => {
    const seq = await grow();
    await archiveTo(folder, test);
    const blobs = createMemoryBlobs();
    const { follower } = await aStart(test, { blobs });
    await expect(follower.sync()).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: expect.stringMatching(new RegExp(`up to seq ${seq} were archived.*store verify`)),
    });
    expect(follower.position().seq).toBe(0);
    expect(await verifyStore({ ...test, blobs })).toMatchObject({
      ok: false,
      problems: [{ seq, message: expect.stringMatching(/there is no blob/) }],
    });
  });

  it('keeps a replica that was away for longer as it is, and says how it comes back', async () => {
    await test.grow(1);
    const late = aReplica(test.journal, test.expectations);
    await late.follower.sync();
    const before = folded(late.follower);
    await grow();
    await archiveTo(folder, test);
    for (let look = 0; look < 2; look += 1) {
      await expect(late.follower.sync()).rejects.toMatchObject({
        code: 'not_found',
        detail: expect.stringMatching(/were archived.*remove its local copy and start it again/),
      });
    }
    expect(folded(late.follower)).toEqual(before);
  });

  it.each<{ what: string; scene: () => Promise<object>; why: RegExp }>([
    {
      what: 'where no checkpoint is kept',
      scene: async () => ({ checkpoints: createMemoryCheckpoints() }),
      why: /keeps none/,
    },
    {
      what: 'with one that is not signed by a key of the journal',
      async scene() {
        const theirs = await createCheckpointJournal();
        const checkpoints = createMemoryCheckpoints();
        await writeCheckpoint(test.follower.capture()!, {
          ...test,
          checkpoints,
          signingKey: theirs.signingKey,
        });
        await test.grow(1);
        return { checkpoints };
      },
      why: /not signed by a key of this journal/,
    },
    {
      what: 'with one whose records are gone',
      scene: async () => ({ blobs: createMemoryBlobs() }),
      why: /no blob/,
    },
    { what: 'beyond a seq', scene: async () => ({ before: 3 }), why: /beyond --before/ },
    { what: 'beyond a time', scene: async () => ({ before: new Date(0) }), why: /beyond --before/ },
    {
      what: 'what is younger than a day',
      scene: async () => ({ youngestMs: Date.now() - 86_400_000 }),
      why: /younger than 24/,
    },
    {
      what: 'all entries',
      async scene() {
        const checkpoints = createMemoryCheckpoints();
        await writeCheckpoint(test.follower.capture()!, { ...test, checkpoints });
        return { checkpoints };
      },
      why: /no entry would be left/,
    },
  ])('refuses to go on $what', async ({ scene, why }) => {
    await grow();
    const more = await scene();
    const { seq } = await test.journal.head();
    await expect(planArchive(archiveOptions(test, more))).rejects.toMatchObject({
      code: 'not_found',
      detail: expect.stringMatching(why),
    });
    expect(await seqsOf(test.journal)).toHaveLength(seq);
  });

  it('refuses a checkpoint that is signed and not what the entries lead to', async () => {
    await test.grow(2);
    const state = test.follower.capture()!;
    const sections = state.sections.map((section) =>
      section.name === 'policies' ? section : { ...section, records: [...section.records].slice(0, 1) },
    );
    await writeCheckpoint({ ...state, sections }, test);
    await test.grow(1);
    const before = await seqsOf(test.journal);
    await expect(archiveTo(folder, test)).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: 'the checkpoint is not what the entries lead to',
    });
    expect(await seqsOf(test.journal)).toEqual(before);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes on after a run that wrote the segment and deleted nothing', async () => {
    await grow();
    const journal = { ...test.journal, beginAfter: () => Promise.reject(new Error('the power is gone')) };
    await expect(archiveTo(folder, test, { journal })).rejects.toThrow('the power is gone');
    expect((await seqsOf(test.journal))[0]).toBe(1);
    const written = readdirSync(folder);
    const name = await archiveTo(folder, test, {
      journal: { ...test.journal, read: () => Promise.reject(new Error('it is there already')) },
    });
    expect(readdirSync(folder)).toEqual(written);
    expect(written).toContain(`${name}.json`);
    expect(await verify(true)).toMatchObject({ ok: true, from: 0 });
  });

  it('deletes nothing when what was written before has changed since', async () => {
    await grow();
    const journal = { ...test.journal, beginAfter: () => Promise.reject(new Error('the power is gone')) };
    await expect(archiveTo(folder, test, { journal })).rejects.toThrow('the power is gone');
    await damage('.jsonl.zst');
    await expect(archiveTo(folder, test)).rejects.toMatchObject({ code: 'store_mismatch' });
    expect((await seqsOf(test.journal))[0]).toBe(1);
  });

  it('lets one of two runs delete', async () => {
    await grow();
    const options = { ...archiveOptions(test), signingKey: test.signingKey };
    const plan = await planArchive(options);
    await archive(plan, { ...options, folder });
    await expect(archive(plan, { ...options, folder })).rejects.toMatchObject({ code: 'object_changed' });
    expect(await verify(true)).toMatchObject({ ok: true });
  });

  it('wants the earlier segments in the folder', async () => {
    await grow();
    await archiveTo(folder, test);
    await grow();
    const before = await seqsOf(test.journal);
    const elsewhere = join(folder, 'elsewhere');
    await expect(archiveTo(elsewhere, test)).rejects.toMatchObject({ code: 'store_mismatch' });
    expect(await seqsOf(test.journal)).toEqual(before);
  });
});

/** Changes a byte in the middle of the file of a segment. */
async function damage(end: string, at = 0): Promise<void> {
  const name = readdirSync(folder)
    .filter((each) => each.endsWith(end))
    .toSorted()[at]!;
  const bytes = await readFile(join(folder, name));
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(join(folder, name), bytes);
}

describe('verifying an archived journal', () => {
  let through: number;
  beforeEach(async () => {
    for (let run = 0; run < 3; run += 1) {
      through = await grow();
      await archiveTo(folder, test);
    }
  });

  it('begins with the checkpoint, or with genesis where the segments are there', async () => {
    const { seq } = await test.journal.head();
    expect(await verify(false)).toMatchObject({
      ok: true,
      anchored: true,
      from: through,
      entries: seq - through,
    });
    expect(await verify(true)).toMatchObject({
      ok: true,
      anchored: true,
      from: 0,
      entries: seq,
      head: { seq },
    });
  });

  it.each<{ what: string; change: () => Promise<void> }>([
    { what: 'a changed file', change: () => damage('.jsonl.zst', 1) },
    { what: 'a changed manifest', change: () => damage('.json', 1) },
    { what: 'a changed last manifest', change: () => damage('.json', 2) },
    { what: 'a segment in the middle that is gone', change: () => remove(1, '.json') },
    { what: 'a first segment that is gone', change: () => remove(0, '.json') },
    { what: 'a file that is gone', change: () => remove(1, '.jsonl.zst') },
  ])('finds $what', async ({ change }) => {
    await change();
    await expect(verify(true)).rejects.toMatchObject({ code: 'store_mismatch' });
    expect(await verify(false)).toMatchObject({ ok: true });
  });

  const remove = async (at: number, end: string): Promise<void> => {
    const name = readdirSync(folder)
      .filter((each) => each.endsWith(end))
      .toSorted()[at]!;
    await rm(join(folder, name));
  };
});

describe('what reads an archived journal', () => {
  const targetOf = () => ({
    journal: createMemoryJournal(),
    blobs: createMemoryBlobs(),
    checkpoints: createMemoryCheckpoints(),
  });
  const copy = (target: ReturnType<typeof targetOf>, more: Partial<CopyOptions> = {}) =>
    copyStore({ source: test, target, expectations: test.expectations, ...more });

  it('copies the checkpoint and what comes after it, and goes on with the copy later', async () => {
    const digest = await aRevision();
    const seq = await grow();
    await archiveTo(folder, test);
    const target = targetOf();
    await copy(target);
    expect(await target.journal.base()).toEqual(await test.journal.base());
    expect(await seqsOf(target.journal)).toEqual(await seqsOf(test.journal));
    expect(await verifyStore({ ...target, expectations: test.expectations })).toMatchObject({
      ok: true,
      from: seq,
    });
    expect((await target.blobs.get(digest)).length).toBe(100);
    await test.grow(1);
    expect(await copy(target)).toMatchObject({ copied: 5 });
    const { follower } = await aStart({ ...test, ...target });
    await follower.sync();
    expect(folded(follower)).toEqual(folded(test.follower));
  });

  it('copies it telling how far it is, also with what the checkpoint needs, and stops there when told to', async () => {
    await aRevision();
    const seq = await grow();
    await test.grow(1);
    await archiveTo(folder, test);
    const of = (await test.journal.head()).seq - seq;
    const told: CopyProgress[] = [];
    await copy(targetOf(), { onProgress: (progress) => told.push(progress) });
    const begin = told.filter(({ entries }) => entries === 0);
    expect(begin.length).toBeGreaterThan(1);
    expect(begin.map(({ blobs }) => blobs)).toEqual(begin.map((_each, at) => at + 1));
    expect(told.every((each) => each.of === of)).toBe(true);
    expect(told.at(-1)?.entries).toBe(of);

    const stop = new AbortController();
    const target = targetOf();
    const stopped = copy(target, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(await target.journal.base()).toBeUndefined();
    expect(await copy(target)).toMatchObject({ entries: of });
  });

  it('goes on with a copy that was cut off right after its beginning', async () => {
    await grow();
    await archiveTo(folder, test);
    const target = targetOf();
    const journal = { ...target.journal, append: () => Promise.reject(new Error('cut off')) };
    await expect(copy({ ...target, journal })).rejects.toThrow('cut off');
    await copy(target);
    expect(await seqsOf(target.journal)).toEqual(await seqsOf(test.journal));
  });

  it('does not go on with a copy that begins elsewhere', async () => {
    await grow();
    const target = targetOf();
    await copy(target);
    await archiveTo(folder, test);
    await expect(copy(target)).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: expect.stringMatching(/make a new copy/),
    });
  });

  /** @returns the artefact that its entry refers to */
  async function aRevision() {
    const artefact = await test.blobs.put(Buffer.alloc(100, 7));
    const source = await test.blobs.put(Buffer.from('source'));
    const more = { entrypoints: ['envoy/authz/allow'], toolchain: 'test', abi: '1.3', tests: 0 };
    await test.append('policy.revision', { policy: 'p', revision: source, source, artefact, ...more });
    return artefact;
  }

  it('collects no blob that only archived entries and the state refer to', async () => {
    const artefact = await aRevision();
    await grow();
    await archiveTo(folder, test);
    const idle = await test.blobs.put(Buffer.from('nothing refers to this'));
    const later = (await blobsOf().nowMs()) + 1;
    const blobs: CollectableBlobs = { ...blobsOf(), nowMs: async () => later };
    // no checkpoint but the one that the journal begins with
    const checkpoints = createMemoryCheckpoints();
    expect(await collectBlobs({ ...test, blobs, checkpoints, graceMs: 0 })).toMatchObject({ blobs: 1 });
    await expect(test.blobs.get(idle)).rejects.toMatchObject({ code: 'not_found' });
    expect((await test.blobs.get(artefact)).length).toBe(100);
    const base = await test.journal.base();
    for (const digest of checkpointBlobs(parseManifest(base!.manifest))) await test.blobs.get(digest);
    expect(await verify(false)).toMatchObject({ ok: true });
  });
  const blobsOf = (): CollectableBlobs => test.blobs as CollectableBlobs;
});
