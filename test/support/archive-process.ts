/**
 * Archives, and is killed at a place: `<file> <genesis> <key file> <folder> <while it writes | before it deletes>`.
 */
import type { Digest } from '../../src/core/digest.ts';
import { archive, planArchive } from '../../src/journal/archive.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { readSigningKeyFile } from '../../src/journal/signing-key.ts';
import { createState, reducersOf } from '../../src/roles/state.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';

const [path = '', genesis = '', keyFile = '', folder = '', when = ''] = process.argv.slice(2);
const { journal, blobs, checkpoints } = await openStore({ sqlite: { path } }, silentLogger);

const die = (): Promise<never> => {
  process.kill(process.pid, 'SIGKILL');
  return new Promise<never>(() => {});
};
const dying: Journal = {
  ...journal,
  // the first page is written, or on its way
  read: (afterSeq) => (when === 'while it writes' && afterSeq > 0 ? die() : journal.read(afterSeq, 1)),
  beginAfter: (base) => (when === 'before it deletes' ? die() : journal.beginAfter(base)),
};
const options = {
  journal: dying,
  blobs,
  checkpoints,
  expectations: { genesis: genesis as Digest },
  before: Number.MAX_SAFE_INTEGER,
  youngestMs: Number.POSITIVE_INFINITY,
  createReducers: () => reducersOf(createState()),
  logger: silentLogger,
};
await archive(await planArchive(options), { ...options, folder, signingKey: readSigningKeyFile(keyFile) });
