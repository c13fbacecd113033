/** A process as the journal sees it: the whole state, a follower, and a writer, on a store that a test replaces. */
import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { Digest } from '../../src/core/digest.ts';
import { createFollower, type JournalFollower } from '../../src/journal/follower.ts';
import type { Blobs, Draft, Journal, JournalBase, StoredCommit } from '../../src/journal/journal.ts';
import { createMemoryJournal } from '../../src/journal/memory-journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import type { SigningKey } from '../../src/journal/signing-key.ts';
import { createWriter } from '../../src/journal/writer.ts';
import { createState, reducersOf, type State } from '../../src/roles/state.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts';

/** A store whose content is replaced as a whole, as a file that is moved away. */
export interface ReplaceableStore {
  readonly journal: Journal;
  /** what it holds */
  commits(): Promise<readonly StoredCommit[]>;
  replace(commits: readonly StoredCommit[]): void;
  /** The same, of a journal that begins after `base`. */
  replaceArchived(commits: readonly StoredCommit[], base: JournalBase): Promise<void>;
}

export function aReplaceableStore(commits: readonly StoredCommit[] = []): ReplaceableStore {
  let current = createMemoryJournal(commits);
  const journal: Journal = {
    append: (commit, expectedHead) => current.append(commit, expectedHead),
    find: (id) => current.find(id),
    read: (afterSeq, limit) => current.read(afterSeq, limit),
    head: () => current.head(),
    base: () => current.base(),
    beginAfter: (base) => current.beginAfter(base),
    follow: () => {},
    close: () => current.close(),
  };
  return {
    journal,
    commits: () => current.read(0, Number.POSITIVE_INFINITY),
    replace(next) {
      current = createMemoryJournal(next);
    },
    async replaceArchived(next, base) {
      const other = createMemoryJournal();
      await other.beginAfter(base);
      for (const commit of next) await other.append(commit, await other.head());
      current = other;
    },
  };
}

export interface Replica {
  readonly state: State;
  readonly follower: JournalFollower;
  readonly metrics: Metrics;
  change(id: string, ...drafts: readonly [Draft, ...Draft[]]): Promise<void>;
  /** everything that is folded, as a checkpoint would hold it */
  captured(): unknown;
}

export function aReplica(
  journal: Journal,
  {
    genesis,
    signingKey,
    blobs,
    clock = systemClock,
    logger = silentLogger,
  }: {
    readonly genesis: Digest;
    readonly signingKey: SigningKey;
    readonly blobs?: Blobs;
    readonly clock?: Clock;
    readonly logger?: Logger;
  },
): Replica {
  const state = createState();
  const metrics = createMetrics();
  const common = { journal, clock, random: systemRandom };
  const follower = createFollower({
    ...common,
    ...(blobs && { blobs }),
    reducers: reducersOf(state),
    createReducers: () => reducersOf(createState()),
    expectations: { genesis },
    logger,
    metrics,
    pollMs: 5,
  });
  const writer = createWriter({ ...common, follower, signingKey, retryMs: 1 });
  return {
    state,
    follower,
    metrics,
    async change(id, ...drafts) {
      const change = { id, actor: 'test:somebody', prepare: () => ({ drafts, result: undefined }) };
      await writer.change(change, AbortSignal.timeout(10_000));
    },
    captured: () =>
      reducersOf(state).map(({ section }) => JSON.parse(JSON.stringify([...section.capture()]))),
  };
}
