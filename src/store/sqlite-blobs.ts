/** Blobs in the worker. When each was put last is in a table of its own: a change of it would write the bytes anew. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Digest, sha256, ZERO_DIGEST } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { DeletedBlobs } from '../journal/journal.ts';
import { inTransaction } from './sqlite-file.ts';

export class SqliteBlobs {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #renew: StatementSync;
  readonly #get: StatementSync;
  readonly #listOld: StatementSync;
  readonly #deleteOld: StatementSync;
  readonly #deleteBytes: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    // a blob that was damaged is healed when the same bytes come again
    this.#put = database.prepare(
      `INSERT INTO blob (digest, bytes) VALUES (?, ?)
       ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes`,
    );
    this.#renew = database.prepare(
      `INSERT INTO blob_put (digest, at) VALUES (?, ?)
       ON CONFLICT (digest) DO UPDATE SET at = excluded.at`,
    );
    this.#get = database.prepare('SELECT bytes FROM blob WHERE digest = ?');
    this.#listOld = database.prepare(
      'SELECT digest FROM blob_put WHERE digest > ? AND at < ? ORDER BY digest LIMIT ?',
    );
    this.#deleteOld = database.prepare('DELETE FROM blob_put WHERE digest = ? AND at < ?');
    this.#deleteBytes = database.prepare(
      'DELETE FROM blob WHERE digest = ? RETURNING length(bytes) AS value',
    );
  }

  put(bytes: Uint8Array): Digest {
    const digest = sha256(bytes);
    inTransaction(this.#database, () => {
      this.#put.run(digest, bytes);
      this.#renew.run(digest, Date.now());
    });
    return digest;
  }

  get(digest: Digest): Uint8Array {
    const bytes = this.#get.get(digest)?.['bytes'];
    if (!(bytes instanceof Uint8Array)) {
      throw new Failure('not_found', 'there is no blob with this digest');
    }
    if (sha256(bytes) !== digest) {
      throw new Failure('store_mismatch', 'the bytes of the blob are not those of its digest');
    }
    return bytes;
  }

  listOld(sinceMs: number, after: Digest = ZERO_DIGEST, limit: number): readonly Digest[] {
    const rows = this.#listOld.all(after, sinceMs, limit);
    return rows.map((row) => String(row['digest']) as Digest);
  }

  deleteOld(digests: readonly Digest[], sinceMs: number): DeletedBlobs {
    return inTransaction(this.#database, () => {
      const old = digests.filter((digest) => this.#deleteOld.run(digest, sinceMs).changes === 1);
      const sizes = old.map((digest) => Number(this.#deleteBytes.get(digest)?.['value'] ?? 0));
      return { blobs: old.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
    });
  }
}
