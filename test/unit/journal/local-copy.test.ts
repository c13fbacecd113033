import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { type Digest, sha256 } from '../../../src/core/digest.ts';
import { Failure } from '../../../src/core/failure.ts';
import { checkpointBlobs } from '../../../src/journal/checkpoint.ts';
import type { Journal, StoredCommit } from '../../../src/journal/journal.ts';
import { readLocalCopy } from '../../../src/journal/local-copy.ts';
import { makePrivateFolder } from '../../../src/journal/local-copy-files.ts';
import { keepLocalCopy, type LocalCopyKeeper } from '../../../src/journal/local-copy-keeper.ts';
import { createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { restoreState } from '../../../src/journal/restore-state.ts';
import { createWriter } from '../../../src/journal/writer.ts';
import {
  aReplica,
  type CheckpointJournal,
  createCheckpointJournal,
  folded,
  type Replica,
} from '../../support/checkpoint-journal.ts';
import { eventually } from '../../support/eventually.ts';

let folder: string;
let keepers: LocalCopyKeeper[];
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'chancery-')), 'copy');
  keepers = [];
});
afterEach(async () => {
  await Promise.all(keepers.map((keeper) => keeper.close()));
  await rm(join(folder, '..'), { recursive: true, force: true });
});

const away = async (): Promise<never> => {
  throw new Failure('store_unavailable', 'away');
};
const AWAY: Pick<Journal, 'head' | 'read' | 'find'> = { head: away, read: away, find: away };

interface Start extends Replica {
  readonly keeper: LocalCopyKeeper;
  /** from which place it has read the store */
  readonly restored: number;
}

/** A process with a local copy, which has caught up when the store is there. */
async function start(
  test: CheckpointJournal,
  change: { journal?: Journal; needed?: readonly Digest[]; rotateEvery?: number } = {},
): Promise<Start> {
  const { journal = test.journal, needed = [], rotateEvery = 10 } = change;
  const local = await readLocalCopy(folder, test.expectations);
  const replica = aReplica(journal, test.expectations);
  const checkpoints = journal === test.journal ? test.checkpoints : { ...test.checkpoints, latest: away };
  const deps = { ...test, ...replica, journal, checkpoints };
  await restoreState({ ...deps, local });
  const restored = replica.follower.position().seq;
  const keeper = keepLocalCopy({ ...deps, folder, needed: () => needed, rotateEvery }, local);
  keepers.push(keeper);
  await replica.follower.sync().catch(() => {});
  await keeper.settled();
  return { ...replica, keeper, restored };
}

async function stop({ keeper }: Start): Promise<void> {
  await keeper.close();
}

const commitsFile = (): string => join(folder, 'commits.jsonl');

describe('a local copy', () => {
  it('brings back everything without the store', async () => {
    const test = await createCheckpointJournal();
    await test.grow(6);
    await test.checkpoint();
    await test.grow(2);
    const first = await start(test);
    await test.grow(1);
    await first.follower.sync();
    await first.keeper.settled();
    await stop(first);

    const second = await start(test, { journal: { ...test.journal, ...AWAY } });
    expect(second.restored).toBe(test.follower.position().seq);
    expect(folded(second.follower)).toEqual(folded(test.follower));
    expect(second.follower.trouble()).toContain('store_unavailable');
  });

  it('follows on when the store is back, and appends what is new', async () => {
    const test = await createCheckpointJournal();
    await test.grow(3);
    await stop(await start(test));
    let isAway = true;
    const journal: Journal = {
      ...test.journal,
      head: () => (isAway ? away() : test.journal.head()),
      read: (...args) => (isAway ? away() : test.journal.read(...args)),
    };
    const replica = await start(test, { journal });
    isAway = false;
    await test.grow(2);
    await replica.follower.sync();
    await replica.keeper.settled();
    expect(replica.follower.trouble()).toBeUndefined();
    const copy = await readLocalCopy(folder, test.expectations);
    expect(copy?.position).toEqual(test.follower.position());
  });

  it('is there from genesis on when there is no checkpoint', async () => {
    const test = await createCheckpointJournal();
    await test.grow(2);
    await stop(await start(test));
    const copy = await readLocalCopy(folder, test.expectations);
    expect(copy?.checkpoint).toBeUndefined();
    expect(copy?.commits.length).toBe(test.follower.position().seq);
    expect(copy?.position).toEqual(test.follower.position());
  });

  it('is nothing where there is no folder', async () => {
    expect(await readLocalCopy(folder, { genesis: sha256('x') })).toBeUndefined();
  });

  it('takes a newer checkpoint of the store, and lets go of the older one', async () => {
    const test = await createCheckpointJournal();
    await test.grow(1);
    const older = await test.checkpoint();
    const running = await start(test, { rotateEvery: 5 });
    await test.grow(3);
    const newer = await test.checkpoint();
    await test.grow(3);
    await running.follower.sync();
    await running.keeper.settled();
    const copy = await readLocalCopy(folder, test.expectations);
    expect(copy?.manifest?.position).toEqual(newer.position);
    expect(copy?.position).toEqual(test.follower.position());
    const gone = checkpointBlobs(older).filter((digest) => !checkpointBlobs(newer).includes(digest));
    expect(gone.length).toBeGreaterThan(0);
    const names = await readdir(join(folder, 'blobs'));
    expect(names.toSorted()).toEqual(
      checkpointBlobs(newer)
        .map((digest) => digest.slice(7))
        .toSorted(),
    );
  });

  it('keeps the blobs that are needed, and no others', async () => {
    const test = await createCheckpointJournal();
    const [needed, other] = [await test.blobs.put(Buffer.from('a')), await test.blobs.put(Buffer.from('b'))];
    await test.grow(1);
    await stop(await start(test, { needed: [needed, other] }));
    await stop(await start(test, { needed: [needed] }));
    expect(await readdir(join(folder, 'blobs'))).toEqual([needed.slice(7)]);
  });

  it('is for the owner only', async () => {
    const test = await createCheckpointJournal();
    await test.grow(2);
    await test.checkpoint();
    await stop(await start(test));
    const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
    expect([await modeOf(folder), await modeOf(join(folder, 'blobs'))]).toEqual([0o700, 0o700]);
    const [blob = ''] = await readdir(join(folder, 'blobs'));
    for (const file of ['commits.jsonl', 'checkpoint.json', join('blobs', blob)]) {
      expect(await modeOf(join(folder, file))).toBe(0o600);
    }
  });
});

describe('a local copy that was torn', () => {
  async function aCopy(): Promise<CheckpointJournal> {
    const test = await createCheckpointJournal();
    await test.grow(1);
    await test.checkpoint();
    await stop(await start(test));
    const replica = await start(test);
    await test.grow(2);
    await replica.follower.sync();
    await replica.keeper.settled();
    await stop(replica);
    return test;
  }

  it('ends with the last whole commit, wherever it was cut, and is continued there', async () => {
    const test = await aCopy();
    const whole = await readFile(commitsFile());
    const full = await readLocalCopy(folder, test.expectations);
    for (const lost of [1, 2, 30, 400, 900, whole.length - 1, whole.length]) {
      await writeFile(commitsFile(), whole.subarray(0, whole.length - lost));
      const cut = await readLocalCopy(folder, test.expectations);
      expect(cut?.position.seq).toBeLessThan(full!.position.seq);
      expect(cut?.position.seq).toBeGreaterThanOrEqual(full!.manifest!.position.seq);
      await stop(await start(test));
      expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(full?.position);
    }
  });

  it('leaves out what a stranger has appended', async () => {
    const test = await aCopy();
    const full = await readLocalCopy(folder, test.expectations);
    await appendFile(commitsFile(), `${JSON.stringify({ id: 'x', entries: [] })}\n`);
    expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(full?.position);
    const strange = await createCheckpointJournal();
    await strange.grow(3);
    const [commit] = (await strange.journal.read(test.follower.position().seq, 1)) as [StoredCommit];
    await appendFile(commitsFile(), `${JSON.stringify(commit)}\n`);
    expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(full?.position);
  });

  it.each([
    ['its manifest is damaged', async () => truncate(join(folder, 'checkpoint.json'), 100)],
    [
      'a chunk is damaged',
      async () => {
        const [chunk = ''] = await readdir(join(folder, 'blobs'));
        await writeFile(join(folder, 'blobs', chunk), 'x');
      },
    ],
  ])('is not believed when %s, and is made anew from the store', async (_title, damage) => {
    const test = await aCopy();
    await damage();
    await expect(readLocalCopy(folder, test.expectations)).rejects.toMatchObject({ code: 'store_mismatch' });
    const replica = aReplica(test.journal, test.expectations);
    await replica.follower.sync();
    const deps = { ...test, ...replica };
    const keeper = keepLocalCopy({ ...deps, folder, needed: () => [] }, undefined);
    await keeper.close();
    expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(test.follower.position());
  });

  it('of another journal is not believed', async () => {
    await aCopy();
    const other = await createCheckpointJournal();
    await expect(readLocalCopy(folder, other.expectations)).rejects.toMatchObject({ code: 'store_mismatch' });
  });
});

describe('a store that has less than the local copy', () => {
  it('has diverged, and the copy stays as it is', async () => {
    const test = await createCheckpointJournal();
    await test.grow(2);
    const older = await test.journal.read(0, 1_000);
    await test.checkpoint();
    await test.grow(2);
    await stop(await start(test));
    const position = test.follower.position();

    const journal = createMemoryJournal(older);
    const replica = await start(test, { journal });
    expect(replica.restored).toBe(position.seq);
    await expect(replica.follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
    expect(folded(replica.follower)).toEqual(folded(test.follower));
    await stop(replica);
    expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(position);
  });
});

describe('a local copy that alone tells of what the store has lost', () => {
  /** a store that has lost the last entries of the copy, and has gone on without them */
  async function aLoss() {
    const test = await createCheckpointJournal();
    await test.grow(2);
    const older = await test.journal.read(0, 1_000);
    await test.checkpoint();
    await test.grow(1);
    await stop(await start(test));
    const copy = await readLocalCopy(folder, test.expectations);
    const journal = createMemoryJournal(older);
    const common = { journal, clock: systemClock, random: systemRandom, signingKey: test.signingKey };
    const writer = createWriter({ ...common, follower: aReplica(journal, test.expectations).follower });
    for (let index = 0; index < 20; index += 1) {
      const draft = { kind: 'settings.put', body: { settings: { defaultPolicy: `p${index}` } } } as const;
      const prepare = () => ({ drafts: [draft] as const, result: undefined });
      await writer.change({ id: `other-${index}`, actor: 'a', prepare }, AbortSignal.timeout(10_000));
    }
    return { test, copy: copy!, journal };
  }

  it('is not written over by a replica that has diverged', async () => {
    const { test, copy, journal } = await aLoss();
    const replica = aReplica(journal, test.expectations);
    await restoreState({ ...test, ...replica, journal, local: copy });
    // the copy has lost the thread as well, say of a disk that was full
    const deps = { ...test, ...replica, journal };
    const keeper = keepLocalCopy({ ...deps, folder, needed: () => [] }, undefined);
    await keeper.close();
    expect(replica.log.map(({ message }) => message)).toContain('the local copy is not kept');
    expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(copy.position);
  });

  it('is not touched before anything is applied', async () => {
    const { test, copy } = await aLoss();
    const replica = aReplica(test.journal, test.expectations);
    const keeper = keepLocalCopy({ ...test, ...replica, folder, needed: () => [] }, undefined);
    await keeper.close();
    expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(copy.position);
  });

  it.each(['does not have it', 'is away'])(
    'refuses the start when it cannot be used and the store %s',
    async (what) => {
      const { test, copy, journal } = await aLoss();
      const replica = aReplica(journal, test.expectations);
      const sections = copy.checkpoint!.sections.map((section) => ({ ...section, version: 99 }));
      const local = { ...copy, checkpoint: { ...copy.checkpoint!, sections } };
      const store = what === 'is away' ? { ...journal, ...AWAY } : journal;
      await expect(restoreState({ ...test, ...replica, journal: store, local })).rejects.toMatchObject({
        code: 'store_diverged',
      });
      // where the store has it, everything is read from there
      await restoreState({ ...test, ...replica, local });
      await replica.follower.close();
    },
  );
});

describe('a keeper of a local copy', () => {
  it('lets go of what was read of it at the start', async () => {
    const test = await createCheckpointJournal();
    await test.grow(2);
    await stop(await start(test));
    const replica = aReplica(test.journal, test.expectations);
    const begin = async (): Promise<WeakRef<object>> => {
      const local = await readLocalCopy(folder, test.expectations);
      await restoreState({ ...test, ...replica, local });
      const keeper = keepLocalCopy({ ...test, ...replica, folder, needed: () => [] }, local);
      keepers.push(keeper);
      await keeper.settled();
      return new WeakRef(local!);
    };
    const local = await begin();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await eventually('it is collected', () => {
      collect();
      return local.deref() === undefined;
    });
  });
});

describe('the folder of a local copy', () => {
  it('is closed to others when they could only read it', async () => {
    await mkdir(folder, { mode: 0o755 });
    await makePrivateFolder(folder);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it.each([0o770, 0o707, 0o777])('is refused when others can write it (%o)', async (mode) => {
    await mkdir(folder);
    await chmod(folder, mode);
    await expect(makePrivateFolder(folder)).rejects.toMatchObject({ code: 'store_mismatch' });
    expect((await stat(folder)).mode & 0o777).toBe(mode);
  });

  it('is refused when it is a link or a file', async () => {
    await symlink(join(folder, '..'), folder);
    await expect(makePrivateFolder(folder)).rejects.toMatchObject({ code: 'store_mismatch' });
    await rm(folder);
    await writeFile(folder, '');
    await expect(makePrivateFolder(folder)).rejects.toMatchObject({ code: 'store_mismatch' });
  });
});

describe('a local copy that cannot be written', () => {
  it('is said once and in the measures, and made whole when it can be', async () => {
    const test = await createCheckpointJournal();
    await test.grow(1);
    const replica = await start(test);
    // another process that has been given the same folder
    await appendFile(commitsFile(), 'x');
    await test.grow(1);
    await replica.follower.sync();
    await replica.keeper.settled();
    const complaints = replica.log.filter(({ message }) => message === 'the local copy is not kept');
    expect(complaints).toHaveLength(1);
    await test.grow(1);
    await replica.follower.sync();
    await replica.keeper.settled();
    expect((await readLocalCopy(folder, test.expectations))?.position).toEqual(test.follower.position());
  });
});
