/** What the worker does with the database: plain synchronous steps, one transaction where it writes. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { cannotBegin, expectAppendable, samePosition } from '../journal/append-rules.ts';
import {
  type CommitId,
  EMPTY_HEAD,
  type JournalBase,
  type StoredCommit,
  type StoredEntry,
} from '../journal/journal.ts';
import { MAX_READ_BYTES } from '../journal/limits.ts';
import { SqliteBlobs } from './sqlite-blobs.ts';
import { SqliteCheckpoints } from './sqlite-checkpoints.ts';
import { COLUMNS, toColumns, toStoredEntry } from './sqlite-columns.ts';
import { inTransaction, openDatabase, readInteger } from './sqlite-file.ts';
import { BACKUP_FORM, STORE_FORM } from './sqlite-forms.ts';
import { openInPlace, type SqlitePlace } from './sqlite-place.ts';
import type { SqliteDiagnosis, WorkerSettings } from './sqlite-protocol.ts';
import { SqliteSecrets } from './sqlite-secrets.ts';

type Row = Record<string, SQLOutputValue>;

export class SqliteDatabase {
  readonly blobs: SqliteBlobs;
  readonly checkpoints: SqliteCheckpoints;
  readonly secrets: SqliteSecrets;
  readonly #database: DatabaseSync;
  readonly #place: SqlitePlace;
  readonly #head: StatementSync;
  readonly #find: StatementSync;
  readonly #commitAt: StatementSync;
  readonly #read: StatementSync;
  readonly #insert: StatementSync;
  readonly #base: StatementSync;
  readonly #begin: StatementSync;
  readonly #endAt: StatementSync;
  readonly #deleteThrough: StatementSync;
  readonly #version: StatementSync;

  /** @throws Failure as `openDatabase` */
  constructor({ options, create, backup = false }: WorkerSettings) {
    const { path, busyTimeoutMs } = options;
    const open = (): DatabaseSync =>
      openDatabase({ path, busyTimeoutMs, create }, backup ? BACKUP_FORM : STORE_FORM);
    ({ database: this.#database, place: this.#place } = openInPlace(path, open, !backup));
    this.blobs = new SqliteBlobs(this.#database);
    this.checkpoints = new SqliteCheckpoints(this.#database);
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
    this.#base = prepare('SELECT epoch, seq, digest, manifest FROM base');
    this.#begin = prepare(
      'INSERT OR REPLACE INTO base (id, epoch, seq, digest, manifest) VALUES (1, ?, ?, ?, ?)',
    );
    this.#endAt = prepare(
      'SELECT epoch, seq, digest FROM entry WHERE seq = ? AND commit_index = commit_count - 1',
    );
    this.#deleteThrough = prepare('DELETE FROM entry WHERE seq <= ?');
    this.#version = prepare('SELECT data_version AS value FROM pragma_data_version');
  }

  head(): Position {
    return toPosition(this.#head.get()) ?? this.base()?.position ?? EMPTY_HEAD;
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

  base(): JournalBase | undefined {
    const row = this.#base.get();
    const position = toPosition(row);
    return position && { position, manifest: String(row?.['manifest']) };
  }

  beginAfter(base: JournalBase): void {
    const { epoch, seq, digest } = base.position;
    inTransaction(this.#database, () => {
      const end = toPosition(this.#endAt.get(seq));
      const isThere = end !== undefined && samePosition(end, base.position) && this.head().seq > seq;
      if (!isThere && !samePosition(this.head(), EMPTY_HEAD)) throw cannotBegin(base);
      this.#deleteThrough.run(seq);
      this.#begin.run(epoch, seq, digest, base.manifest);
    });
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

  /** The file at the path is still the one that this has open. */
  isInPlace(): boolean {
    return this.#place.isStill();
  }

  /** Closes it, when it is no longer the one at the path. */
  leave(): void {
    this.#place.leave(this.#database);
  }

  close(): void {
    this.#database.close();
  }
}

function toPosition(row: Row | undefined): Position | undefined {
  if (row === undefined) return undefined;
  return { epoch: Number(row['epoch']), seq: Number(row['seq']), digest: String(row['digest']) as Digest };
}
