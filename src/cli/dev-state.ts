/** What `chancery dev` keeps in its git-ignored folder, so that a second start works. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { defaultSecretsKeyFile } from '../journal/secrets-key.ts';
import type { Logger } from '../telemetry/logger.ts';
import { initInstance } from './init-command.ts';

export interface DevState {
  readonly config: Config;
  readonly tokenFile: string;
  /** of the token file; '' when there is none */
  readToken(): string;
  writeToken(token: string): void;
  /** of `init`, in the start that made the journal; it is good for one use */
  takeOneTimeToken(): string | undefined;
}

export async function openDevState(folder: string, logger: Logger): Promise<DevState> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files = {
    store: join(folder, 'journal.db'),
    key: join(folder, 'signing-key.pem'),
    genesis: join(folder, 'genesis'),
    token: join(folder, 'admin-token'),
  };
  const set = [
    `store.sqlite.path=${files.store}`,
    `journal.signingKeyFile=${files.key}`,
    'log.level=warn',
    // nobody could take over
    'drainSeconds=0',
    `audit.file.path=${join(folder, 'decisions.jsonl')}`,
  ];
  const env = 'process';
  let oneTimeToken: string | undefined;
  const state = {
    takeOneTimeToken() {
      const taken = oneTimeToken;
      oneTimeToken = undefined;
      return taken;
    },
    tokenFile: files.token,
    readToken: () => (existsSync(files.token) ? readFileSync(files.token, 'utf8').trim() : ''),
    writeToken: (token: string) => replaceFile(files.token, token),
  };
  if (!existsSync(files.genesis)) {
    // An earlier start that was cut off here left a journal that nobody ever used.
    const { store, key } = files;
    for (const file of [files.token, store, `${store}-wal`, `${store}-shm`, key, defaultSecretsKeyFile(key)])
      rmSync(file, { force: true });
    const { genesisDigest, token } = await initInstance(
      loadConfig({ env, set }, { unpinned: true }),
      true,
      logger,
    );
    oneTimeToken = token;
    replaceFile(files.genesis, genesisDigest);
  }
  const genesis = readFileSync(files.genesis, 'utf8').trim();
  return { ...state, config: loadConfig({ env, set: [...set, `journal.genesis=${genesis}`] }) };
}

/** All or nothing: a start that is cut off leaves the old content or the new. */
function replaceFile(path: string, text: string): void {
  const next = `${path}.next`;
  rmSync(next, { force: true });
  writeFileSync(next, `${text}\n`, { mode: 0o600, flush: true });
  renameSync(next, path);
}
