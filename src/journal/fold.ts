/**
 * The fold: state in memory is what the reducers make of the journal, whole commits only, in order.
 *
 * A reducer mutates an index of its own and answers the keys that changed. It never reads a clock: expiry is
 * data, compared on use.
 */
import type { Digest } from '../core/digest.ts';
import type { JsonObject } from '../core/json.ts';
import type { Position } from '../core/position.ts';
import type { ChangedKey } from './changed-key.ts';
import type { ActorId, CommitId, Draft } from './journal.ts';
import type { EntryKind } from './kinds.ts';
import type { Section } from './section.ts';

/** An entry whose chain, signature and body digest have been verified, with its body lifted to the current schema. */
export interface FoldedEntry {
  readonly seq: number;
  readonly epoch: number;
  readonly digest: Digest;
  readonly at: string;
  readonly actor: ActorId;
  readonly commitId: CommitId;
  readonly kind: EntryKind;
  readonly body: JsonObject;
}

export type { ChangedKey };

export interface Reducer {
  readonly kinds: readonly EntryKind[];
  apply(entry: FoldedEntry): readonly ChangedKey[];
  /** what it has folded, for checkpoints */
  readonly section: Section;
}

/** Published once per applied commit. */
export interface Applied {
  readonly position: Position;
  readonly changed: ReadonlySet<ChangedKey>;
}

/** What a follower offers to the rest of the program. */
export interface Follower {
  /** the last commit applied */
  position(): Position;
  /** Reads and applies what is there now. @throws Failure store_unavailable, store_mismatch, store_diverged, journal_too_new */
  sync(signal?: AbortSignal): Promise<Position>;
  /** Called after each applied commit, in order. @returns a function that ends it */
  onApplied(listener: (applied: Applied) => void): () => void;
  /** Resolves when `seq` has been applied. @throws Failure deadline_exceeded */
  waitFor(seq: number, signal: AbortSignal): Promise<void>;
  /** what stops it from following, if anything */
  trouble(): string | undefined;
}

/** One change: the state is at the head when `prepare` runs; when somebody else was faster it runs again. */
export interface Change<T> {
  readonly id: CommitId;
  readonly actor: ActorId;
  /** Checks preconditions against the folded state and answers what to append. May throw a Failure. */
  prepare(): { readonly drafts: readonly [Draft, ...Draft[]]; readonly result: T };
}

export type Changed<T> =
  | { readonly replayed: false; readonly position: Position; readonly result: T }
  /** the commit id was there already: nothing was appended */
  | { readonly replayed: true; readonly position: Position };

/** Only role `admin` has one: it holds the signing key. */
export interface Writer {
  /**
   * Appends, and resolves when the fold of this process has applied it.
   *
   * @throws Failure of `prepare`; overloaded after the last retry; store_unavailable; deadline_exceeded
   */
  change<T>(change: Change<T>, signal: AbortSignal): Promise<Changed<T>>;
}
