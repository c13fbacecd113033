/**
 * `chancery store adopt`, and every restore: the journal goes on from the head that the store has, in a new epoch,
 * and says what was lost. What the lost entries had revoked stays revoked, until an operator makes it anew.
 *
 * Planning reads and changes nothing. All that it decides goes into one commit with the adoption; what does not fit
 * goes into commits before it, in the old epoch: they only take away, so a crash between them leaves a journal that
 * is sound and no laxer, and the next run finds less to do.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Adoption, type KeptRevocation, MAX_LISTED_LOST } from './adopt-body.ts';
import { samePosition } from './append-rules.ts';
import { openBase } from './base.ts';
import type { ChangedKey, Reducer } from './fold.ts';
import { FoldedState } from './folded-state.ts';
import type { Blobs, CommitId, Draft, Journal, StoredCommit } from './journal.ts';
import { type LocalLine, type Lost, readLost } from './lost.ts';
import type { RandomBytes } from './random.ts';
import { readCommits } from './read-commits.ts';
import { sealCommit } from './seal.ts';
import type { SigningKey } from './signing-key.ts';
import { type ChainState, type Expectations, verifyCommit } from './verify.ts';

/** An entry that takes away. */
export interface Revocation extends Draft {
  /** what it is about */
  readonly key: ChangedKey;
}

/** A state that was folded somewhere, and what folds into it. */
export interface Foldable<S> {
  readonly state: S;
  readonly reducers: readonly Reducer[];
}

export interface PlanOptions<S> {
  readonly journal: Pick<Journal, 'head' | 'read' | 'base'>;
  readonly blobs: Pick<Blobs, 'get'>;
  readonly expectations: Expectations;
  /** what replicas still have; `unknown`: something is lost and nobody has it; `none`: nothing is */
  readonly lost: readonly LocalLine[] | 'unknown' | 'none';
  /** a state that has folded nothing */
  readonly createState: () => Foldable<S>;
  /**
   * What `lost` had revoked since `fork` and `adopted` still allows, in an order in which it can be appended. `fork`
   * is `adopted` itself where nobody knows it. `lostAt`: the time of the last entry that is lost.
   */
  readonly revocations: (fork: S, adopted: S, lost: S, lostAt: string) => readonly Revocation[];
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

export interface AdoptionPlan {
  /** the chain up to the head that is adopted */
  readonly base: ChainState;
  readonly lost: Adoption['lost'];
  /** how many entries are known to be lost, listed or not */
  readonly lostEntries: number;
  readonly kept: readonly Revocation[];
}

/**
 * Reads the store and the copies, and says what an adoption would do.
 *
 * @throws Failure store_mismatch  when the store, or a copy, is of another journal; request_malformed when the copies
 *         are of several lines; store_diverged when the journal of the store is not sound; store_unavailable
 */
export async function planAdoption<S>(options: PlanOptions<S>): Promise<AdoptionPlan> {
  const { journal, expectations, createState, logger, signal } = options;
  const through = await journal.head();
  if (through.seq === 0) throw new Failure('store_mismatch', 'the store is empty: there is nothing to adopt');
  const newState = (): Foldable<S> & { readonly folded: FoldedState } => {
    const made = createState();
    return { ...made, folded: new FoldedState({ reducers: made.reducers, expectations, logger }) };
  };
  const start = await openBase(await journal.base(), options.blobs, expectations);
  const commits = (): AsyncIterable<StoredCommit> => readCommits({ journal, through, signal });
  const lost: Lost | undefined =
    typeof options.lost === 'string'
      ? undefined
      : await readLost(options.lost, commits(), start?.chain.position);

  const adopted = newState();
  const fork = newState();
  if (start !== undefined) {
    adopted.folded.restore(start);
    if (lost?.fork !== undefined && samePosition(lost.fork, start.chain.position)) fork.folded.restore(start);
  }
  for await (const commit of commits()) {
    adopted.folded.apply(commit);
    if (lost?.fork === undefined || !samePosition(lost.fork, adopted.folded.position())) continue;
    const captured = adopted.folded.capture();
    if (captured !== undefined) fork.folded.restore(captured);
  }
  const base = adopted.folded.chain();
  if (!samePosition(base.position, through)) {
    throw new Failure('store_diverged', 'the store does not give what its head says');
  }
  if (lost === undefined) {
    return { base, lost: options.lost === 'unknown' ? 'unknown' : 'none', lostEntries: 0, kept: [] };
  }
  const left = newState();
  foldLine(left.folded, lost.line);
  expectSameGenesis(base, left.folded.chain());
  const forkState = lost.fork === undefined ? adopted.state : fork.state;
  const { through: lostThrough, entries } = lost;
  return {
    base,
    lost: { through: lostThrough, entries: entries.slice(-MAX_LISTED_LOST) },
    lostEntries: entries.length,
    kept: options.revocations(forkState, adopted.state, left.state, left.folded.chain().at),
  };
}

function foldLine(folded: FoldedState, { checkpoint, commits }: LocalLine): void {
  if (checkpoint !== undefined) folded.restore(checkpoint);
  const { seq } = folded.position();
  for (const commit of commits) if ((commit.entries[0]?.entry.seq ?? 0) > seq) folded.apply(commit);
}

function expectSameGenesis(mine: ChainState, other: ChainState): void {
  if (JSON.stringify(mine.genesis) === JSON.stringify(other.genesis)) return;
  throw new Failure('store_mismatch', 'the local copy is of another journal than the store');
}

export interface AdoptOptions {
  readonly journal: Journal;
  readonly signingKey: SigningKey;
  readonly reason: Adoption['reason'];
  readonly note?: string | undefined;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

const ACTOR = 'system:adopt';
/** With the adoption itself, well within one commit. */
const KEPT_PER_COMMIT = 512;
/** All that the adoption lists; the journal has every one of them. */
const MAX_LISTED_KEPT = 1024;

/**
 * Appends what was planned.
 *
 * @returns the head, in its new epoch
 * @throws Failure object_changed  when the journal has gone on since the plan was made; store_unavailable: it is not
 *         known how far it came, and a new plan finds out; store_mismatch when the key is not one of this journal
 */
export async function adoptJournal(plan: AdoptionPlan, options: AdoptOptions): Promise<Position> {
  const { reason, note } = options;
  const before = Math.max(0, plan.kept.length - KEPT_PER_COMMIT);
  let chain = plan.base;
  const kept: KeptRevocation[] = [];
  const list = (revocations: readonly Revocation[], firstSeq: number): void => {
    for (const [index, { kind, key }] of revocations.entries())
      kept.push({ seq: firstSeq + index, kind, key });
  };
  for (let from = 0; from < before; from += KEPT_PER_COMMIT) {
    const some = plan.kept.slice(from, Math.min(from + KEPT_PER_COMMIT, before));
    list(some, chain.position.seq + 1);
    chain = await append({ step: 'kept', epoch: chain.position.epoch }, some.map(toDraft), chain, options);
  }
  const rest = plan.kept.slice(before);
  list(rest, chain.position.seq + 2);
  const adoption: Adoption = {
    base: chain.position,
    lost: plan.lost,
    kept: kept.slice(-MAX_LISTED_KEPT),
    reason,
    ...(note !== undefined && { note }),
  };
  const drafts = [{ kind: 'journal.adopt' as const, body: adoption }, ...rest.map(toDraft)];
  // where an earlier adoption is lost as well, its number is not used again
  const lostEpoch = typeof plan.lost === 'string' ? 0 : plan.lost.through.epoch;
  const epoch = Math.max(chain.position.epoch, lostEpoch) + 1;
  chain = await append({ step: 'epoch', epoch }, drafts, chain, options);
  return chain.position;
}

function toDraft({ kind, body }: Revocation): Draft {
  return { kind, body };
}

async function append(
  { step, epoch }: { readonly step: 'kept' | 'epoch'; readonly epoch: number },
  drafts: readonly Draft[],
  chain: ChainState,
  { journal, signingKey, clock, random }: AdoptOptions,
): Promise<ChainState> {
  const [first, ...others] = drafts;
  if (first === undefined) return chain;
  const { position, at } = chain;
  // the place that it is chained to is in the id: a second run from there is the same commit to the store
  const id: CommitId = `adopt:${step}:${position.seq}:${position.digest.slice(7, 23)}`;
  const commit = sealCommit({
    id,
    actor: ACTOR,
    drafts: [first, ...others],
    tip: { position: { ...position, epoch }, at },
    signingKey,
    nowMs: clock.nowMs(),
    random,
  });
  const { state, problems } = verifyCommit(chain, commit);
  const [problem] = problems;
  if (problem !== undefined) throw new Failure('store_mismatch', `nothing was appended: ${problem.message}`);
  const there = await journal.append(commit, position);
  if (samePosition(there, state.position)) return state;
  throw new Failure('object_changed', 'somebody else has adopted the journal at the same time');
}
