import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import { createMemoryShared } from '../../src/journal/memory-shared.ts';
import type { Shared } from '../../src/journal/shared.ts';
import { SqliteShared } from '../../src/store/sqlite-shared.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

interface Made {
  readonly shared: Shared;
  close(): Promise<void>;
}
type Make = (options: { clock: Clock; maxKeys: number }) => Promise<Made>;

const IMPLEMENTATIONS: Readonly<Record<string, Make>> = {
  memory: async (options) => ({ shared: createMemoryShared(options), close: async () => {} }),
  async SQLite(options) {
    const { path, remove } = await aTemporaryPath('shared.db');
    const tables = new SqliteShared({ path, busyTimeoutMs: 100, create: true, ...options });
    const shared: Shared = {
      claim: async (key, ttlMs) => tables.claim(key, ttlMs),
      add: async (key, windowMs, n) => tables.add(key, windowMs, n),
      put: async (key, value, ttlMs) => tables.put(key, value, ttlMs),
      remove: async (key) => tables.remove(key),
      list: async (prefix) => tables.list(prefix),
    };
    return {
      shared,
      async close() {
        tables.close();
        await remove();
      },
    };
  },
};

describe.each(Object.entries(IMPLEMENTATIONS))('what expires in shared state on %s', (_name, make) => {
  let nowMs: number;
  let made: Made;
  let shared: Shared;
  beforeEach(async () => {
    nowMs = 1_700_000_000_000;
    made = await make({ clock: { nowMs: () => nowMs }, maxKeys: 3 });
    ({ shared } = made);
  });
  afterEach(() => made.close());

  it('ends a claim at its time, not before', async () => {
    await shared.claim('a', 100);
    nowMs += 99;
    expect(await shared.claim('a', 100)).toBe(false);
    nowMs += 1;
    expect(await shared.claim('a', 100)).toBe(true);
  });

  it('counts in a window that begins with the first count', async () => {
    expect(await shared.add('a', 100, 1)).toBe(1);
    nowMs += 99;
    expect(await shared.add('a', 100, 1)).toBe(2);
    nowMs += 1;
    expect(await shared.add('a', 100, 1)).toBe(1);
  });

  it('ends a value at its time, which a later put moves', async () => {
    await shared.put('a', '1', 100);
    nowMs += 99;
    await shared.put('a', '2', 100);
    nowMs += 99;
    expect(await shared.list('')).toEqual([{ key: 'a', value: '2' }]);
    nowMs += 1;
    expect(await shared.list('')).toEqual([]);
  });

  it('refuses a key beyond the limit, changes those that are there, and has room when they have ended', async () => {
    for (const key of ['a', 'b', 'c']) {
      await shared.put(key, '', 100);
      await shared.add(key, 100, 1);
      await shared.claim(key, 100);
    }
    const overloaded = { code: 'overloaded' };
    await expect(shared.put('d', '', 100)).rejects.toMatchObject(overloaded);
    await expect(shared.add('d', 100, 1)).rejects.toMatchObject(overloaded);
    await expect(shared.claim('d', 100)).rejects.toMatchObject(overloaded);
    await shared.put('c', 'newer', 50);
    expect(await shared.add('c', 100, 1)).toBe(2);
    nowMs += 50;
    await shared.put('d', '', 100);
    expect((await shared.list('')).map(({ key }) => key)).toEqual(['a', 'b', 'd']);
    nowMs += 50;
    expect(await shared.add('d', 100, 1)).toBe(1);
    expect(await shared.claim('d', 100)).toBe(true);
  });
});

describe('the table of shared state', () => {
  it('loses a bounded number of rows that have ended with each write, and no others', async () => {
    const { path, remove } = await aTemporaryPath('shared.db');
    let nowMs = 1_700_000_000_000;
    const tables = new SqliteShared({
      path,
      busyTimeoutMs: 100,
      create: true,
      clock: { nowMs: () => nowMs },
    });
    const rows = new DatabaseSync(path);
    const count = (): number => Number(rows.prepare('SELECT count(*) AS n FROM shared').get()?.['n']);
    try {
      for (let n = 0; n < 250; n += 1) tables.put(`k${n}`, '', 10);
      tables.put('stays', '', 1_000);
      nowMs += 10;
      expect(tables.list('')).toEqual([{ key: 'stays', value: '' }]);
      expect(count()).toBe(251);
      const left = [1, 2, 3, 4].map(() => {
        tables.put('stays', '', 1_000);
        return count();
      });
      expect(left).toEqual([151, 51, 1, 1]);
    } finally {
      rows.close();
      tables.close();
      await remove();
    }
  });
});
