/**
 * The follower reads the journal, verifies it and folds it: whole commits, in order, each exactly once.
 *
 * A hint or the jittered poll makes it look; what it believes is only what verifies. Where the journal is not the
 * one that it knows, it stays on its last good state and says so in `trouble()`, until `rebase.ts` ends that.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { archivedFrom } from './base.ts';
import { until } from './deadline.ts';
import type { Follower, Reducer } from './fold.ts';
import { type AppliedListener, type CapturedState, FoldedState } from './folded-state.ts';
import { createFollowerMeasures, type FollowerMeasures } from './follower-measures.ts';
import type { Genesis } from './genesis.ts';
import type { Blobs, CommitId, Journal, StoredCommit } from './journal.ts';
import { expectKnownHead } from './known-head.ts';
import { createPoller } from './poller.ts';
import { jittered, type RandomBytes } from './random.ts';
import { createDivergence, type Divergence } from './rebase.ts';
import type { Tip } from './seal.ts';
import { createSlices } from './slices.ts';
import type { ChainState, Expectations } from './verify.ts';

export interface FollowerOptions {
  readonly journal: Journal;
  /** Of the same store: where a journal begins whose older entries were archived. Only a change of lines needs them. */
  readonly blobs?: Pick<Blobs, 'get'>;
  /** exactly one for each kind of entry but those that say how the journal goes on */
  readonly reducers: readonly Reducer[];
  /** The same again, empty: what a replica that diverged changes over to. Without it, only another start ends that. */
  readonly createReducers?: () => readonly Reducer[];
  /** the pin of genesis, and whose journal it must be */
  readonly expectations?: Expectations;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** mean time between two looks without a hint; default 2000 */
  readonly pollMs?: number;
  /** entries per read; default 200 */
  readonly readLimit?: number;
}

export interface JournalFollower extends Follower {
  /**
   * Catches up, then follows until `signal` is aborted or `close` is called. With a state that was restored it follows
   * also when the store is away: what it has is what there was.
   *
   * @throws Failure as `sync`; then it does not follow
   */
  start(signal: AbortSignal): Promise<Position>;
  onApplied(listener: AppliedListener): () => void;
  /** Cheap, and whole: between two commits. @returns undefined before the first one */
  capture(): CapturedState | undefined;
  /** Before `start`: instead of reading what led to it. @throws Failure as `FoldedState.restore` */
  restore(state: CapturedState): void;
  /** Before `start`: a commit that is not from the store; one that is folded already is left out. @throws Failure as `sync` */
  replay(commit: StoredCommit): void;
  /** Where the next commit is chained to. */
  tip(): Tip;
  /** the chain as far as it is applied, for whoever wants to check what comes next */
  chain(): ChainState;
  /** the one that ends at `position`; '' before the first */
  lastCommit(): CommitId;
  /** undefined before the first sync */
  genesis(): Genesis | undefined;
  /** when the head was last seen to be the applied one, in ms since 1970; undefined: never */
  confirmedAtMs(): number | undefined;
  /** Stops following and waits for the sync that is running. The journal stays open. */
  close(): Promise<void>;
}

/** of the thread that answers Checks, at a time; a commit is folded in one */
const SLICE_MS = 2;

export function createFollower(options: FollowerOptions): JournalFollower {
  return new Following(options);
}

class Following implements JournalFollower {
  readonly #options: FollowerOptions;
  readonly #state: FoldedState;
  readonly #stop = new AbortController();
  readonly #measures: FollowerMeasures;
  #trouble: Failure | undefined;
  #divergence: Divergence | undefined;
  #confirmedAtMs: number | undefined;
  #running: Promise<Position> | undefined;
  #next: Promise<Position> | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#state = new FoldedState(options);
    this.#measures = createFollowerMeasures(options.metrics);
    this.#state.onApplied(({ position }) => this.#measures.applied(position.seq));
  }

  position(): Position {
    return this.#state.position();
  }

  tip(): Tip {
    return this.#state.tip();
  }

  chain(): ChainState {
    return this.#state.chain();
  }

  lastCommit(): CommitId {
    return this.#state.lastCommit();
  }

  genesis(): Genesis | undefined {
    return this.#state.chain().genesis;
  }

  confirmedAtMs(): number | undefined {
    return this.#confirmedAtMs;
  }

  trouble(): string | undefined {
    return this.#trouble?.message;
  }

  onApplied(listener: AppliedListener): () => void {
    return this.#state.onApplied(listener);
  }

  capture(): CapturedState | undefined {
    return this.#state.capture();
  }

  restore(state: CapturedState): void {
    this.#state.restore(state);
  }

  replay(commit: StoredCommit): void {
    if ((commit.entries[0]?.entry.seq ?? 0) > this.position().seq) this.#state.apply(commit);
  }

  /** A sync that has begun may have read already: whoever asks now waits for the next one, all together. */
  sync(signal?: AbortSignal): Promise<Position> {
    return until(this.#next ?? this.#queue(), signal, 'the journal was not read in time');
  }

  async waitFor(seq: number, signal: AbortSignal): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const check = (): void => {
      if (this.position().seq >= seq) reached.resolve();
    };
    const end = this.onApplied(check);
    check();
    try {
      await until(reached.promise, signal, `position ${seq} was not reached in time`);
    } finally {
      end();
    }
  }

  async start(signal: AbortSignal): Promise<Position> {
    await this.sync(signal).catch((error: unknown) => this.#expectRestored(error));
    const { journal, random, pollMs = 2000 } = this.#options;
    const ended = AbortSignal.any([signal, this.#stop.signal]);
    const poller = createPoller({
      look: () => this.sync().then(() => {}),
      nextMs: () => jittered(pollMs, random),
      signal: ended,
    });
    journal.follow(poller.hint, ended);
    poller.hint();
    return this.position();
  }

  #expectRestored(error: unknown): void {
    const isAway = error instanceof Failure && error.code === 'store_unavailable';
    if (!isAway || this.position().seq === 0) throw error;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled([this.#running, this.#next]);
  }

  #queue(): Promise<Position> {
    if (this.#running === undefined) return this.#run();
    const runNext = (): Promise<Position> => {
      this.#next = undefined;
      return this.#run();
    };
    this.#next = this.#running.then(runNext, runNext);
    return this.#next;
  }

  #run(): Promise<Position> {
    const running = this.#catchUp().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #catchUp(): Promise<Position> {
    try {
      // a reducer that threw may have folded half a commit
      if (this.#trouble?.code === 'internal') throw this.#trouble;
      await this.#readOrChangeOver();
      this.#settle(undefined);
      return this.position();
    } catch (thrown) {
      const failure = this.#divergence?.failure ?? Failure.from(thrown, 'store_unavailable');
      this.#settle(failure);
      throw failure;
    }
  }

  /** A replica that starts from a local copy may find at once that the store was adopted without it. */
  async #readOrChangeOver(): Promise<void> {
    if (this.#divergence === undefined) {
      try {
        return await this.#readToHead();
      } catch (thrown) {
        this.#divergence = this.#judge(Failure.from(thrown, 'store_unavailable'));
      }
    }
    await this.#rebase(this.#divergence);
    await this.#readToHead();
  }

  async #rebase(divergence: Divergence): Promise<void> {
    const adopted = await divergence.readAdopted();
    if (adopted === undefined) throw divergence.failure;
    const from = this.position();
    this.#state.restore(adopted);
    this.#divergence = undefined;
    this.#options.logger.warn({ from, to: this.position() }, 'the state is that of the adopted journal now');
  }

  /**
   * Once it is known that the store has another line, no other face of it is believed: an operator's decision ends
   * that. So does another start, which reads everything anew.
   *
   * @throws Failure  when it is something else
   */
  #judge(failure: Failure): Divergence {
    const isOther = failure.code === 'store_diverged' || failure.code === 'store_mismatch';
    if (!isOther || this.position().seq === 0) throw failure;
    return createDivergence(this.chain(), failure, { ...this.#options, signal: this.#stop.signal });
  }

  async #readToHead(): Promise<void> {
    const { journal, readLimit = 200, clock } = this.#options;
    const head = await journal.head();
    expectKnownHead(this.position(), head);
    const slices = createSlices(SLICE_MS);
    while (this.position().seq < head.seq) {
      const commits = await journal.read(this.position().seq, readLimit);
      if (commits.length === 0)
        throw new Failure('store_diverged', 'the store does not give what its head says');
      await this.#expectNext(commits[0]);
      for (const commit of commits) {
        await this.#state.applyInSlices(commit, slices);
        await slices.next();
      }
    }
    this.#confirmedAtMs = clock.nowMs();
  }

  /** A gap is a loss, unless what is missing was archived. */
  async #expectNext(commit: StoredCommit | undefined): Promise<void> {
    const mine = this.position();
    if ((commit?.entries[0]?.entry.seq ?? 0) <= mine.seq + 1) return;
    const base = await this.#options.journal.base();
    if (base !== undefined && base.position.seq > mine.seq) throw archivedFrom(mine, base);
  }

  #settle(failure: Failure | undefined): void {
    const before = this.#trouble?.message;
    this.#trouble = failure;
    this.#measures.looked(failure);
    if (failure?.message === before) return;
    const { logger } = this.#options;
    if (failure === undefined) logger.info({ seq: this.position().seq }, 'following the journal again');
    else logger.error({ error: failure, seq: this.position().seq }, 'the journal cannot be followed');
  }
}
