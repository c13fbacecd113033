import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { samePosition } from './append-rules.ts';
import type { CommitId, Journal } from './journal.ts';

/**
 * Says at once when a store has lost what was applied here. Another entry at the seq that was applied, with more
 * after it, shows in the chain; so does whether a newer epoch goes on from there.
 *
 * @throws Failure store_mismatch  for an empty journal: it is never served as an empty world; store_diverged
 */
export function expectKnownHead(mine: Position, head: Position): void {
  if (head.seq === 0 && mine.seq === 0) {
    throw new Failure('store_mismatch', 'the journal has no genesis; `chancery init` writes it');
  }
  if (head.seq < mine.seq) throw diverged('the store ends before what was applied', mine, head);
  if (head.epoch < mine.epoch) throw diverged('the store is in an older epoch', mine, head);
  if (head.seq === mine.seq && (head.epoch !== mine.epoch || head.digest !== mine.digest)) {
    throw diverged('the store ends with another entry than the one applied', mine, head);
  }
}

/** Whether a journal has this commit, and ends it there, or begins after it. @throws Failure store_unavailable */
export async function holds(
  journal: Pick<Journal, 'find' | 'base'>,
  commit: CommitId,
  position: Position,
): Promise<boolean> {
  const there = (await journal.find(commit)) ?? (await journal.base())?.position;
  return there !== undefined && samePosition(there, position);
}

function diverged(what: string, mine: Position, head: Position): Failure {
  return new Failure('store_diverged', `${what} (head ${toText(head)}, applied ${toText(mine)})`);
}

/** As an operator sees it in every message: epoch, seq, and enough of the digest to tell two lines apart. */
export function toText({ epoch, seq, digest }: Position): string {
  return seq === 0 ? 'nothing' : `${epoch}.${seq} ${digest.slice(0, 19)}`;
}
