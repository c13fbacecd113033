/** Manifests of checkpoints in the worker. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { KEPT_CHECKPOINTS, type StoredCheckpoint } from '../journal/checkpoints.ts';
import { inTransaction } from './sqlite-file.ts';

const NEWEST = `SELECT epoch, seq, manifest FROM checkpoint ORDER BY epoch DESC, seq DESC LIMIT ${KEPT_CHECKPOINTS}`;

export class SqliteCheckpoints {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #latest: StatementSync;
  readonly #deleteOld: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#put = database.prepare(
      `INSERT INTO checkpoint (epoch, seq, manifest) VALUES (?, ?, ?)
       ON CONFLICT (epoch, seq) DO UPDATE SET manifest = excluded.manifest`,
    );
    this.#latest = database.prepare(NEWEST);
    this.#deleteOld = database.prepare(
      `DELETE FROM checkpoint WHERE (epoch, seq) NOT IN (SELECT epoch, seq FROM (${NEWEST}))`,
    );
  }

  put({ position: { epoch, seq }, manifest }: StoredCheckpoint): void {
    inTransaction(this.#database, () => {
      this.#put.run(epoch, seq, manifest);
      this.#deleteOld.run();
    });
  }

  latest(): readonly StoredCheckpoint[] {
    return this.#latest.all().map((row) => {
      const position = { epoch: Number(row['epoch']), seq: Number(row['seq']) };
      return { position, manifest: String(row['manifest']) };
    });
  }
}
