/** Journal, Blobs, Secrets and Shared on SQLite (`node:sqlite`), by way of a thread of their own. */
import { expectBlobSize } from '../journal/append-rules.ts';
import type { Checkpoints } from '../journal/checkpoints.ts';
import type { CollectableBlobs, Journal } from '../journal/journal.ts';
import type { SealedSecrets } from '../journal/secrets.ts';
import {
  expectSharedCount,
  expectSharedKey,
  expectSharedPrefix,
  expectSharedTime,
  expectSharedValue,
  type Shared,
} from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type SqliteClient, startSqliteClient } from './sqlite-client.ts';
import type { SqliteDiagnosis, WorkerSettings } from './sqlite-protocol.ts';

export interface SqliteStore {
  readonly journal: Journal;
  readonly blobs: CollectableBlobs;
  readonly sealedSecrets: SealedSecrets;
  readonly shared: Shared;
  readonly checkpoints: Checkpoints;
  /** facts about the connection that writes */
  diagnose(): Promise<SqliteDiagnosis>;
  close(): Promise<void>;
}

export async function openSqliteStore(settings: WorkerSettings, logger: Logger): Promise<SqliteStore> {
  const hints = new Set<() => void>();
  const tellAll = (): void => {
    for (const hint of hints) hint();
  };
  const watch = (client: SqliteClient): void => {
    // a hint may be lost: the poll of the follower is what must not fail
    client.call('watch', { on: hints.size > 0 }).catch((error: unknown) => {
      logger.debug({ error }, 'the store is not watched');
    });
  };
  const client = await startSqliteClient({ settings, logger, onHint: tellAll, onOpened: watch });
  return {
    journal: createJournal(client, hints, { tellAll, watch: () => watch(client) }),
    blobs: createBlobs(client),
    sealedSecrets: createSealedSecrets(client),
    shared: createShared(client),
    checkpoints: createCheckpoints(client),
    diagnose: () => client.call('diagnose', {}),
    close: () => client.close(),
  };
}

interface Hinting {
  readonly tellAll: () => void;
  /** tells the worker whether anybody follows */
  readonly watch: () => void;
}

function createJournal(client: SqliteClient, hints: Set<() => void>, { tellAll, watch }: Hinting): Journal {
  return {
    async append(commit, expectedHead) {
      const position = await client.call('append', { commit, expectedHead });
      tellAll();
      return position;
    },
    find: (id) => client.call('find', { id }),
    read: (afterSeq, limit) => client.call('read', { afterSeq, limit }),
    head: () => client.call('head', {}),
    base: () => client.call('base', {}),
    beginAfter: (base) => client.call('beginAfter', { base }),
    follow(onHint, signal) {
      if (signal.aborted) return;
      // one function of its own per call: the same one may follow twice
      const hint = (): void => onHint();
      hints.add(hint);
      if (hints.size === 1) watch();
      signal.addEventListener(
        'abort',
        () => {
          hints.delete(hint);
          if (hints.size === 0) watch();
        },
        { once: true },
      );
    },
    close: () => client.close(),
  };
}

function createBlobs(client: SqliteClient): CollectableBlobs {
  return {
    async put(bytes) {
      expectBlobSize(bytes);
      // a copy of its own can be handed over; the caller's may be a part of a larger buffer
      const copy = Uint8Array.from(bytes);
      return client.call('putBlob', { bytes: copy }, [copy.buffer]);
    },
    get: (digest) => client.call('getBlob', { digest }),
    nowMs: () => client.call('blobTime', {}),
    listOld: (sinceMs, after, limit) => client.call('listOldBlobs', { sinceMs, after, limit }),
    deleteOld: (digests, sinceMs) => client.call('deleteOldBlobs', { digests, sinceMs }),
  };
}

function createSealedSecrets(client: SqliteClient): SealedSecrets {
  return {
    put: (secret, sealed) => client.call('putSecret', { secret, sealed }),
    get: (secret) => client.call('getSecret', { secret }),
    delete: (secret) => client.call('deleteSecret', { secret }),
    names: (after, limit) => client.call('secretNames', { after, limit }),
  };
}

function createCheckpoints(client: SqliteClient): Checkpoints {
  return {
    put: (checkpoint) => client.call('putCheckpoint', { checkpoint }),
    latest: () => client.call('latestCheckpoints', {}),
  };
}

function createShared(client: SqliteClient): Shared {
  return {
    async claim(key, ttlMs) {
      expectSharedKey(key);
      expectSharedTime(ttlMs);
      return client.call('claim', { key, ttlMs });
    },
    async add(key, windowMs, n) {
      expectSharedKey(key);
      expectSharedTime(windowMs);
      expectSharedCount(n);
      return client.call('add', { key, windowMs, n });
    },
    async put(key, value, ttlMs) {
      expectSharedKey(key);
      expectSharedValue(value);
      expectSharedTime(ttlMs);
      await client.call('putShared', { key, value, ttlMs });
    },
    async remove(key) {
      expectSharedKey(key);
      await client.call('removeShared', { key });
    },
    async list(prefix) {
      expectSharedPrefix(prefix);
      return client.call('listShared', { prefix });
    },
  };
}
