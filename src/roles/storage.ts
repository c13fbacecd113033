/** What a process keeps its journal in: the store of the configuration, or a journal of its own in memory. */
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { initJournal } from '../journal/init.ts';
import type { Blobs, Journal } from '../journal/journal.ts';
import { createMemoryBlobs, createMemoryJournal } from '../journal/memory-journal.ts';
import { createMemoryShared } from '../journal/memory-shared.ts';
import type { Shared } from '../journal/shared.ts';
import { readSigningKeyFile, type SigningKey } from '../journal/signing-key.ts';
import { openStore } from '../store/open.ts';
import type { Ambient } from './world.ts';

export interface Storage {
  readonly journal: Journal;
  readonly blobs: Blobs;
  readonly shared: Shared;
  /** only where role admin is */
  readonly signingKey: SigningKey | undefined;
  /** of an in-memory journal, which nobody could have pinned before */
  readonly genesis?: string;
  close(): Promise<void>;
}

export async function openStorage(config: Config, ambient: Ambient): Promise<Storage> {
  return config.store === undefined ? openMemory(config, ambient) : openConfigured(config, ambient);
}

async function openConfigured(config: Config, { logger }: Ambient): Promise<Storage> {
  const { store, journal } = config;
  if (store === undefined) throw new Failure('internal', 'there is no store in the configuration');
  const isAdmin = config.roles.includes('admin');
  const signingKey =
    isAdmin && journal.signingKeyFile !== undefined ? readSigningKeyFile(journal.signingKeyFile) : undefined;
  const opened = await openStore(store, logger);
  const { blobs, shared } = opened;
  return { journal: opened.journal, blobs, shared, signingKey, close: () => opened.close() };
}

/** The key is thrown away at the end, and so is what it signed. */
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
    genesis: genesisDigest,
    close: () => journal.close(),
  };
}
