import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeSigningKeyFile } from '../../src/journal/signing-key.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aTemporaryPath } from './journal-stores.ts';
import { appendLargeJournal } from './large-journal.ts';

export interface MeasuredStart {
  readonly from: 'checkpoint' | 'journal';
  readonly restoredSeq: number;
  readonly seq: number;
  /** from the open store to the folded head */
  readonly startMs: number;
  /** resident at that moment, and at most until then */
  readonly rssMiB: number;
  readonly peakMiB: number;
  /** how long the writing of a checkpoint took, in slices */
  readonly checkpointMs: number;
  readonly records: number;
  readonly stateDigest: string;
}

const PROCESS = fileURLToPath(new URL('./start-process.ts', import.meta.url));

/** The same store, started without a checkpoint and then with one, each in a process of its own. */
export async function measureStarts(entries: number): Promise<readonly [MeasuredStart, MeasuredStart]> {
  const { path, remove } = await aTemporaryPath('journal.db');
  try {
    const store = await openStore({ sqlite: { path }, create: true }, silentLogger);
    const { genesisDigest, signingKey } = await appendLargeJournal(store.journal, entries);
    await store.close();
    const keyFile = `${path}.key`;
    writeSigningKeyFile(keyFile, signingKey);
    const start = async (...args: readonly string[]): Promise<MeasuredStart> => {
      const process_ = [PROCESS, path, genesisDigest, ...args];
      const { stdout } = await promisify(execFile)(process.execPath, process_, { timeout: 120_000 });
      return JSON.parse(stdout) as MeasuredStart;
    };
    return [await start('journal', keyFile), await start('checkpoint')];
  } finally {
    await remove();
  }
}
