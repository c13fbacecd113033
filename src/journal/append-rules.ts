/** What every store checks before it appends, so that no caller can leave a hole or half a commit behind. */
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { JournalBase, StoredCommit } from './journal.ts';
import { COMMIT_LIMITS, isWithinLimits, MAX_BLOB_BYTES } from './limits.ts';

export function samePosition(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.seq === b.seq && a.digest === b.digest;
}

/**
 * The commit is whole, within the limits, and continues `expectedHead`. Whether its digests and its signature are
 * true is for `verifyCommit`: a store keeps bytes and does not judge them. A copy may bring what was erased.
 *
 * @throws Failure internal; request_malformed when it is too large
 */
export function expectAppendable(commit: StoredCommit, expectedHead: Position): void {
  let previous = expectedHead.digest;
  const fits = commit.entries.every(({ entry, salt, body }, index) => {
    const chained = entry.seq === expectedHead.seq + 1 + index && entry.previous === previous;
    const { id, count } = entry.commit;
    const placed = id === commit.id && entry.commit.index === index && count === commit.entries.length;
    previous = entry.digest;
    return chained && placed && (salt === undefined) === (body === undefined);
  });
  if (commit.entries.length === 0 || !fits) {
    throw new Failure('internal', 'the commit is not whole or does not continue the expected head');
  }
  if (!isWithinLimits(commit.entries)) {
    throw new Failure('request_malformed', `a commit holds at most ${COMMIT_LIMITS}`);
  }
}

export function cannotBegin({ position }: JournalBase): Failure {
  const what = `no commit ends at seq ${position.seq}, or no entry would be left`;
  return new Failure('object_changed', `the journal cannot begin after that: ${what}`);
}

/** @throws Failure request_malformed */
export function expectBlobSize(bytes: Uint8Array): void {
  if (bytes.length > MAX_BLOB_BYTES) {
    throw new Failure('request_malformed', `a blob holds at most ${MAX_BLOB_BYTES} bytes`);
  }
}
