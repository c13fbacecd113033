/**
 * The follower reads the journal, verifies it and folds it: whole commits, in order, each exactly once.
 *
 * A hint or the jittered poll makes it look; what it believes is only what verifies. Where the journal is not the
 * one that it knows, it stays on its last good state and says so in `trouble()`.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { until } from './deadline.ts';
import { createDispatch, type Dispatch, toFoldedEntry } from './dispatch.ts';
import type { Applied, ChangedKey, Follower, Reducer } from './fold.ts';
import { createFollowerMeasures, type FollowerMeasures } from './follower-measures.ts';
import type { Genesis } from './genesis.ts';
import { EMPTY_HEAD, type Journal, type StoredCommit } from './journal.ts';
import { expectKnownHead } from './known-head.ts';
import { createPoller } from './poller.ts';
import { jittered, type RandomBytes } from './random.ts';
import type { Tip } from './seal.ts';
import {
  CHAIN_START,
  type ChainState,
  type Expectations,
  type VerifiedEntry,
  verifyCommit,
} from './verify.ts';

export interface FollowerOptions {
  readonly journal: Journal;
  /** exactly one for each kind of entry but `journal.genesis` */
  readonly reducers: readonly Reducer[];
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
   * Catches up, then follows until `signal` is aborted or `close` is called.
   *
   * @throws Failure as `sync`; then it does not follow
   */
  start(signal: AbortSignal): Promise<Position>;
  /** Where the next commit is chained to. */
  tip(): Tip;
  /** the chain as far as it is applied, for whoever wants to check what comes next */
  chain(): ChainState;
  /** undefined before the first sync */
  genesis(): Genesis | undefined;
  /** when the head was last seen to be the applied one, in ms since 1970; undefined: never */
  confirmedAtMs(): number | undefined;
  /** Stops following and waits for the sync that is running. The journal stays open. */
  close(): Promise<void>;
}

export function createFollower(options: FollowerOptions): JournalFollower {
  return new Following(options);
}

class Following implements JournalFollower {
  readonly #options: FollowerOptions;
  readonly #dispatch: Dispatch;
  readonly #listeners = new Set<(applied: Applied) => void>();
  readonly #stop = new AbortController();
  readonly #measures: FollowerMeasures;
  #chain = CHAIN_START;
  #trouble: Failure | undefined;
  #confirmedAtMs: number | undefined;
  #running: Promise<Position> | undefined;
  #next: Promise<Position> | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#dispatch = createDispatch(options.reducers);
    this.#measures = createFollowerMeasures(options.metrics);
  }

  position(): Position {
    return this.#chain.position.seq === 0 ? EMPTY_HEAD : this.#chain.position;
  }

  tip(): Tip {
    return { position: this.#chain.position, at: this.#chain.at };
  }

  chain(): ChainState {
    return this.#chain;
  }

  genesis(): Genesis | undefined {
    return this.#chain.genesis;
  }

  confirmedAtMs(): number | undefined {
    return this.#confirmedAtMs;
  }

  trouble(): string | undefined {
    return this.#trouble?.message;
  }

  onApplied(listener: (applied: Applied) => void): () => void {
    // one function of its own per call: the same one may listen twice
    const own = (applied: Applied): void => listener(applied);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
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
    const position = await this.sync(signal);
    const { journal, random, pollMs = 2000 } = this.#options;
    const ended = AbortSignal.any([signal, this.#stop.signal]);
    const poller = createPoller({
      look: () => this.sync().then(() => {}),
      nextMs: () => jittered(pollMs, random),
      signal: ended,
    });
    journal.follow(poller.hint, ended);
    poller.hint();
    return position;
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
      if (isFinal(this.#trouble)) throw this.#trouble;
      await this.#readToHead();
      this.#settle(undefined);
      return this.position();
    } catch (thrown) {
      const failure = Failure.from(thrown, 'store_unavailable');
      this.#settle(failure);
      throw failure;
    }
  }

  async #readToHead(): Promise<void> {
    const { journal, readLimit = 200, clock } = this.#options;
    const head = await journal.head();
    expectKnownHead(this.position(), head);
    while (this.position().seq < head.seq) {
      const commits = await journal.read(this.position().seq, readLimit);
      if (commits.length === 0)
        throw new Failure('store_diverged', 'the store does not give what its head says');
      for (const commit of commits) this.#apply(commit);
    }
    this.#confirmedAtMs = clock.nowMs();
  }

  #apply(commit: StoredCommit): void {
    const { state, entries, problems } = verifyCommit(this.#chain, commit, this.#options.expectations);
    const [problem] = problems;
    if (problem !== undefined) throw new Failure(problem.code, `seq ${problem.seq}: ${problem.message}`);
    const changed = this.#fold(entries);
    this.#chain = state;
    this.#measures.applied(state.position.seq);
    this.#publish({ position: state.position, changed });
  }

  #fold(entries: readonly VerifiedEntry[]): ReadonlySet<ChangedKey> {
    const folded = entries.map(({ entry, body }) => {
      // nothing in the chain says that this was to be erased: going on would drop a change, say a revocation
      if (body === undefined) throw new Failure('store_diverged', `seq ${entry.seq}: the body was erased`);
      return toFoldedEntry(entry, body);
    });
    const changed = new Set<ChangedKey>();
    for (const entry of folded) {
      for (const key of this.#foldOne(entry)) changed.add(key);
    }
    return changed;
  }

  #foldOne(entry: Parameters<Dispatch>[0]): readonly ChangedKey[] {
    try {
      return this.#dispatch(entry);
    } catch (cause) {
      throw new Failure('internal', `seq ${entry.seq}: ${entry.kind} could not be folded`, { cause });
    }
  }

  #publish(applied: Applied): void {
    for (const listener of this.#listeners) {
      try {
        listener(applied);
      } catch (error) {
        this.#options.logger.error({ error, seq: applied.position.seq }, 'a listener of the journal failed');
      }
    }
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

/**
 * Divergence ends by an operator's decision, not by the store showing another face later; a reducer that threw
 * may have folded half a commit.
 */
function isFinal(failure: Failure | undefined): failure is Failure {
  return failure !== undefined && (failure.code === 'store_diverged' || failure.code === 'internal');
}
