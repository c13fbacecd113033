/**
 * Where a start begins: at the newest state that can be believed, so that only what came after it is read. Whatever
 * cannot be used is named in the log and the next older one is taken, at last the whole journal.
 */
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { samePosition } from './append-rules.ts';
import { parseManifest } from './checkpoint.ts';
import type { Checkpoints, StoredCheckpoint } from './checkpoints.ts';
import type { JournalFollower } from './follower.ts';
import type { Blobs, Journal } from './journal.ts';
import { type LocalCopy, openCheckpoint } from './local-copy.ts';
import type { Expectations } from './verify.ts';

export interface RestoreOptions {
  /** at seq 0 */
  readonly follower: Pick<JournalFollower, 'position' | 'restore' | 'replay'>;
  readonly journal: Pick<Journal, 'find'>;
  readonly checkpoints: Checkpoints;
  readonly blobs: Pick<Blobs, 'get'>;
  /** with the pin of genesis */
  readonly expectations: Expectations;
  readonly local?: LocalCopy | undefined;
  readonly logger: Logger;
}

/** Never throws, and never restores half of something. Whether the store has lost entries, the next sync finds out. */
export async function restoreState(options: RestoreOptions): Promise<void> {
  const { follower, local } = options;
  if (local === undefined || (await isKnown(local, options))) {
    for (const stored of await latest(options)) {
      if (local !== undefined && !isNewer(stored.position, local.position)) break;
      if (await restoreStored(stored, options)) return;
    }
  }
  if (local !== undefined) restoreLocal(local, options);
  if (follower.position().seq === 0) options.logger.info({}, 'no checkpoint: the whole journal is read');
}

/** A local copy that the store does not know is what shows that entries are lost, so it must be what is followed from. */
async function isKnown({ lastCommit, position }: LocalCopy, { journal }: RestoreOptions): Promise<boolean> {
  try {
    const there = await journal.find(lastCommit);
    return there !== undefined && samePosition(there, position);
  } catch {
    return false;
  }
}

function isNewer(a: Pick<Position, 'epoch' | 'seq'>, b: Position): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);
}

async function latest({ checkpoints, logger }: RestoreOptions): Promise<readonly StoredCheckpoint[]> {
  try {
    return await checkpoints.latest();
  } catch (thrown) {
    logger.warn({ err: Failure.from(thrown, 'store_unavailable') }, 'the checkpoints cannot be read');
    return [];
  }
}

async function restoreStored(
  { position, manifest }: StoredCheckpoint,
  { follower, blobs, expectations, logger }: RestoreOptions,
): Promise<boolean> {
  try {
    follower.restore(await openCheckpoint(parseManifest(manifest), blobs, expectations));
    logger.info({ seq: follower.position().seq }, 'the start is from a checkpoint of the store');
    return true;
  } catch (thrown) {
    const err = Failure.from(thrown, 'store_mismatch');
    logger.warn({ err, seq: position.seq }, 'a checkpoint cannot be used; an older one is tried');
    return false;
  }
}

function restoreLocal({ checkpoint, commits }: LocalCopy, { follower, logger }: RestoreOptions): void {
  try {
    if (checkpoint !== undefined) follower.restore(checkpoint);
    for (const commit of commits) follower.replay(commit);
    logger.info({ seq: follower.position().seq }, 'the start is from the local copy');
  } catch (thrown) {
    const err = Failure.from(thrown, 'store_mismatch');
    logger.warn({ err, seq: follower.position().seq }, 'the local copy can be used to this place only');
  }
}
