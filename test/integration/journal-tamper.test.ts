import { copyFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { EMPTY_HEAD } from '../../src/journal/journal.ts';
import { type VerifyStoreResult, verifyStore } from '../../src/journal/verify-store.ts';
import { openStore } from '../../src/store/open.ts';
import { COLUMNS } from '../../src/store/sqlite-columns.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aCommitChain } from '../support/journal-commits.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

const LAST = 8;

/** seq 1 genesis, 2–4 one commit, 5 refers to a blob, 6, 7–8 one commit */
describe('verifying a store that somebody has changed', () => {
  let path: string;
  let remove: () => Promise<void>;
  let genesis: Digest;
  let copies = 0;
  beforeAll(async () => {
    ({ path, remove } = await aTemporaryPath('journal.db'));
    const chain = aCommitChain();
    genesis = chain.genesis.genesisDigest;
    const store = await openStore({ sqlite: { path }, create: true }, silentLogger);
    const source = await store.blobs.put(Buffer.from('package envoy.authz'));
    await store.journal.append(chain.genesis.commit, EMPTY_HEAD);
    const bodies = [[{ a: 1 }, { a: 2 }, { a: 3 }], [{ source }], [{ b: 1 }], [{ c: 1 }, { c: 2 }]];
    for (const [index, group] of bodies.entries()) {
      const before = chain.head();
      await store.journal.append(chain.next(`commit-${index}`, ...group), before);
    }
    await store.close();
  });
  afterAll(() => remove());

  /** Changes a copy, and verifies that. */
  async function verifyAfter(sql: string): Promise<VerifyStoreResult> {
    copies += 1;
    const copy = `${path}.${copies}`;
    await copyFile(path, copy);
    const database = new DatabaseSync(copy);
    database.exec(sql);
    const { changes } = database.prepare('SELECT total_changes() AS changes').get() as { changes: number };
    database.close();
    expect(changes).toBe(sql === '' ? 0 : 1);
    const store = await openStore({ sqlite: { path: copy } }, silentLogger);
    try {
      return await verifyStore({ journal: store.journal, blobs: store.blobs, expectations: { genesis } });
    } finally {
      await store.close();
    }
  }

  it('finds nothing when nothing was changed', async () => {
    expect(await verifyAfter('')).toMatchObject({ ok: true, anchored: true, entries: LAST, problems: [] });
  });

  const INTEGERS = new Set<string>(['seq', 'v', 'epoch', 'commit_index', 'commit_count', 'schema']);
  const BLOBS = new Set<string>(['salt', 'body', 'bytes']);
  /** one bit of one byte, in the middle of a text or of bytes */
  const changed = (column: string): string => {
    if (INTEGERS.has(column)) return `(${column} | 64) - (${column} & 64)`;
    const middle = `length(${column}) / 2`;
    const [before, after] = [`substr(${column}, 1, ${middle})`, `substr(${column}, ${middle} + 2)`];
    const one = `substr(${column}, ${middle} + 1, 1)`;
    if (!BLOBS.has(column)) return `${before} || CASE ${one} WHEN 'b' THEN 'c' ELSE 'b' END || ${after}`;
    return `CAST(${before} || CASE ${one} WHEN x'62' THEN x'63' ELSE x'62' END || ${after} AS BLOB)`;
  };

  it.each(COLUMNS.flatMap((column) => [3, 6].map((seq) => ({ column, seq }))))(
    'names seq $seq when one byte of its $column has changed',
    async ({ column, seq }) => {
      const result = await verifyAfter(`UPDATE entry SET ${column} = ${changed(column)} WHERE seq = ${seq}`);
      expect(result.ok).toBe(false);
      expect(result.problems[0]?.seq).toBe(seq);
    },
  );

  it('names seq 1 when one byte of genesis has changed', async () => {
    const result = await verifyAfter(`UPDATE entry SET body = ${changed('body')} WHERE seq = 1`);
    expect(result.problems[0]?.seq).toBe(1);
  });

  it('names the seq that refers to a blob of which one byte has changed', async () => {
    const result = await verifyAfter(`UPDATE blob SET bytes = ${changed('bytes')}`);
    expect(result.problems.map(({ seq }) => seq)).toEqual([5]);
  });

  it('names the seq that refers to a blob that was removed', async () => {
    const result = await verifyAfter('DELETE FROM blob');
    expect(result.problems.map(({ seq }) => seq)).toEqual([5]);
  });

  it.each([2, 3, 4, 5, 6, 7])('names seq %i when its row was removed', async (seq) => {
    const result = await verifyAfter(`DELETE FROM entry WHERE seq = ${seq}`);
    expect(result.problems.map((problem) => problem.seq)).toEqual([seq]);
  });

  it('reports a body that was erased with its salt, and is not broken by it', async () => {
    const result = await verifyAfter('UPDATE entry SET body = NULL, salt = NULL WHERE seq = 6');
    expect(result).toMatchObject({ ok: true, erased: [6] });
  });

  it('reads a number that is too large for a double, and names its seq', async () => {
    const result = await verifyAfter('UPDATE entry SET epoch = 9223372036854775807 WHERE seq = 6');
    expect(result.problems.map(({ seq }) => seq)).toEqual([6]);
  });
});
