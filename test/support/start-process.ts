/**
 * One start of the fold on a store: `<file> <genesis> <checkpoint | journal> [key file]`. Prints one line of JSON;
 * with a key file it writes a checkpoint afterwards.
 */

import type { Digest } from '../../src/core/digest.ts';
import { writeCheckpoint } from '../../src/journal/checkpoint-writer.ts';
import { createFollower } from '../../src/journal/follower.ts';
import { createMemoryCheckpoints } from '../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs } from '../../src/journal/memory-journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { restoreState } from '../../src/journal/restore-state.ts';
import { generateSigningKey, readSigningKeyFile } from '../../src/journal/signing-key.ts';
import { createState, reducersOf } from '../../src/roles/state.ts';
import { openStore } from '../../src/store/open.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { MeasuredStart } from './measured-starts.ts';

const [path = '', genesis = '', from = '', keyFile] = process.argv.slice(2);
const logger = createLogger('silent');
const expectations = { genesis: genesis as Digest };

const { journal, blobs, checkpoints, close } = await openStore({ sqlite: { path } }, logger);
const beganMs = performance.now();
const follower = createFollower({
  journal,
  reducers: reducersOf(createState()),
  expectations,
  logger,
  metrics: createMetrics(),
  clock: { nowMs: Date.now },
  random: systemRandom,
});
if (from === 'checkpoint') {
  await restoreState({ follower, journal, checkpoints, blobs, expectations, logger });
}
const restoredSeq = follower.position().seq;
await follower.sync();
const startMs = Math.round(performance.now() - beganMs);
const { rss } = process.memoryUsage();
const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);

const state = follower.capture();
if (state === undefined) throw new Error('nothing is folded');
const scratch = { blobs: createMemoryBlobs(), checkpoints: createMemoryCheckpoints() };
const target = keyFile === undefined ? scratch : { blobs, checkpoints };
const signingKey = keyFile === undefined ? generateSigningKey() : readSigningKeyFile(keyFile);
const writeBeganMs = performance.now();
const { stateDigest, sections } = await writeCheckpoint(state, { ...target, signingKey });
const measured: MeasuredStart = {
  from: from === 'checkpoint' ? 'checkpoint' : 'journal',
  restoredSeq,
  seq: follower.position().seq,
  startMs,
  rssMiB: Math.round(rss / 1_048_576),
  peakMiB,
  checkpointMs: Math.round(performance.now() - writeBeganMs),
  records: sections.reduce((sum, { records }) => sum + records, 0),
  stateDigest,
};
console.log(JSON.stringify(measured));
await close();
