import { sha256 } from '../../src/core/digest.ts';
import type { CheckpointManifest } from '../../src/journal/checkpoint.ts';
import { createCheckpointMeasures } from '../../src/journal/checkpoint-measures.ts';
import { writeCheckpoint } from '../../src/journal/checkpoint-writer.ts';
import type { Checkpoints } from '../../src/journal/checkpoints.ts';
import { createFollower, type JournalFollower } from '../../src/journal/follower.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { createMemoryCheckpoints } from '../../src/journal/memory-checkpoints.ts';
import { systemRandom } from '../../src/journal/random.ts';
import type { Expectations } from '../../src/journal/verify.ts';
import { createState, reducersOf, type State } from '../../src/roles/state.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createTestJournal, type TestJournal, withTheRest } from './journal-memory.ts';
import { type LogLine, recordLog } from './log-lines.ts';
import { aGrant, aNode, aService } from './registry-world.ts';
import { captured } from './sections.ts';

/** A journal that all rooms fold, with checkpoints. */
export interface CheckpointJournal extends TestJournal {
  readonly state: State;
  readonly checkpoints: Checkpoints;
  readonly expectations: Expectations;
  /** Writes one of what is folded now. */
  checkpoint(): Promise<CheckpointManifest>;
  /** One entry for each round and kind of thing. */
  grow(rounds: number): Promise<void>;
}

let round = 0;

export async function createCheckpointJournal(): Promise<CheckpointJournal> {
  const state = createState();
  const test = await createTestJournal({ reducers: reducersOf(state) });
  const checkpoints = createMemoryCheckpoints();
  return {
    ...test,
    state,
    checkpoints,
    expectations: { genesis: test.genesisDigest, instance: 'test', environment: 'test' },
    checkpoint: () => writeCheckpoint(test.follower.capture()!, { ...test, checkpoints }),
    async grow(rounds) {
      for (let index = 0; index < rounds; index += 1) {
        round += 1;
        const name = `s${round % 7}`;
        await test.append('registry.service.put', { name, service: aService({ prefix: `/${round}` }) });
        await test.append('registry.grant.put', { service: name, id: `g${round}`, grant: aGrant() });
        await test.append('registry.node.put', { id: `n${round % 5}`, node: aNode([name]) });
        await test.append('settings.put', { settings: { defaultPolicy: name } });
        const expiresAt = '2030-01-01T00:00:00.000Z';
        const token = { id: `t${round}`, name, sha256: sha256(name), scopes: [], expiresAt };
        await test.append('token.issue', token);
      }
    },
  };
}

export interface Replica {
  readonly follower: JournalFollower;
  readonly log: readonly LogLine[];
  readonly logger: ReturnType<typeof recordLog>['logger'];
  readonly measures: ReturnType<typeof createCheckpointMeasures>;
}

/** A process that has folded nothing yet. */
export function aReplica(journal: Journal, expectations: Expectations): Replica {
  const { logger, lines } = recordLog();
  const metrics = createMetrics();
  const follower = createFollower({
    journal,
    reducers: withTheRest(reducersOf(createState())),
    expectations,
    logger,
    metrics,
    clock: { nowMs: Date.now },
    random: systemRandom,
    pollMs: 20,
  });
  return { follower, log: lines, logger, measures: createCheckpointMeasures(metrics) };
}

/** Everything that is folded, and where. */
export function folded(follower: JournalFollower): unknown {
  const state = follower.capture();
  if (state === undefined) return undefined;
  const { chain, sections, lastCommit } = state;
  const records = sections.map(({ name, version, records: all }) => {
    return [name, captured({ name, version, capture: () => all, restore: () => new Set() })];
  });
  return { position: chain.position, at: chain.at, lastCommit, records };
}
