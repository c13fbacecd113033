/** Shared state in the worker: plain synchronous steps. The write lock makes them atomic across processes. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Clock } from '../core/clock.ts';
import { MAX_LISTED, MAX_SHARED_KEYS, type SharedValue, tooManyKeys } from '../journal/shared.ts';
import { inTransaction, type OpenFileOptions, openDatabase } from './sqlite-file.ts';
import { SHARED_FORM } from './sqlite-forms.ts';

export interface SqliteSharedOptions extends OpenFileOptions {
  readonly clock: Clock;
  readonly maxKeys?: number;
}

type Kind = 'claim' | 'count' | 'value';

/** A write makes one row at most, and removes up to this many that are expired: the table cannot grow by them. */
const PURGED = 100;
/** After each character that a key may have */
const BEYOND_ASCII = '\x7f';

export class SqliteShared {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #maxKeys: number;
  readonly #live: StatementSync;
  readonly #known: StatementSync;
  readonly #size: StatementSync;
  readonly #set: StatementSync;
  readonly #replace: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;
  readonly #purge: StatementSync;

  /** @throws Failure as `openDatabase` */
  constructor({ clock, maxKeys = MAX_SHARED_KEYS, ...file }: SqliteSharedOptions) {
    this.#database = openDatabase(file, SHARED_FORM);
    this.#clock = clock;
    this.#maxKeys = maxKeys;
    const prepare = (sql: string): StatementSync => this.#database.prepare(sql);
    this.#live = prepare('SELECT value FROM shared WHERE kind = ? AND key = ? AND ends_at > ?');
    this.#known = prepare('SELECT 1 FROM shared WHERE kind = ? AND key = ?');
    this.#size = prepare('SELECT keys FROM size WHERE kind = ?');
    this.#set = prepare(
      `INSERT INTO shared (kind, key, value, ends_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, ends_at = excluded.ends_at`,
    );
    this.#replace = prepare('UPDATE shared SET value = ? WHERE kind = ? AND key = ?');
    this.#delete = prepare('DELETE FROM shared WHERE kind = ? AND key = ?');
    this.#list = prepare(
      `SELECT key, value FROM shared
       WHERE kind = 'value' AND key >= ? AND key < ? AND ends_at > ? ORDER BY key LIMIT ${MAX_LISTED}`,
    );
    this.#purge = prepare(
      `DELETE FROM shared WHERE (kind, key) IN
       (SELECT kind, key FROM shared WHERE kind = ? AND ends_at <= ? LIMIT ${PURGED})`,
    );
  }

  claim(key: string, ttlMs: number): boolean {
    return this.#write('claim', (nowMs) => {
      if (this.#live.get('claim', key, nowMs) !== undefined) return false;
      this.#insert('claim', key, null, nowMs + ttlMs);
      return true;
    });
  }

  add(key: string, windowMs: number, n: number): number {
    return this.#write('count', (nowMs) => {
      const before = this.#live.get('count', key, nowMs);
      const count = Math.min(Number(before?.['value'] ?? 0) + n, Number.MAX_SAFE_INTEGER);
      if (before === undefined) this.#insert('count', key, count, nowMs + windowMs);
      else this.#replace.run(count, 'count', key);
      return count;
    });
  }

  put(key: string, value: string, ttlMs: number): void {
    this.#write('value', (nowMs) => this.#insert('value', key, value, nowMs + ttlMs));
  }

  remove(key: string): void {
    this.#delete.run('value', key);
  }

  list(prefix: string): readonly SharedValue[] {
    const rows = this.#list.all(prefix, prefix + BEYOND_ASCII, this.#clock.nowMs());
    return rows.map((row) => ({ key: String(row['key']), value: String(row['value']) }));
  }

  close(): void {
    this.#database.close();
  }

  /** The time is read when the lock is there: who waited for it must not judge by an older one. */
  #write<T>(kind: Kind, work: (nowMs: number) => T): T {
    return inTransaction(this.#database, () => {
      const nowMs = this.#clock.nowMs();
      this.#purge.run(kind, nowMs);
      return work(nowMs);
    });
  }

  /** @throws Failure overloaded */
  #insert(kind: Kind, key: string, value: string | number | null, endsAtMs: number): void {
    const known = this.#known.get(kind, key) !== undefined;
    if (!known && Number(this.#size.get(kind)?.['keys']) >= this.#maxKeys) throw tooManyKeys();
    this.#set.run(kind, key, value, endsAtMs);
  }
}
