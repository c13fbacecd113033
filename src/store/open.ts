import type { Checkpoints } from '../journal/checkpoints.ts';
import type { CollectableBlobs, Journal } from '../journal/journal.ts';
import type { SealedSecrets } from '../journal/secrets.ts';
import type { Shared } from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import { SQLITE_DEFAULTS, type SqliteOptions } from './options.ts';
import type { SqliteDiagnosis } from './sqlite-protocol.ts';
import { openSqliteStore } from './sqlite-store.ts';

export interface OpenStoreOptions {
  readonly sqlite: Pick<SqliteOptions, 'path'> & Partial<SqliteOptions>;
  /** Make the file when there is none: for `init` and `dev` only. Default false. */
  readonly create?: boolean;
  /** The file is a backup, which is no store to serve from; with `create`, it is to be one. Default false. */
  readonly backup?: boolean;
  /** Calls of a store that cannot be reached now fail (store_unavailable) until it is there. Default false. */
  readonly mayBeAway?: boolean;
}

export interface Store {
  readonly journal: Journal;
  readonly blobs: CollectableBlobs;
  /** for `createSecrets`, with the key of the configuration */
  readonly sealedSecrets: SealedSecrets;
  readonly shared: Shared;
  readonly checkpoints: Checkpoints;
  /** facts about the connection that writes, for operators and tests */
  diagnose(): Promise<SqliteDiagnosis>;
  close(): Promise<void>;
}

/**
 * Opens the store of a journal. It may still be empty: whose it is, the follower finds out. Its thread keeps the
 * process alive until `close`.
 *
 * @throws Failure store_mismatch  when there is none (and `create` is not set), or the file is something else;
 *         journal_too_new when a newer program made it; store_unavailable
 */
export async function openStore(options: OpenStoreOptions, logger: Logger): Promise<Store> {
  const { create = false, backup = false, mayBeAway = false } = options;
  const settings = { options: { ...SQLITE_DEFAULTS, ...options.sqlite }, create, backup, mayBeAway };
  return openSqliteStore(settings, logger.child({ room: 'store' }));
}
