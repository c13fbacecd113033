/**
 * Role admin alone on a store, which kills itself at the first commit that has an Idempotency-Key: `before` it is
 * appended, or `after`, when it is in the store and nobody has been answered.
 *
 * Arguments: configuration file, `before` or `after`. Prints its port.
 */
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { createWriter } from '../../src/journal/writer.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { createAdminRole } from '../../src/roles/admin.ts';
import { openStorage } from '../../src/roles/storage.ts';
import { createWorld } from '../../src/roles/world.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const [file = '', when = ''] = process.argv.slice(2);
const config = loadConfig({ file });
const logger = silentLogger;
const ambient = { clock: systemClock, random: systemRandom, logger, metrics: createMetrics() };
const storage = await openStorage(config, ambient);
const world = createWorld(config, { ...storage, journal: dying(storage.journal) }, ambient);
await world.follower.start(new AbortController().signal);
if (storage.signingKey === undefined) throw new Error('role admin needs the signing key');
const admin = await createAdminRole({
  config,
  world,
  writer: createWriter({ ...world, signingKey: storage.signingKey }),
  signingKey: storage.signingKey,
  secrets: storage.secrets,
  toolchain: createToolchain(config.rego, logger),
  nodeStatus: () => undefined,
  progress: { replicas: () => [], node: () => undefined },
  proofs: { report: async () => {}, of: () => undefined },
  buildOptions: () => ({ authz: { places: [], timeoutMs: 1 } }),
  controlPort: 0,
});
process.stdout.write(`${await admin.listen(config.admin)}\n`);

function dying(journal: Journal): Journal {
  return {
    append: async (commit, expectedHead) => {
      const isLast = commit.id.startsWith('key:');
      const position = isLast && when === 'before' ? undefined : await journal.append(commit, expectedHead);
      if (isLast || position === undefined) {
        process.kill(process.pid, 'SIGKILL');
        return new Promise<never>(() => {});
      }
      return position;
    },
    find: (id) => journal.find(id),
    read: (after, limit) => journal.read(after, limit),
    head: () => journal.head(),
    base: () => journal.base(),
    beginAfter: (base) => journal.beginAfter(base),
    follow: (onHint, signal) => journal.follow(onHint, signal),
    close: () => journal.close(),
  };
}
