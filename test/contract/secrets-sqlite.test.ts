import { existsSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_HEAD } from '../../src/journal/journal.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aCommitChain } from '../support/journal-commits.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

/** The file as it was before there were secrets. */
const LAYOUT_1 = `
  CREATE TABLE entry (
    seq INTEGER PRIMARY KEY, v INTEGER NOT NULL, epoch INTEGER NOT NULL, commit_id TEXT NOT NULL,
    commit_index INTEGER NOT NULL, commit_count INTEGER NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL,
    kind TEXT NOT NULL, schema INTEGER NOT NULL, body_digest TEXT NOT NULL, previous TEXT NOT NULL,
    digest TEXT NOT NULL, signature TEXT NOT NULL, salt BLOB, body BLOB, UNIQUE (commit_id, commit_index)
  ) STRICT;
  CREATE TABLE blob (digest TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;
  PRAGMA application_id = 1130914681;
  PRAGMA user_version = 1;
`;

describe('secrets in the file of a store', () => {
  let path: string;
  let remove: () => Promise<void>;
  const stores: Store[] = [];
  beforeEach(async () => {
    ({ path, remove } = await aTemporaryPath('journal.db'));
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await remove();
  });

  async function open(create = false, busyTimeoutMs = 50): Promise<Store> {
    const store = await openStore({ sqlite: { path, busyTimeoutMs }, create }, silentLogger);
    stores.push(store);
    return store;
  }

  /** Whether the bytes are anywhere in the files of the store. */
  function onDisk(bytes: Uint8Array): boolean {
    const files = [path, `${path}-wal`].filter((file) => existsSync(file));
    return files.some((file) => readFileSync(file).includes(bytes));
  }

  it('leave no byte of what was sealed behind when they are deleted or replaced and then deleted', async () => {
    const { sealedSecrets } = await open(true);
    const [first, second, other] = [
      Buffer.alloc(3_000, 'one'),
      Buffer.alloc(9_000, 'two'),
      Buffer.alloc(40, 'x'),
    ];
    await sealedSecrets.put('a', first);
    await sealedSecrets.put('a', second);
    await sealedSecrets.put('b', other);
    expect([first, second.subarray(0, 400), other].map(onDisk)).toEqual([true, true, true]);
    await sealedSecrets.delete('a');
    expect([first.subarray(0, 400), second.subarray(0, 400), other].map(onDisk)).toEqual([
      false,
      false,
      true,
    ]);
  });

  it('say store_unavailable when a reader keeps the old pages, and are erased by the next delete', async () => {
    const { sealedSecrets } = await open(true);
    const bytes = Buffer.alloc(100, 'secret');
    await sealedSecrets.put('a', bytes);
    const reader = new DatabaseSync(path);
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM secret').get();
    await expect(sealedSecrets.delete('a')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await sealedSecrets.get('a')).toBeUndefined();
    expect(onDisk(bytes)).toBe(true);
    reader.exec('COMMIT');
    reader.close();
    await sealedSecrets.delete('a');
    expect(onDisk(bytes)).toBe(false);
  });

  it('come to a file of the previous layout when it is opened, by several at once, and its entries stay', async () => {
    const chain = aCommitChain();
    const old = new DatabaseSync(path);
    old.exec(LAYOUT_1);
    old.close();
    const patient = (): Promise<Store> => open(false, 5_000);
    const opened = await Promise.all([patient(), patient(), patient()]);
    const [first, , last] = opened;
    await first?.journal.append(chain.genesis.commit, EMPTY_HEAD);
    await first?.sealedSecrets.put('a', Uint8Array.of(1));
    expect(await last?.journal.head()).toEqual(chain.head());
    expect(await last?.sealedSecrets.get('a')).toEqual(Uint8Array.of(1));
  });

  it('leave the entries of the previous layout as they were', async () => {
    const chain = aCommitChain();
    const store = await open(true);
    await store.journal.append(chain.genesis.commit, EMPTY_HEAD);
    await store.close();
    const entries = await entriesOf(path);
    const old = new DatabaseSync(path);
    const later = ['base', 'checkpoint', 'blob_put', 'secret'];
    old.exec(`${later.map((table) => `DROP TABLE ${table};`).join(' ')} PRAGMA user_version = 1;`);
    old.close();
    const { journal } = await open();
    expect(await journal.head()).toEqual(chain.head());
    expect(await entriesOf(path)).toEqual(entries);
  });
});

async function entriesOf(path: string): Promise<unknown> {
  const database = new DatabaseSync(path);
  try {
    return database.prepare('SELECT * FROM entry ORDER BY seq').all();
  } finally {
    database.close();
  }
}
