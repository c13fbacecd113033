/** Where a journal begins whose older entries were archived: at the checkpoint that stands for them. */
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { samePosition } from './append-rules.ts';
import { parseManifest } from './checkpoint.ts';
import type { Checkpoints, StoredCheckpoint } from './checkpoints.ts';
import type { CapturedState } from './folded-state.ts';
import type { Blobs, Journal, JournalBase } from './journal.ts';
import { openCheckpoint } from './local-copy.ts';
import type { Expectations } from './verify.ts';

/**
 * Reads it all and verifies it.
 *
 * @returns undefined  when there is none: the journal is whole
 * @throws Failure store_mismatch, journal_too_new  when it cannot be believed, or not be read; store_unavailable
 */
export async function openBase(
  base: JournalBase | undefined,
  blobs: Pick<Blobs, 'get'>,
  expectations: Expectations,
): Promise<CapturedState | undefined> {
  if (base === undefined) return undefined;
  try {
    const state = await openCheckpoint(parseManifest(base.manifest), blobs, expectations);
    if (samePosition(state.chain.position, base.position)) return state;
    throw new Failure('store_mismatch', 'it ends at another place');
  } catch (thrown) {
    const { code, detail } = Failure.from(thrown, 'store_unavailable');
    if (code === 'store_unavailable') throw thrown;
    const what = `the checkpoint that stands for the archived entries up to seq ${base.position.seq}`;
    const isNewer = code === 'journal_too_new';
    throw new Failure(isNewer ? code : 'store_mismatch', `${what}: ${detail}`, { cause: thrown });
  }
}

/** All that a start can be from: the newest first, at last the one that the journal begins with. */
export async function startsOf(
  journal: Pick<Journal, 'base'>,
  checkpoints: Pick<Checkpoints, 'latest'>,
): Promise<readonly StoredCheckpoint[]> {
  // in this order: what is archived between the two is found all the same
  const kept = await checkpoints.latest();
  const base = await journal.base();
  if (base === undefined) return kept;
  const { position } = base;
  // what comes after an older one was archived
  const newer = kept.filter(({ position: { epoch, seq } }) => epoch >= position.epoch && seq > position.seq);
  return [...newer, base];
}

/** What a reader is told that wants to go on from `mine`, and finds that the journal begins later. */
export function archivedFrom(mine: Position, { position }: JournalBase): Failure {
  const what = `the entries up to seq ${position.seq} were archived`;
  if (mine.seq === 0) {
    return new Failure(
      'store_mismatch',
      `${what}, and no checkpoint can be used in their place: \`chancery store verify\` says why; a program of the ` +
        'version that wrote it, or a backup, has one',
    );
  }
  return new Failure(
    'not_found',
    `${what}, and this replica ends before (seq ${mine.seq}): remove its local copy and start it again`,
  );
}
