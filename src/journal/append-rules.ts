/** What every store checks before it appends, so that no caller can leave a hole or half a commit behind. */
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { StoredCommit } from './journal.ts';

export const MAX_BLOB_BYTES = 64 * 1_048_576;

export function samePosition(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.seq === b.seq && a.digest === b.digest;
}

/**
 * The commit is whole and continues `expectedHead`. Whether its digests and its signature are true is for
 * `verifyCommit`: a store keeps bytes and does not judge them.
 *
 * @throws Failure internal
 */
export function expectAppendable(commit: StoredCommit, expectedHead: Position): void {
  let previous = expectedHead.digest;
  const fits = commit.entries.every(({ entry, salt, body }, index) => {
    const chained = entry.seq === expectedHead.seq + 1 + index && entry.previous === previous;
    const { id, count } = entry.commit;
    const placed = id === commit.id && entry.commit.index === index && count === commit.entries.length;
    previous = entry.digest;
    return chained && placed && salt !== undefined && body !== undefined;
  });
  if (commit.entries.length === 0 || !fits) {
    throw new Failure('internal', 'the commit is not whole or does not continue the expected head');
  }
}
