/**
 * The writer makes a change: it brings the fold to the head, lets the caller check its preconditions there, seals,
 * appends, and resolves when the fold of this process has it.
 *
 * A head that moved is nobody's error: fold, check again, try again, within a bound. An append whose outcome is
 * unknown is settled by `find`, never by trying blindly.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { pause, until } from './deadline.ts';
import type { Change, Changed, Writer } from './fold.ts';
import type { JournalFollower } from './follower.ts';
import type { CommitId, Journal, StoredCommit } from './journal.ts';
import { jittered, type RandomBytes } from './random.ts';
import { sealCommit } from './seal.ts';
import type { SigningKey } from './signing-key.ts';
import { verifyCommit } from './verify.ts';

export interface WriterOptions {
  readonly journal: Journal;
  /** of the same journal */
  readonly follower: JournalFollower;
  readonly signingKey: SigningKey;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** changes that wait or run at one time; one more is `overloaded`; default 64 */
  readonly queueLimit?: number;
  /** times that a change is prepared and appended when others are faster; default 8 */
  readonly maxAttempts?: number;
  /** times that `find` and `sync` are asked after an append before giving up; default 8 */
  readonly maxSettleAttempts?: number;
  /** mean pause before the second attempt, doubled each time up to 16 times; default 10 */
  readonly retryMs?: number;
}

export function createWriter(options: WriterOptions): Writer {
  const queueLimit = options.queueLimit ?? 64;
  let queued = 0;
  let tail: Promise<unknown> = Promise.resolve();

  return {
    async change(change, signal) {
      if (queued >= queueLimit) throw new Failure('overloaded', 'too many changes are waiting');
      queued += 1;
      const run = tail
        .then(() => {
          if (signal.aborted) throw tooLate(signal);
          return makeChange(change, signal, options);
        })
        .finally(() => {
          queued -= 1;
        });
      tail = run.catch(() => {});
      // the caller stops waiting at its deadline; the change is brought to a known end all the same
      return until(run, signal, LATE);
    },
  };
}

const LATE = 'the change was not confirmed in time';

function tooLate(signal: AbortSignal): Failure {
  return new Failure('deadline_exceeded', LATE, { cause: signal.reason });
}

async function makeChange<T>(
  change: Change<T>,
  signal: AbortSignal,
  options: WriterOptions,
): Promise<Changed<T>> {
  const { journal, follower, maxAttempts = 8, retryMs = 10, random } = options;
  const there = await journal.find(change.id).catch(async (thrown: unknown) => {
    // what is wrong with the store, the follower says: another one in its place is a divergence
    await follower.sync(signal);
    throw thrown;
  });
  if (there !== undefined) return replay(there, options);

  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    if (attempt > 0) await pause(backoffMs(attempt, retryMs, random), signal);
    await follower.sync(signal);
    const { drafts, result } = change.prepare();
    const commit = seal(change, drafts, options);
    if (signal.aborted) throw tooLate(signal);
    const position = await append(commit, follower.position(), options);
    if (position === 'head_moved') continue;
    if (position.digest !== commit.entries.at(-1)?.entry.digest) return replay(position, options);
    await applied(position, options);
    return { replayed: false, position, result };
  }
  throw new Failure('overloaded', 'others were faster each time; try again');
}

async function replay(position: Position, options: WriterOptions): Promise<Changed<never>> {
  await applied(position, options);
  return { replayed: true, position };
}

/** A store that was put back to before it right after the append says nothing by itself: its head is the known one. */
async function applied({ seq }: Position, options: WriterOptions): Promise<void> {
  const { follower } = options;
  await settle(() => follower.sync(), options, 'the change is stored, but not yet applied here');
  if (follower.position().seq < seq)
    throw new Failure('store_unavailable', 'the store has lost the change again');
}

/** What no follower would accept must never get into the journal: nobody could go on after it. */
function seal<T>(
  change: Change<T>,
  drafts: ReturnType<Change<T>['prepare']>['drafts'],
  { follower, signingKey, clock, random }: WriterOptions,
): StoredCommit {
  const { id, actor } = change;
  const tip = follower.tip();
  const commit = sealCommit({ id, actor, drafts, tip, signingKey, nowMs: clock.nowMs(), random });
  const [problem] = verifyCommit(follower.chain(), commit).problems;
  if (problem !== undefined) throw new Failure('store_mismatch', `nothing was appended: ${problem.message}`);
  return commit;
}

async function append(
  commit: StoredCommit,
  expectedHead: Position,
  options: WriterOptions,
): Promise<Position | 'head_moved'> {
  try {
    return await options.journal.append(commit, expectedHead);
  } catch (thrown) {
    const failure = Failure.from(thrown, 'store_unavailable');
    if (failure.code === 'object_changed') return 'head_moved';
    const there = await findOutcome(commit.id, options);
    if (there === undefined) throw failure;
    return there;
  }
}

function findOutcome(id: CommitId, options: WriterOptions): Promise<Position | undefined> {
  return settle(() => options.journal.find(id), options, 'it is not known whether the change was stored');
}

/** @throws Failure store_unavailable  when every attempt failed; at once what no repetition can change */
async function settle<T>(work: () => Promise<T>, options: WriterOptions, detail: string): Promise<T> {
  const { maxSettleAttempts = 8, retryMs = 10, random } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (thrown) {
      const failure = Failure.from(thrown, 'store_unavailable');
      if (!failure.row.retry) throw failure;
      if (attempt >= maxSettleAttempts) throw new Failure('store_unavailable', detail, { cause: failure });
      await pause(backoffMs(attempt, retryMs, random));
    }
  }
}

function backoffMs(attempt: number, retryMs: number, random: RandomBytes): number {
  return jittered(retryMs * 2 ** Math.min(attempt - 1, 4), random);
}
