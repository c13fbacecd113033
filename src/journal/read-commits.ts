import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Journal, StoredCommit } from './journal.ts';

export interface ReadCommitsOptions {
  readonly journal: Pick<Journal, 'read'>;
  /** default 0; a journal whose older entries were archived begins where it begins */
  readonly afterSeq?: number | undefined;
  readonly through: Position;
  /** entries per read; default 200 */
  readonly readLimit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Each commit from the first one that is kept to `through`, a page in memory at a time. Whether they are sound is for the caller.
 *
 * @throws Failure store_diverged  when the journal ends earlier, or a commit goes beyond; deadline_exceeded when
 *         `signal` is aborted; store_unavailable
 */
export async function* readCommits({
  journal,
  afterSeq = 0,
  through,
  readLimit = 200,
  signal,
}: ReadCommitsOptions): AsyncGenerator<StoredCommit, void, void> {
  let seq = afterSeq;
  while (seq < through.seq) {
    if (signal?.aborted === true) {
      throw new Failure('deadline_exceeded', 'the reading of the journal was stopped', {
        cause: signal.reason,
      });
    }
    const commits = await journal.read(seq, readLimit);
    if (commits.length === 0) throw endsElsewhere(seq, through);
    for (const commit of commits) {
      if (seq >= through.seq) break;
      seq = commit.entries.at(-1)?.entry.seq ?? seq;
      if (seq > through.seq) throw endsElsewhere(seq, through);
      yield commit;
    }
  }
}

function endsElsewhere(seq: number, { seq: through }: Position): Failure {
  return new Failure('store_diverged', `the journal has a commit that ends at seq ${seq}, not at ${through}`);
}
