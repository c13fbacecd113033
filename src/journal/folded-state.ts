/** What is folded so far, and the chain as far as it is: grows by verified commits, or is restored as a whole. */
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createDispatch, type Dispatch, toFoldedEntry } from './dispatch.ts';
import type { Applied, ChangedKey, Reducer } from './fold.ts';
import { type CommitId, EMPTY_HEAD, type StoredCommit, type StoredEntry } from './journal.ts';
import type { Tip } from './seal.ts';
import type { Slices } from './slices.ts';
import {
  CHAIN_START,
  type ChainState,
  type Expectations,
  type VerifiedCommit,
  type VerifiedEntry,
  verifyCommit,
  verifyInSlices,
} from './verify.ts';

/** A room's state as records, as `Section.capture` gives them. */
export interface CapturedSection {
  readonly name: string;
  readonly version: number;
  readonly records: Iterable<JsonObject>;
}

/** The whole state at the end of one commit. */
export interface CapturedState {
  readonly chain: ChainState;
  /** entry 1, which brings the keys */
  readonly genesis: StoredEntry;
  readonly lastCommit: CommitId;
  readonly sections: readonly CapturedSection[];
}

/** Gets the commit as well, unless the whole state was replaced. */
export type AppliedListener = (applied: Applied, commit: StoredCommit | undefined) => void;

export interface FoldedStateOptions {
  readonly reducers: readonly Reducer[];
  readonly expectations?: Expectations | undefined;
  readonly logger: Logger;
}

export class FoldedState {
  readonly #options: FoldedStateOptions;
  readonly #dispatch: Dispatch;
  readonly #listeners = new Set<AppliedListener>();
  #chain = CHAIN_START;
  #genesis: StoredEntry | undefined;
  #lastCommit: CommitId = '';

  /** @throws TypeError  when a kind has no reducer or two, or two sections have one name */
  constructor(options: FoldedStateOptions) {
    this.#options = options;
    this.#dispatch = createDispatch(options.reducers);
    const names = new Set(options.reducers.map(({ section }) => section.name));
    if (names.size < options.reducers.length) throw new TypeError('two sections have one name');
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

  /** the one that ends at `position`; '' before the first */
  lastCommit(): CommitId {
    return this.#lastCommit;
  }

  onApplied(listener: AppliedListener): () => void {
    // one function of its own per call: the same one may listen twice
    const own: AppliedListener = (applied, commit) => listener(applied, commit);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Verifies and folds. @throws Failure store_diverged, store_mismatch, journal_too_new; internal: a bug, half folded */
  apply(commit: StoredCommit): void {
    this.#take(commit, verifyCommit(this.#chain, commit, this.#options.expectations));
  }

  /** The same, verified a little at a time. One commit after the other, as with `apply`. @throws Failure as `apply` */
  async applyInSlices(commit: StoredCommit, slices: Slices): Promise<void> {
    const before = this.#chain;
    const verified = await verifyInSlices(before, commit, this.#options.expectations, slices);
    if (this.#chain !== before) throw new Failure('internal', 'two commits were applied at the same time');
    this.#take(commit, verified);
  }

  #take(commit: StoredCommit, { state, entries, problems }: VerifiedCommit): void {
    const [problem] = problems;
    if (problem !== undefined) throw new Failure(problem.code, `seq ${problem.seq}: ${problem.message}`);
    const changed = this.#fold(entries);
    this.#chain = state;
    this.#genesis ??= commit.entries[0];
    this.#lastCommit = commit.id;
    this.#publish({ position: state.position, changed }, commit);
  }

  /** Cheap, and in one step: call it between two commits. @returns undefined before the first */
  capture(): CapturedState | undefined {
    if (this.#genesis === undefined) return undefined;
    const sections = this.#options.reducers.map(({ section }) => {
      const { name, version } = section;
      return { name, version, records: section.capture() };
    });
    return { chain: this.#chain, genesis: this.#genesis, lastCommit: this.#lastCommit, sections };
  }

  /**
   * Replaces everything by a state that was verified.
   *
   * @throws Failure store_mismatch  when it does not have exactly this program's sections, or a record has another
   *         form; everything is then as before
   */
  restore({ chain, genesis, lastCommit, sections }: CapturedState): void {
    const own = this.#options.reducers.map(({ section }) => section);
    const pairs = own.map((section) => {
      const found = sections.find(({ name }) => name === section.name);
      if (found?.version === section.version) return { section, records: found.records };
      throw new Failure(
        'store_mismatch',
        `section ${section.name} is not there in version ${section.version}`,
      );
    });
    if (sections.length !== own.length) {
      throw new Failure('store_mismatch', 'there are sections that this program does not know');
    }
    const changed = new Set<ChangedKey>();
    const undo: (() => void)[] = [];
    try {
      for (const { section, records } of pairs) {
        const before = section.capture();
        for (const key of section.restore([...records])) changed.add(key);
        undo.push(() => section.restore([...before]));
      }
    } catch (error) {
      for (const step of undo) step();
      throw error;
    }
    this.#chain = chain;
    this.#genesis = genesis;
    this.#lastCommit = lastCommit;
    this.#publish({ position: chain.position, changed }, undefined);
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

  #publish(applied: Applied, commit: StoredCommit | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener(applied, commit);
      } catch (error) {
        this.#options.logger.error({ error, seq: applied.position.seq }, 'a listener of the journal failed');
      }
    }
  }
}
