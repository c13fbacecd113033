/**
 * The spine: every change to anything that matters is one entry of one journal, in one total order. All state
 * in memory is a fold over it.
 *
 * This file holds the interfaces and the exact form of an entry. The room owns them; `store` implements them on
 * SQLite, `memory-journal.ts` in memory, and one contract suite runs on all.
 */
import type { Digest } from '../core/digest.ts';
import type { JsonObject } from '../core/json.ts';
import type { Position } from '../core/position.ts';
import type { EntryKind } from './kinds.ts';

/** 1 to 128 characters of `[A-Za-z0-9._:-]`; derived from the Idempotency-Key where there is one. */
export type CommitId = string;
/** Opaque, for example `token:01J…`; who that is lives in a body. */
export type ActorId = string;
/** base64url of 64 bytes (Ed25519, RFC 8032) */
export type Signature = string;

/**
 * One entry. `digest` = SHA-256 of the RFC 8785 form of the entry without `digest` and `signature`; `previous` of
 * seq 1 is all zeros; `bodyDigest` = SHA-256(salt ‖ body bytes as stored); `signature` = Ed25519 over
 * `chancery-commit-v1\n` + the digest of the commit's last entry, the same in each of its entries.
 */
export interface JournalEntry {
  readonly v: 1;
  readonly epoch: number;
  /** 1, 2, 3 … without gaps */
  readonly seq: number;
  readonly commit: { readonly id: CommitId; readonly index: number; readonly count: number };
  /** RFC 3339, UTC; never before the previous entry's */
  readonly at: string;
  readonly actor: ActorId;
  readonly kind: EntryKind;
  /** schema number of the body */
  readonly schema: number;
  readonly bodyDigest: Digest;
  readonly previous: Digest;
  readonly digest: Digest;
  readonly signature: Signature;
}

/** What a store keeps: the entry, and its body (RFC 8785 JSON) with the salt that is erased with it. */
export interface StoredEntry {
  readonly entry: JournalEntry;
  /** undefined: erased, as the body */
  readonly salt: Uint8Array | undefined;
  readonly body: Uint8Array | undefined;
}

/** Entries of one commit, in order of `commit.index`; never a part of it. */
export interface StoredCommit {
  readonly id: CommitId;
  readonly entries: readonly StoredEntry[];
}

/** What a change wants to say, before it is chained and signed. */
export interface Draft {
  readonly kind: EntryKind;
  readonly body: JsonObject;
}

/**
 * One ordered, append-only log.
 *
 * Every method may throw Failure `store_unavailable`; the outcome of an append that threw that is unknown until
 * `find` has answered.
 */
export interface Journal {
  /**
   * All or nothing, and idempotent by commit id: a commit that is there already is answered with its position.
   *
   * @returns the position of the commit's last entry
   * @throws Failure object_changed  when the head is no longer `expectedHead`; request_malformed when it is beyond the
   *         limits (`limits.ts`)
   */
  append(commit: StoredCommit, expectedHead: Position): Promise<Position>;
  /** @returns where the commit ends, or undefined when it is not there: resolves an unknown outcome */
  find(id: CommitId): Promise<Position | undefined>;
  /**
   * Whole commits that begin after `afterSeq`, in order: at least one if there is one, beyond that at most `limit`
   * entries and `MAX_READ_BYTES` of bodies. What was archived is left out.
   */
  read(afterSeq: number, limit: number): Promise<readonly StoredCommit[]>;
  /** Of a journal without entries that begins after something: that. */
  head(): Promise<Position>;
  /** @returns undefined  when the journal is whole: it begins with seq 1 */
  base(): Promise<JournalBase | undefined>;
  /**
   * From now on the journal begins after `base`: what stands at or before it is deleted, in one step. An empty journal
   * may begin so as well, as a copy of one that does.
   *
   * @throws Failure object_changed  when no commit of it ends there, or no entry would be left
   */
  beginAfter(base: JournalBase): Promise<void>;
  /** Calls `onHint` when there may be something new. A hint says "look"; it never carries truth and may be lost. */
  follow(onHint: () => void, signal: AbortSignal): void;
  close(): Promise<void>;
}

/** What stands for the entries that are no longer here: a checkpoint that ends with the last of them. */
export interface JournalBase {
  readonly position: Position;
  /** its text, which nobody has verified; its chunks are blobs of the same store */
  readonly manifest: string;
}

/** Immutable bytes by digest, verified on each read. */
export interface Blobs {
  /** To put what is there renews its time, which a collection goes by. @throws Failure request_malformed: too large */
  put(bytes: Uint8Array): Promise<Digest>;
  /** @throws Failure not_found; Failure store_mismatch when the bytes are not those of the digest */
  get(digest: Digest): Promise<Uint8Array>;
}

/** What a collection needs of a store besides. */
export interface CollectableBlobs extends Blobs {
  /** The clock that says when a blob was put, in ms since 1970. */
  nowMs(): Promise<number>;
  /** In order of digest, those after `after` that nobody has put since `sinceMs`, at most `limit`. */
  listOld(sinceMs: number, after: Digest | undefined, limit: number): Promise<readonly Digest[]>;
  /** Deletes those of them that nobody has put since `sinceMs`, not even since they were listed. */
  deleteOld(digests: readonly Digest[], sinceMs: number): Promise<DeletedBlobs>;
}

export interface DeletedBlobs {
  readonly blobs: number;
  readonly bytes: number;
}

export const EMPTY_HEAD: Position = {
  epoch: 0,
  seq: 0,
  digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000',
};
