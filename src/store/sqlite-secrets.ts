/** Sealed secrets in the worker. The bytes are sealed before they come here, and opened after they have left. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Failure } from '../core/failure.ts';

export class SqliteSecrets {
  readonly #put: StatementSync;
  readonly #get: StatementSync;
  readonly #delete: StatementSync;
  readonly #names: StatementSync;
  readonly #checkpoint: StatementSync;

  constructor(database: DatabaseSync) {
    this.#put = database.prepare(
      `INSERT INTO secret (name, sealed) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed`,
    );
    this.#get = database.prepare('SELECT sealed FROM secret WHERE name = ?');
    this.#delete = database.prepare('DELETE FROM secret WHERE name = ?');
    this.#names = database.prepare('SELECT name FROM secret WHERE name > ? ORDER BY name LIMIT ?');
    this.#checkpoint = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  put(name: string, sealed: Uint8Array): void {
    this.#put.run(name, sealed);
  }

  get(name: string): Uint8Array | undefined {
    const sealed = this.#get.get(name)?.['sealed'];
    return sealed instanceof Uint8Array ? sealed : undefined;
  }

  names(after: string, limit: number): readonly string[] {
    return this.#names.all(after, limit).map((row) => String(row['name']));
  }

  /** `secure_delete` overwrites the row in its page; the page as it was is in the WAL until that is emptied. */
  delete(name: string): void {
    this.#delete.run(name);
    if (this.#checkpoint.get()?.['busy'] !== 0) {
      throw new Failure(
        'store_unavailable',
        'the secret is gone, but a reader still keeps it: delete it again',
      );
    }
  }
}
