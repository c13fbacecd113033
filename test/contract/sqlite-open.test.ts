import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_HEAD } from '../../src/journal/journal.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aCommitChain } from '../support/journal-commits.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

describe('opening a store', () => {
  let path: string;
  let remove: () => Promise<void>;
  const stores: Store[] = [];
  beforeEach(async () => {
    ({ path, remove } = await aTemporaryPath('deep/er/journal.db'));
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await remove();
  });

  async function open(options: { create?: boolean; busyTimeoutMs?: number } = {}): Promise<Store> {
    const { create = false, ...tuning } = options;
    const store = await openStore({ sqlite: { path, ...tuning }, create }, silentLogger);
    stores.push(store);
    return store;
  }

  /** A file that something else than this program made. */
  function aDatabase(sql: string): void {
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
  }

  it('refuses a file that is not there, and does not make one', async () => {
    await expect(open()).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: expect.not.stringContaining(path),
    });
    expect(existsSync(path)).toBe(false);
  });

  it('makes the file when it is told to, for the owner only, and opens it again without', async () => {
    await open({ create: true });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
    const again = await open();
    expect(await again.journal.head()).toEqual(EMPTY_HEAD);
  });

  it('keeps what is there when it is told to create', async () => {
    const chain = aCommitChain();
    const first = await open({ create: true });
    await first.journal.append(chain.genesis.commit, EMPTY_HEAD);
    const second = await open({ create: true });
    expect(await second.journal.head()).toEqual(chain.head());
  });

  it('writes with synchronous FULL and WAL', async () => {
    const store = await open({ create: true });
    expect(await store.diagnose()).toMatchObject({
      synchronous: 2,
      journalMode: 'wal',
      busyTimeoutMs: 5_000,
    });
  });

  it.each([
    { what: 'an empty file', make: () => writeFileSync(path, '') },
    { what: 'a file that is no database', make: () => writeFileSync(path, 'no database '.repeat(500)) },
    { what: "somebody else's database", make: () => aDatabase('CREATE TABLE t (a)') },
  ])('refuses $what and leaves it as it is', async ({ make }) => {
    await remove();
    ({ path, remove } = await aTemporaryPath('journal.db'));
    make();
    const before = readFileSync(path);
    await expect(open()).rejects.toMatchObject({ code: 'store_mismatch' });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('does not put its tables into a database of somebody else when it is told to create', async () => {
    await remove();
    ({ path, remove } = await aTemporaryPath('journal.db'));
    aDatabase('CREATE TABLE t (a)');
    await expect(open({ create: true })).rejects.toMatchObject({ code: 'store_mismatch' });
  });

  it('refuses a store of a newer program', async () => {
    await (await open({ create: true })).close();
    aDatabase('PRAGMA user_version = 99');
    await expect(open()).rejects.toMatchObject({ code: 'journal_too_new' });
  });

  it('says store_unavailable while another process keeps the lock, and reads all the same', async () => {
    const chain = aCommitChain();
    const store = await open({ create: true, busyTimeoutMs: 20 });
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    await expect(store.journal.append(chain.genesis.commit, EMPTY_HEAD)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(await store.journal.head()).toEqual(EMPTY_HEAD);
    other.exec('ROLLBACK');
    other.close();
    await store.journal.append(chain.genesis.commit, EMPTY_HEAD);
    expect(await store.journal.head()).toEqual(chain.head());
  });

  it('begins the time of a blob anew when it is put again', async () => {
    const store = await open({ create: true });
    const digest = await store.blobs.put(Uint8Array.of(1));
    aDatabase('UPDATE blob_put SET at = 0');
    expect(await store.blobs.listOld(1, undefined, 10)).toEqual([digest]);
    await store.blobs.put(Uint8Array.of(1));
    expect(await store.blobs.listOld(1, undefined, 10)).toEqual([]);
  });

  it('lets the time of a blob begin when a file of a previous layout is opened', async () => {
    const digest = await (await open({ create: true })).blobs.put(Uint8Array.of(1));
    await stores.splice(0)[0]?.close();
    aDatabase('DROP TABLE base; DROP TABLE checkpoint; DROP TABLE blob_put; PRAGMA user_version = 2');
    const earlierMs = Date.now() - 1_000;
    const { blobs } = await open();
    expect(await blobs.listOld(earlierMs, undefined, 10)).toEqual([]);
    expect(await blobs.listOld((await blobs.nowMs()) + 1, undefined, 10)).toEqual([digest]);
  });

  it('takes no backup for a store, and no store for a backup', async () => {
    const backup = await openStore({ sqlite: { path }, create: true, backup: true }, silentLogger);
    await backup.close();
    await expect(open()).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: expect.stringMatching(/is a backup; `chancery store restore`/),
    });
    await remove();
    ({ path, remove } = await aTemporaryPath('journal.db'));
    await open({ create: true });
    await expect(openStore({ sqlite: { path }, backup: true }, silentLogger)).rejects.toMatchObject({
      code: 'store_mismatch',
      detail: 'the file is not a backup of Chancery',
    });
  });

  it('heals a damaged blob when the same bytes are put again', async () => {
    const store = await open({ create: true });
    const digest = await store.blobs.put(Uint8Array.of(1, 2));
    aDatabase(`UPDATE blob SET bytes = x'0103'`);
    await expect(store.blobs.get(digest)).rejects.toMatchObject({ code: 'store_mismatch' });
    await store.blobs.put(Uint8Array.of(1, 2));
    expect([...(await store.blobs.get(digest))]).toEqual([1, 2]);
  });
});
