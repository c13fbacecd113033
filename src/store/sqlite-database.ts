/** What the worker does with the database: plain synchronous steps, one transaction where it writes. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { expectAppendable, samePosition } from '../journal/append-rules.ts';
import { type CommitId, EMPTY_HEAD, type StoredCommit, type StoredEntry } from '../journal/journal.ts';
import { COLUMNS, toColumns, toStoredEntry } from './sqlite-columns.ts';
import { inTransaction, openDatabase, readInteger } from './sqlite-file.ts';
import { STORE_FORM } from './sqlite-forms.ts';
import type { SqliteDiagnosis, WorkerSettings } from './sqlite-protocol.ts';
import { SqliteSecrets } from './sqlite-secrets.ts';

/** A read ends after this many bytes of bodies, as after `limit` entries, but never within a commit. */
const MAX_READ_BYTES = 8 * 1_048_576;

type Row = Record<string, SQLOutputValue>;

export class SqliteDatabase {
  readonly secrets: SqliteSecrets;
  readonly #database: DatabaseSync;
  readonly #head: StatementSync;
  readonly #find: StatementSync;
  readonly #commitAt: StatementSync;
  readonly #read: StatementSync;
  readonly #insert: StatementSync;
  readonly #putBlob: StatementSync;
  readonly #getBlob: StatementSync;
  readonly #version: StatementSync;

  /** @throws Failure as `openDatabase` */
  constructor({ options, create }: WorkerSettings) {
    const { path, busyTimeoutMs } = options;
    this.#database = openDatabase({ path, busyTimeoutMs, create }, STORE_FORM);
    this.secrets = new SqliteSecrets(this.#database);
    const prepare = (sql: string): StatementSync => this.#database.prepare(sql);
    this.#head = prepare('SELECT epoch, seq, digest FROM entry ORDER BY seq DESC LIMIT 1');
    this.#find = prepare(
      'SELECT epoch, seq, digest FROM entry WHERE commit_id = ? ORDER BY commit_index DESC LIMIT 1',
    );
    this.#commitAt = prepare('SELECT commit_id FROM entry WHERE seq = ?');
    this.#read = prepare(`SELECT ${COLUMNS.join(', ')} FROM entry WHERE seq > ? ORDER BY seq`);
    // a damaged number may be too large for a double; as a bigint it can be read, and then does not verify
    this.#read.setReadBigInts(true);
    this.#insert = prepare(
      `INSERT INTO entry (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map((column) => `:${column}`).join(', ')})`,
    );
    // a blob that was damaged is healed when the same bytes come again
    this.#putBlob = prepare(
      `INSERT INTO blob (digest, bytes) VALUES (?, ?)
       ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes`,
    );
    this.#getBlob = prepare('SELECT bytes FROM blob WHERE digest = ?');
    this.#version = prepare('SELECT data_version AS value FROM pragma_data_version');
  }

  head(): Position {
    return toPosition(this.#head.get()) ?? EMPTY_HEAD;
  }

  find(id: CommitId): Position | undefined {
    return toPosition(this.#find.get(id));
  }

  append(commit: StoredCommit, expectedHead: Position): Position {
    expectAppendable(commit, expectedHead);
    return inTransaction(
      this.#database,
      () => this.find(commit.id) ?? this.#insertAfter(commit, expectedHead),
    );
  }

  #insertAfter(commit: StoredCommit, expectedHead: Position): Position {
    if (!samePosition(this.head(), expectedHead)) {
      throw new Failure('object_changed', 'the head of the journal has moved');
    }
    for (const stored of commit.entries) this.#insert.run(toColumns(stored));
    return this.head();
  }

  /**
   * Neighbours with one commit id are one commit; whether it has all its entries is for the verifier. What is left
   * of a commit that `afterSeq` stands in does not begin after it and is left out.
   */
  read(afterSeq: number, limit: number): readonly StoredCommit[] {
    const skipped = this.#commitAt.get(afterSeq)?.['commit_id'];
    const commits: { id: CommitId; entries: StoredEntry[] }[] = [];
    let entries = 0;
    let bytes = 0;
    for (const row of this.#read.iterate(afterSeq)) {
      const stored = toStoredEntry(row);
      const { id } = stored.entry.commit;
      if (commits.length === 0 && id === skipped) continue;
      entries += 1;
      bytes += stored.body?.length ?? 0;
      const full = entries > limit || bytes > MAX_READ_BYTES;
      const last = commits.at(-1);
      if (last?.id === id) last.entries.push(stored);
      else if (full && last !== undefined) return commits;
      else commits.push({ id, entries: [stored] });
      if (entries > limit && commits.length > 1) return commits.slice(0, -1);
    }
    return commits;
  }

  putBlob(bytes: Uint8Array): Digest {
    const digest = sha256(bytes);
    this.#putBlob.run(digest, bytes);
    return digest;
  }

  getBlob(digest: Digest): Uint8Array {
    const bytes = this.#getBlob.get(digest)?.['bytes'];
    if (!(bytes instanceof Uint8Array)) {
      throw new Failure('not_found', 'there is no blob with this digest');
    }
    if (sha256(bytes) !== digest) {
      throw new Failure('store_mismatch', 'the bytes of the blob are not those of its digest');
    }
    return bytes;
  }

  /** Another number than before when another connection has written. */
  dataVersion(): number {
    return Number(this.#version.get()?.['value']);
  }

  diagnose(): SqliteDiagnosis {
    const text = (sql: string): string => String(this.#database.prepare(sql).get()?.['value']);
    return {
      sqliteVersion: text('SELECT sqlite_version() AS value'),
      journalMode: text('SELECT journal_mode AS value FROM pragma_journal_mode'),
      synchronous: readInteger(this.#database, 'SELECT synchronous AS value FROM pragma_synchronous'),
      busyTimeoutMs: readInteger(this.#database, 'SELECT timeout AS value FROM pragma_busy_timeout'),
    };
  }

  close(): void {
    this.#database.close();
  }
}

function toPosition(row: Row | undefined): Position | undefined {
  if (row === undefined) return undefined;
  return { epoch: Number(row['epoch']), seq: Number(row['seq']), digest: String(row['digest']) as Digest };
}
