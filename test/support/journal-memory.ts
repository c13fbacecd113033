import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { Digest } from '../../src/core/digest.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Position } from '../../src/core/position.ts';
import { WITHOUT_REDUCER } from '../../src/journal/dispatch.ts';
import type { Reducer, Writer } from '../../src/journal/fold.ts';
import { createFollower, type JournalFollower } from '../../src/journal/follower.ts';
import { initJournal } from '../../src/journal/init.ts';
import type { Blobs, Draft, Journal } from '../../src/journal/journal.ts';
import { ENTRY_KINDS, type EntryKind } from '../../src/journal/kinds.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../src/journal/memory-journal.ts';
import { type RandomBytes, systemRandom } from '../../src/journal/random.ts';
import type { SigningKey } from '../../src/journal/signing-key.ts';
import { createWriter } from '../../src/journal/writer.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { noSection } from './sections.ts';

export interface TestJournalOptions {
  /** kinds that none of them takes are folded by nobody */
  readonly reducers?: readonly Reducer[];
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  /** another journal than a new one in memory; it must be empty */
  readonly journal?: Journal;
  readonly extraDrafts?: readonly Draft[];
}

export interface TestJournal {
  readonly journal: Journal;
  readonly blobs: Blobs;
  /** at the head, but not started: `writer.change` brings it along, `follower.start` makes it follow others */
  readonly follower: JournalFollower;
  readonly writer: Writer;
  readonly signingKey: SigningKey;
  readonly genesisDigest: Digest;
  /** Appends one entry as `test:somebody`. @returns where it is, applied */
  append(kind: EntryKind, body: JsonObject): Promise<Position>;
}

/** A journal in memory with genesis, and a follower and a writer on it. */
export async function createTestJournal(options: TestJournalOptions = {}): Promise<TestJournal> {
  const {
    clock = systemClock,
    random = systemRandom,
    journal = createMemoryJournal(),
    extraDrafts,
  } = options;
  const { signingKey, genesisDigest } = await initJournal({
    journal,
    instance: 'test',
    environment: 'test',
    development: true,
    clock,
    random,
    ...(extraDrafts === undefined ? {} : { extraDrafts }),
  });
  const follower = createFollower({
    journal,
    reducers: withTheRest(options.reducers ?? []),
    expectations: { genesis: genesisDigest },
    logger: silentLogger,
    metrics: createMetrics(),
    clock,
    random,
  });
  await follower.sync();
  const writer = createWriter({ journal, follower, signingKey, clock, random, retryMs: 1 });
  let changes = 0;
  return {
    journal,
    blobs: createMemoryBlobs(),
    follower,
    writer,
    signingKey,
    genesisDigest,
    async append(kind, body) {
      changes += 1;
      const change = {
        id: `test-${changes}`,
        actor: 'test:somebody',
        prepare: () => ({ drafts: [{ kind, body }] as const, result: undefined }),
      };
      return (await writer.change(change, AbortSignal.timeout(10_000))).position;
    },
  };
}

/** A follower wants a reducer for every kind; this adds one that takes what is left and changes nothing. */
export function withTheRest(reducers: readonly Reducer[]): readonly Reducer[] {
  const taken = new Set(reducers.flatMap(({ kinds }) => kinds));
  const kinds = (Object.keys(ENTRY_KINDS) as EntryKind[]).filter(
    (kind) => !WITHOUT_REDUCER.includes(kind) && !taken.has(kind),
  );
  return [...reducers, { kinds, apply: () => [], section: noSection('the-rest') }];
}
