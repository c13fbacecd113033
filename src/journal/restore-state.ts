/**
 * Where a start begins: at the newest state that can be believed, so that only what came after it is read. Whatever
 * cannot be used is named in the log and the next older one is taken, at last the whole journal.
 */
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { samePosition } from './append-rules.ts';
import { startsOf } from './base.ts';
import { parseManifest } from './checkpoint.ts';
import type { Checkpoints, StoredCheckpoint } from './checkpoints.ts';
import type { CapturedState } from './folded-state.ts';
import type { JournalFollower } from './follower.ts';
import type { Blobs, Journal } from './journal.ts';
import { holds, toText } from './known-head.ts';
import { type LocalCopy, openCheckpoint } from './local-copy.ts';
import type { Expectations } from './verify.ts';

export interface RestoreOptions {
  /** at seq 0 */
  readonly follower: Pick<JournalFollower, 'position' | 'restore' | 'replay'>;
  readonly journal: Pick<Journal, 'find' | 'head' | 'base'>;
  readonly checkpoints: Checkpoints;
  readonly blobs: Pick<Blobs, 'get'>;
  /** with the pin of genesis */
  readonly expectations: Expectations;
  readonly local?: LocalCopy | undefined;
  readonly logger: Logger;
}

/**
 * Whether the store has lost entries, the next sync finds out.
 *
 * @throws Failure store_diverged  when that would be forgotten: only the local copy tells of it, and it cannot be used
 */
export async function restoreState(options: RestoreOptions): Promise<void> {
  const { follower, local } = options;
  const isKnown = local === undefined || (await isKnownToStore(local, options));
  if (isKnown) {
    for (const stored of await latest(options)) {
      if (local !== undefined && !isNewer(stored.position, local.position)) break;
      if (await restoreStored(stored, options)) return;
    }
  }
  if (local !== undefined) restoreLocal(local, options);
  if (local !== undefined && !isKnown && !samePosition(follower.position(), local.position)) {
    throw new Failure(
      'store_diverged',
      `the local copy goes to ${toText(local.position)}, which the store does not have or cannot be asked for, and ` +
        'this program cannot use the copy: start again when the store is there; if entries are lost, run ' +
        '`chancery store adopt` with the copy, then remove it',
    );
  }
  if (follower.position().seq === 0) options.logger.info({}, 'no checkpoint: the whole journal is read');
}

/** A local copy that the store does not know is what shows that entries are lost, so it must be what is followed from. */
async function isKnownToStore(
  { lastCommit, position }: LocalCopy,
  { journal }: RestoreOptions,
): Promise<boolean> {
  try {
    return await holds(journal, lastCommit, position);
  } catch {
    return false;
  }
}

function isNewer(a: Pick<Position, 'epoch' | 'seq'>, b: Position): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);
}

async function latest({
  journal,
  checkpoints,
  logger,
}: RestoreOptions): Promise<readonly StoredCheckpoint[]> {
  try {
    return await startsOf(journal, checkpoints);
  } catch (thrown) {
    logger.warn({ err: Failure.from(thrown, 'store_unavailable') }, 'the checkpoints cannot be read');
    return [];
  }
}

async function restoreStored(
  { position, manifest }: StoredCheckpoint,
  { follower, journal, blobs, expectations, logger }: RestoreOptions,
): Promise<boolean> {
  try {
    const checkpoint = await openCheckpoint(parseManifest(manifest), blobs, expectations);
    await expectNotAdoptedWithout(checkpoint, journal);
    follower.restore(checkpoint);
    logger.info({ seq: follower.position().seq }, 'the start is from a checkpoint of the store');
    return true;
  } catch (thrown) {
    const err = Failure.from(thrown, 'store_mismatch');
    logger.warn({ err, seq: position.seq }, 'a checkpoint cannot be used; an older one is tried');
    return false;
  }
}

/** In an epoch that goes on, one that the store does not know shows that entries are lost: that is for the next sync. */
async function expectNotAdoptedWithout(
  { chain: { position }, lastCommit }: CapturedState,
  journal: RestoreOptions['journal'],
): Promise<void> {
  const { epoch } = await journal.head();
  if (epoch <= position.epoch || (await holds(journal, lastCommit, position))) return;
  throw new Failure('store_mismatch', 'the checkpoint is of a part of the journal that was lost');
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
