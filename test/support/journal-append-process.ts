/**
 * Appends to a journal until it is killed, and prints `seq digest` of each change once it is acknowledged.
 *
 * Arguments: database file, signing key file, pinned genesis digest, prefix of the commit ids.
 */
import { systemClock } from '../../src/core/clock.ts';
import type { Digest } from '../../src/core/digest.ts';
import { createFollower } from '../../src/journal/follower.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { readSigningKeyFile } from '../../src/journal/signing-key.ts';
import { createWriter } from '../../src/journal/writer.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { withTheRest } from './journal-memory.ts';

const [path = '', keyFile = '', genesis = '', prefix = ''] = process.argv.slice(2);
const { journal } = await openStore({ sqlite: { path } }, silentLogger);
const common = { journal, clock: systemClock, random: systemRandom };
const follower = createFollower({
  ...common,
  reducers: withTheRest([]),
  expectations: { genesis: genesis as Digest },
  logger: silentLogger,
  metrics: createMetrics(),
});
await follower.start(new AbortController().signal);
const writer = createWriter({
  ...common,
  follower,
  signingKey: readSigningKeyFile(keyFile),
  maxAttempts: 100,
});

for (let n = 0; ; n += 1) {
  const draft = { kind: 'settings.put', body: { prefix, n, filling: 'x'.repeat(n % 300) } } as const;
  const drafts = n % 5 === 0 ? ([draft, draft, draft] as const) : ([draft] as const);
  const change = { id: `${prefix}-${n}`, actor: prefix, prepare: () => ({ drafts, result: undefined }) };
  const { position } = await writer.change(change, AbortSignal.timeout(30_000));
  // a pipe is written synchronously here: what was printed has left the process
  process.stdout.write(`${position.seq} ${position.digest}\n`);
}
