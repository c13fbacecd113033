import { cp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../src/core/failure.ts';
import { EMPTY_HEAD } from '../../src/journal/journal.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { aCommitChain, type CommitChain, endOf } from '../support/journal-commits.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

/** An operator does what one may do with files while a process has them open. */
describe('a SQLite store whose file is replaced under a running process', () => {
  let path: string;
  let remove: () => Promise<void>;
  let chain: CommitChain;
  const opened: Store[] = [];

  const open = async (at = path): Promise<Store> => {
    const store = await openStore({ sqlite: { path: at, watchMs: 20 } }, silentLogger);
    opened.push(store);
    return store;
  };
  const append = async (store: Store, id: string, size = 1): Promise<void> => {
    const before = chain.head();
    await store.journal.append(chain.next(id, { filling: 'x'.repeat(size) }), before);
  };

  /** `older` is a copy of it with the commits up to c9; the store has more, partly in its log only */
  beforeEach(async () => {
    ({ path, remove } = await aTemporaryPath('journal.db'));
    chain = aCommitChain();
    const store = await openStore({ sqlite: { path }, create: true }, silentLogger);
    await store.journal.append(chain.genesis.commit, EMPTY_HEAD);
    for (let n = 0; n < 10; n += 1) await append(store, `c${n}`, 3000);
    await store.close();
    await cp(path, `${path}.older`);
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    await remove();
  });

  const older = () => endOf(chain.commits[10]!);
  const replace = async (): Promise<void> => {
    await rename(path, `${path}.away`);
    await cp(`${path}.older`, path);
  };
  const isSound = (at: string): unknown => {
    const database = new DatabaseSync(at);
    const { integrity_check: result } = database.prepare('PRAGMA integrity_check').get()!;
    database.close();
    return result;
  };

  it('is read anew from the file that is there, and nothing of the log of the other one is in it', async () => {
    const store = await open();
    for (let n = 0; n < 20; n += 1) await append(store, `more${n}`, 3000);
    await replace();
    expect(await store.journal.head()).toEqual(older());
    expect((await store.journal.read(0, 100)).map(endOf).at(-1)).toEqual(older());
    await store.close();
    expect(isSound(path)).toBe('ok');
  });

  it('leaves a file that was moved away with everything that was acknowledged, in itself', async () => {
    const store = await open();
    for (let n = 0; n < 20; n += 1) await append(store, `more${n}`, 3000);
    const head = chain.head();
    await replace();
    await store.journal.head();
    const away = await open(`${path}.away`);
    expect(await away.journal.head()).toEqual(head);
    await away.close();
    expect(isSound(`${path}.away`)).toBe('ok');
  });

  it('is the new one for each of several processes, whoever notices first', async () => {
    const stores = [await open(), await open(), await open()] as const;
    await append(stores[0], 'more');
    const before = older();
    await replace();
    for (const store of stores) expect(await store.journal.head()).toEqual(before);
    const fork = aForkAfter(chain);
    await stores[2].journal.append(fork, before);
    for (const store of stores) expect(await store.journal.head()).toEqual(endOf(fork));
    await Promise.all(stores.map((store) => store.close()));
    expect(isSound(path)).toBe('ok');
  });

  it('is away while there is no file, and there again when it was put back', async () => {
    const store = await open();
    await append(store, 'more');
    await rename(path, `${path}.away`);
    await expect(store.journal.head()).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(append(store, 'lost')).rejects.toMatchObject({ code: 'store_unavailable' });
    (chain.commits as unknown[]).pop();
    await rename(`${path}.away`, path);
    expect(await store.journal.head()).toEqual(chain.head());
    await append(store, 'again');
    expect(await store.journal.find('again')).toEqual(chain.head());
  });

  it('is away when it was deleted, and no file is made in its place', async () => {
    const store = await open();
    for (const suffix of ['', '-wal', '-shm']) await rm(`${path}${suffix}`);
    await expect(store.journal.head()).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('tells its followers to look', async () => {
    const store = await open();
    let hints = 0;
    store.journal.follow(() => {
      hints += 1;
    }, AbortSignal.timeout(60_000));
    await store.journal.head();
    await replace();
    await eventually('there is a hint', () => hints > 0);
  });

  it('answers no append that went into the file that was moved away', async () => {
    const store = await open();
    let outcome: unknown;
    // the append has to be under way when the file goes: later each time, until it was
    for (let waitMs = 0; outcome !== 'store_unavailable' && waitMs < 2_000; waitMs = waitMs * 2 + 1) {
      const other = new DatabaseSync(path);
      other.exec('BEGIN IMMEDIATE');
      const before = await store.journal.head();
      const commit = chain.next(`racing${waitMs}`, {});
      const appended = store.journal.append(commit, before).then(
        () => 'acknowledged',
        (thrown: unknown) => Failure.from(thrown).code,
      );
      await sleep(waitMs);
      await replace();
      other.exec('ROLLBACK');
      other.close();
      outcome = await appended;
      expect(outcome).not.toBe('acknowledged');
      expect(await store.journal.find(commit.id)).toBeUndefined();
      (chain.commits as unknown[]).length = 11;
    }
    expect(outcome).toBe('store_unavailable');
  });
});

describe('a SQLite store beside the log of another file', () => {
  let path: string;
  let remove: () => Promise<void>;
  beforeEach(async () => {
    ({ path, remove } = await aTemporaryPath('journal.db'));
  });
  afterEach(() => remove());

  /** What a process leaves that was killed: its file, and a log with something in it. */
  async function killed(): Promise<CommitChain> {
    const chain = aCommitChain();
    const store = await openStore({ sqlite: { path }, create: true }, silentLogger);
    await cp(path, `${path}.older`);
    await store.journal.append(chain.genesis.commit, EMPTY_HEAD);
    await cp(`${path}-wal`, `${path}.log`);
    await store.close();
    await rename(`${path}.log`, `${path}-wal`);
    return chain;
  }

  it.each([
    { how: 'moved away', go: () => rename(path, `${path}.away`) },
    { how: 'deleted', go: () => rm(path) },
  ])('refuses to read it into another one, where the file of the log was $how', async ({ go }) => {
    await killed();
    await go();
    await cp(`${path}.older`, path);
    await expect(openStore({ sqlite: { path } }, silentLogger)).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: expect.stringMatching(/write-ahead log .* belongs to another file/),
    });
    await rm(`${path}-wal`);
    const store = await openStore({ sqlite: { path } }, silentLogger);
    expect(await store.journal.head()).toEqual(EMPTY_HEAD);
    await store.close();
  });

  it('reads its own', async () => {
    const chain = await killed();
    const store = await openStore({ sqlite: { path } }, silentLogger);
    expect(await store.journal.head()).toEqual(chain.head());
    await store.close();
  });

  it('opens a whole folder that was copied once it is told so', async () => {
    const chain = await killed();
    const copy = join(dirname(path), 'copied', 'journal.db');
    for (const suffix of ['', '-wal', '-inode']) await cp(`${path}${suffix}`, `${copy}${suffix}`);
    await expect(openStore({ sqlite: { path: copy } }, silentLogger)).rejects.toMatchObject({
      code: 'store_mismatch',
    });
    await rm(`${copy}-inode`);
    const store = await openStore({ sqlite: { path: copy } }, silentLogger);
    expect(await store.journal.head()).toEqual(chain.head());
    await store.close();
  });
});

/** One more entry after c9, as if what came later had never been. */
function aForkAfter(chain: CommitChain) {
  (chain.commits as unknown[]).length = 11;
  return chain.next('fork', { other: true });
}
