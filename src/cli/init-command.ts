import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { createOneTimeToken } from '../admin/tokens.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { initJournal } from '../journal/init.ts';
import { systemRandom } from '../journal/random.ts';
import { generateSigningKey, writeSigningKeyFile } from '../journal/signing-key.ts';
import { openStore } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface InitResult {
  readonly genesisDigest: string;
  readonly token: string;
}

/**
 * Begins a journal: the store, the signing key (0600), genesis, and the one-time admin token.
 *
 * @throws Failure already_exists  when there is a key or a journal already: nothing is written over
 */
export async function initInstance(
  config: Config,
  development: boolean,
  logger: Logger,
): Promise<InitResult> {
  const { store: storeOptions, journal } = config;
  if (storeOptions === undefined || journal.signingKeyFile === undefined) {
    throw new Failure('request_malformed', '`init` needs store.sqlite.path and journal.signingKeyFile');
  }
  const signingKey = generateSigningKey();
  const store = await openStore({ ...storeOptions, create: true }, logger);
  try {
    if ((await store.journal.head()).seq > 0) throw new Failure('already_exists', 'the journal is not empty');
    writeSigningKeyFile(journal.signingKeyFile, signingKey);
    const oneTime = createOneTimeToken({ clock: systemClock, random: systemRandom });
    const { genesisDigest } = await initJournal({
      journal: store.journal,
      instance: journal.instance ?? 'chancery',
      environment: journal.environment ?? 'default',
      development,
      clock: systemClock,
      random: systemRandom,
      signingKey,
      extraDrafts: [oneTime.draft],
    });
    return { genesisDigest, token: oneTime.token };
  } finally {
    await store.close();
  }
}

/** A new file that only its owner may read. @throws when it exists */
export function writeSecretFile(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
