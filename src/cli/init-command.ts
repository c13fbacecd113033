import { createOneTimeToken } from '../admin/tokens.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { isTrustDomain } from '../core/spiffe-id.ts';
import { authorityDraft, keepAuthority } from '../identity/issue.ts';
import { createNodeAuthority } from '../identity/node-authority.ts';
import { initJournal } from '../journal/init.ts';
import { writePrivateFile } from '../journal/private-file.ts';
import { systemRandom } from '../journal/random.ts';
import { createSecrets } from '../journal/secrets.ts';
import { defaultSecretsKeyFile, writeSecretsKeyFile } from '../journal/secrets-key.ts';
import { generateSigningKey, writeSigningKeyFile } from '../journal/signing-key.ts';
import { openStore } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface InitResult {
  readonly genesisDigest: string;
  readonly token: string;
}

const AMBIENT = { clock: systemClock, random: systemRandom };

/**
 * Begins a journal: the store, the signing key and the secrets key (0600), genesis, the authority of the nodes, and the
 * one-time admin token.
 *
 * @throws Failure already_exists  when there is a key or a journal already: nothing is written over;
 *         request_malformed when the name of the instance could not stand in the names of nodes
 */
export async function initInstance(
  config: Config,
  development: boolean,
  logger: Logger,
): Promise<InitResult> {
  const { store: storeOptions, journal } = config;
  const { signingKeyFile, instance = 'chancery', environment = 'default' } = journal;
  if (storeOptions === undefined || signingKeyFile === undefined) {
    throw new Failure('request_malformed', '`init` needs store.sqlite.path and journal.signingKeyFile');
  }
  if (!isTrustDomain(instance)) {
    const allowed = 'lower-case letters, digits, ".", "_" and "-", as in spiffe://<instance>/node/<id>';
    throw new Failure('request_malformed', `journal.instance of a new journal has ${allowed}`);
  }
  const signingKey = generateSigningKey();
  const store = await openStore({ ...storeOptions, create: true }, logger);
  try {
    if ((await store.journal.head()).seq > 0) throw new Failure('already_exists', 'the journal is not empty');
    writeSigningKeyFile(signingKeyFile, signingKey);
    const secretsKeyFile = storeOptions.secretsKeyFile ?? defaultSecretsKeyFile(signingKeyFile);
    const key = writeSecretsKeyFile(secretsKeyFile, systemRandom);
    const secrets = createSecrets({ sealed: store.sealedSecrets, key, random: systemRandom });
    const authority = await createNodeAuthority(instance, AMBIENT);
    await keepAuthority(authority, secrets);
    const oneTime = createOneTimeToken(AMBIENT);
    const { genesisDigest } = await initJournal({
      journal: store.journal,
      instance,
      environment,
      development,
      ...AMBIENT,
      signingKey,
      extraDrafts: [oneTime.draft, authorityDraft(authority)],
    });
    return { genesisDigest, token: oneTime.token };
  } finally {
    await store.close();
  }
}

/** A new file that only its owner may read. @throws Failure already_exists */
export function writeSecretFile(path: string, text: string): void {
  writePrivateFile(path, text, 'the token file');
}
