/** A journal that all rooms fold, part of which leaves it. */
import { type ArchiveOptions, archive, planArchive } from '../../src/journal/archive.ts';
import { writeCheckpoint } from '../../src/journal/checkpoint-writer.ts';
import type { JournalFollower } from '../../src/journal/follower.ts';
import { createMemoryCheckpoints } from '../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs } from '../../src/journal/memory-journal.ts';
import { restoreState } from '../../src/journal/restore-state.ts';
import { createState, reducersOf } from '../../src/roles/state.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aReplica, type CheckpointJournal, type Replica } from './checkpoint-journal.ts';
import { withTheRest } from './journal-memory.ts';

export function archiveOptions(
  { journal, blobs, checkpoints, expectations }: CheckpointJournal,
  more: Partial<ArchiveOptions> = {},
): ArchiveOptions {
  return {
    journal,
    blobs,
    checkpoints,
    expectations,
    before: Number.MAX_SAFE_INTEGER,
    youngestMs: Number.POSITIVE_INFINITY,
    createReducers: () => withTheRest(reducersOf(createState())),
    logger: silentLogger,
    ...more,
  };
}

/** Up to the newest checkpoint. @returns the name of the segment */
export async function archiveTo(
  folder: string,
  test: CheckpointJournal,
  more: Partial<ArchiveOptions> = {},
): Promise<string> {
  const options = archiveOptions(test, more);
  return archive(await planArchive(options), { ...options, folder, signingKey: test.signingKey });
}

/** Starts as a process does. */
export async function aStart(
  test: CheckpointJournal,
  { checkpoints = test.checkpoints, blobs = test.blobs } = {},
): Promise<Replica> {
  const { journal, expectations } = test;
  const replica = aReplica(journal, expectations);
  const { follower, logger } = replica;
  await restoreState({ follower, journal, checkpoints, blobs, expectations, logger });
  return replica;
}

/** What a checkpoint of it would say. */
export async function stateDigest(
  follower: JournalFollower,
  { signingKey }: Pick<CheckpointJournal, 'signingKey'>,
): Promise<string> {
  const scratch = { blobs: createMemoryBlobs(), checkpoints: createMemoryCheckpoints() };
  return (await writeCheckpoint(follower.capture()!, { ...scratch, signingKey })).stateDigest;
}
