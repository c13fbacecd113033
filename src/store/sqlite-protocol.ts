/** What the main thread and the SQLite worker say to each other. All of it survives a structured clone. */
import type { Digest } from '../core/digest.ts';
import type { FailureCode } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { StoredCheckpoint } from '../journal/checkpoints.ts';
import type { CommitId, DeletedBlobs, JournalBase, StoredCommit } from '../journal/journal.ts';
import type { SharedValue } from '../journal/shared.ts';
import type { SqliteOptions } from './options.ts';

export interface WorkerSettings {
  readonly options: SqliteOptions;
  /** make the file when there is none */
  readonly create: boolean;
  /** the file is a backup, or is to be one */
  readonly backup?: boolean;
  /** a file that cannot be reached now is opened by a later call */
  readonly mayBeAway?: boolean;
}

/** Facts about the connection that writes, for operators and tests. */
export interface SqliteDiagnosis {
  readonly sqliteVersion: string;
  /** `wal` */
  readonly journalMode: string;
  /** 2 = FULL */
  readonly synchronous: number;
  readonly busyTimeoutMs: number;
}

/** Each call of the worker: what it takes and what it answers. */
export interface Calls {
  append: { args: { commit: StoredCommit; expectedHead: Position }; result: Position };
  find: { args: { id: CommitId }; result: Position | undefined };
  read: { args: { afterSeq: number; limit: number }; result: readonly StoredCommit[] };
  head: { args: Record<never, never>; result: Position };
  base: { args: Record<never, never>; result: JournalBase | undefined };
  beginAfter: { args: { base: JournalBase }; result: undefined };
  putBlob: { args: { bytes: Uint8Array }; result: Digest };
  getBlob: { args: { digest: Digest }; result: Uint8Array };
  listOldBlobs: {
    args: { sinceMs: number; after: Digest | undefined; limit: number };
    result: readonly Digest[];
  };
  deleteOldBlobs: { args: { digests: readonly Digest[]; sinceMs: number }; result: DeletedBlobs };
  blobTime: { args: Record<never, never>; result: number };
  putSecret: { args: { secret: string; sealed: Uint8Array }; result: undefined };
  getSecret: { args: { secret: string }; result: Uint8Array | undefined };
  deleteSecret: { args: { secret: string }; result: undefined };
  putCheckpoint: { args: { checkpoint: StoredCheckpoint }; result: undefined };
  latestCheckpoints: { args: Record<never, never>; result: readonly StoredCheckpoint[] };
  secretNames: { args: { after: string; limit: number }; result: readonly string[] };
  claim: { args: { key: string; ttlMs: number }; result: boolean };
  add: { args: { key: string; windowMs: number; n: number }; result: number };
  putShared: { args: { key: string; value: string; ttlMs: number }; result: undefined };
  removeShared: { args: { key: string }; result: undefined };
  listShared: { args: { prefix: string }; result: readonly SharedValue[] };
  diagnose: { args: Record<never, never>; result: SqliteDiagnosis };
  /** tells of changes by other processes while `on` */
  watch: { args: { on: boolean }; result: undefined };
  /** answered when the database is closed; the worker ends after it */
  close: { args: Record<never, never>; result: undefined };
}
export type CallName = keyof Calls;

export type Call = { readonly [N in CallName]: { readonly name: N } & Readonly<Calls[N]['args']> }[CallName];

export interface Request {
  readonly id: number;
  /** on `monotonicMs`; a call that is still waiting then is not begun */
  readonly deadlineMs: number;
  readonly call: Call;
}

export type Message =
  | { readonly type: 'opened' }
  | { readonly type: 'not_opened'; readonly failure: SentFailure }
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly failure: SentFailure }
  /** another process has written */
  | { readonly type: 'hint' }
  /** another file is at the path than the one that was open, or none */
  | { readonly type: 'replaced' };

/** An Error loses its class on the way. */
export interface SentFailure {
  readonly code: FailureCode;
  readonly detail: string;
  /** for logs only */
  readonly cause: string;
}

/** One clock for all threads of the machine that no adjustment of the time moves. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
