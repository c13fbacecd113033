/** What a process keeps its journal in: the store of the configuration, or a journal of its own in memory. */
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import type { Checkpoints } from '../journal/checkpoints.ts';
import { initJournal } from '../journal/init.ts';
import type { Blobs, CollectableBlobs, Journal } from '../journal/journal.ts';
import { createLocalBlobs, withLocalBlobs } from '../journal/local-blobs.ts';
import { BLOBS_FOLDER } from '../journal/local-copy.ts';
import { createMemoryBlobs, createMemoryJournal } from '../journal/memory-journal.ts';
import { createMemorySealedSecrets } from '../journal/memory-secrets.ts';
import { createMemoryShared } from '../journal/memory-shared.ts';
import { createSecrets, type Secrets } from '../journal/secrets.ts';
import { findSecretsKey, toSecretsKey } from '../journal/secrets-key.ts';
import type { Shared } from '../journal/shared.ts';
import { readSigningKeyFile, type SigningKey } from '../journal/signing-key.ts';
import { measureStore } from '../store/measured.ts';
import { openStore } from '../store/open.ts';
import type { Ambient } from './world.ts';

export interface Storage {
  readonly journal: Journal;
  readonly blobs: Blobs;
  readonly shared: Shared;
  /** only with a store: what is in memory only begins anew */
  readonly checkpoints?: Checkpoints;
  /** only with a store */
  readonly collectable?: CollectableBlobs;
  /** only where role admin is */
  readonly signingKey: SigningKey | undefined;
  /** only where role admin is, and a key for them */
  readonly secrets: Secrets | undefined;
  /** of an in-memory journal, which nobody could have pinned before */
  readonly genesis?: string;
  close(): Promise<void>;
}

/** @param mayBeAway  there is a local copy to start from */
export async function openStorage(config: Config, ambient: Ambient, mayBeAway = false): Promise<Storage> {
  const storage = await (config.store === undefined
    ? openMemory(config, ambient)
    : openConfigured(config, ambient, mayBeAway));
  return { ...storage, ...measureStore(storage, ambient.metrics) };
}

async function openConfigured(
  config: Config,
  { logger, random }: Ambient,
  mayBeAway: boolean,
): Promise<Storage> {
  const { store, journal } = config;
  if (store === undefined) throw new Failure('internal', 'there is no store in the configuration');
  const isAdmin = config.roles.includes('admin');
  const signingKey =
    isAdmin && journal.signingKeyFile !== undefined ? readSigningKeyFile(journal.signingKeyFile) : undefined;
  const secretsKey = signingKey && findSecretsKey(store.secretsKeyFile, journal.signingKeyFile ?? '');
  const opened = await openStore({ ...store, mayBeAway }, logger);
  const { shared, checkpoints, sealedSecrets: sealed } = opened;
  const { localCopy } = journal;
  const local = localCopy === undefined ? undefined : createLocalBlobs(join(localCopy, BLOBS_FOLDER));
  const blobs = local === undefined ? opened.blobs : withLocalBlobs(opened.blobs, local);
  const secrets = secretsKey && createSecrets({ sealed, key: secretsKey, random });
  const close = (): Promise<void> => opened.close();
  const parts = { journal: opened.journal, blobs, shared, checkpoints, collectable: opened.blobs };
  return { ...parts, signingKey, secrets, close };
}

/** The keys are thrown away at the end, and so is what they signed and sealed. */
async function openMemory(config: Config, { clock, random }: Ambient): Promise<Storage> {
  const journal = createMemoryJournal();
  const { instance = 'chancery', environment = 'memory' } = config.journal;
  const { genesisDigest, signingKey } = await initJournal({
    journal,
    instance,
    environment,
    development: false,
    clock,
    random,
  });
  return {
    journal,
    blobs: createMemoryBlobs(),
    shared: createMemoryShared({ clock }),
    signingKey,
    secrets: createSecrets({
      sealed: createMemorySealedSecrets(),
      key: toSecretsKey(random(32)),
      random,
    }),
    genesis: genesisDigest,
    close: () => journal.close(),
  };
}
