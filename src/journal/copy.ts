/**
 * Copies a journal and the blobs that it refers to from one store to another, whatever they are made of: whole
 * commits, in order, each verified on its way, and no commit before its blobs.
 *
 * What was copied is a sound journal at any moment, so a copy that was cut off goes on where it ended: what is there
 * already is compared, and refused when it is another journal's.
 */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { samePosition } from './append-rules.ts';
import { openBase } from './base.ts';
import { checkpointBlobs, parseManifest } from './checkpoint.ts';
import type { Checkpoints } from './checkpoints.ts';
import { type BlobCopy, createBlobCopy } from './copy-blobs.ts';
import { copyCheckpoints } from './copy-checkpoints.ts';
import {
  type Blobs,
  EMPTY_HEAD,
  type Journal,
  type JournalBase,
  type StoredCommit,
  type StoredEntry,
} from './journal.ts';
import { readCommits } from './read-commits.ts';
import {
  CHAIN_START,
  type ChainState,
  type Expectations,
  type VerifiedCommit,
  verifyCommit,
} from './verify.ts';
import { collectBlobReferences } from './verify-store.ts';

export interface CopySource {
  readonly journal: Pick<Journal, 'read' | 'head' | 'base'>;
  readonly blobs: Pick<Blobs, 'get'>;
  readonly checkpoints: Pick<Checkpoints, 'latest'>;
}

export interface CopyTarget {
  readonly journal: Journal;
  readonly blobs: Blobs;
  readonly checkpoints: Pick<Checkpoints, 'put'>;
}

export interface CopyOptions {
  readonly source: CopySource;
  readonly target: CopyTarget;
  /** the pin of genesis, and whose journal it must be */
  readonly expectations: Expectations;
  /** told often: it should be quick */
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal;
  /** entries per read; default 200 */
  readonly readLimit?: number;
}

export interface CopyProgress {
  /** of the source, that the target has and that were verified */
  readonly entries: number;
  readonly of: number;
  readonly blobs: number;
  /** of bodies and blobs */
  readonly bytes: number;
}

export interface CopyResult extends CopyProgress {
  /** the head of the target, which the source had when the copy began */
  readonly head: Position;
  /** entries that this run brought to the target */
  readonly copied: number;
  /** of the source, those that the target has too */
  readonly checkpoints: number;
}

/**
 * @throws Failure store_mismatch  for another journal than the pinned one, or a target with another content;
 *         store_diverged when the source is not sound; journal_too_new; deadline_exceeded when `signal` is aborted;
 *         store_unavailable
 */
export async function copyStore(options: CopyOptions): Promise<CopyResult> {
  const { source, target, expectations, onProgress, signal, readLimit } = options;
  const through = await source.journal.head();
  if (through.seq === 0) throw new Failure('store_mismatch', 'the source is empty: there is nothing to copy');
  const there = await target.journal.head();
  if (there.seq > through.seq) {
    throw new Failure(
      'store_mismatch',
      `the target ends at seq ${there.seq}, beyond the source (${through.seq})`,
    );
  }

  const copyBlob = createBlobCopy(source.blobs, target.blobs);
  const found = await source.checkpoints.latest();
  const places = new Map<number, Position | undefined>(
    found.map(({ position }) => [position.seq, undefined]),
  );
  const base = await source.journal.base();
  const of = through.seq - (base?.position.seq ?? 0);
  const begun = await copyBase(base, copyBlob, options, (amount) =>
    onProgress?.({ entries: 0, of, ...amount }),
  );
  let { state } = begun;
  let progress: CopyProgress = { entries: 0, of, ...begun.amount };
  const afterSeq = state.position.seq;
  const present = readCommits({ journal: target.journal, afterSeq, through: there, readLimit, signal });
  if (places.has(afterSeq)) places.set(afterSeq, state.position);
  const firstCopied = Math.max(there.seq, afterSeq);
  for await (const commit of readCommits({ journal: source.journal, afterSeq, through, readLimit, signal })) {
    const verified = verify(state, commit, expectations);
    const copied = await copyBlobs(verified, copyBlob, signal);
    const next = await present.next();
    if (next.done === true) await target.journal.append(commit, headOf(state));
    else if (!sameCommit(commit, next.value)) throw differs(commit);
    state = verified.state;
    if (places.has(state.position.seq)) places.set(state.position.seq, state.position);
    progress = add(progress, commit, copied);
    onProgress?.(progress);
  }
  const head = await target.journal.head();
  if (!samePosition(state.position, through) || !samePosition(head, through)) {
    throw new Failure('store_diverged', 'the copy has another head than the source had');
  }
  const positionAt = (seq: number): Position | undefined => places.get(seq);
  const checkpoints = await copyCheckpoints({
    found,
    target: target.checkpoints,
    copyBlob,
    positionAt,
    expectations,
  });
  return { ...progress, head, copied: head.seq - firstCopied, checkpoints };
}

/** The target begins where the source does. @throws Failure store_mismatch  when it has begun elsewhere */
async function copyBase(
  base: JournalBase | undefined,
  copyBlob: BlobCopy,
  { source, target, expectations, signal }: CopyOptions,
  onCopied: (amount: Amount) => void,
): Promise<{ readonly state: ChainState; readonly amount: Amount }> {
  const begun = await target.journal.base();
  const isEmpty = begun === undefined && (await target.journal.head()).seq === 0;
  const isSame =
    base === undefined || begun === undefined ? base === begun : samePosition(base.position, begun.position);
  if (!isEmpty && !isSame) {
    throw new Failure(
      'store_mismatch',
      'the target begins at another entry than the source: make a new copy',
    );
  }
  const state = await openBase(base, source.blobs, expectations);
  if (base === undefined || state === undefined)
    return { state: CHAIN_START, amount: { blobs: 0, bytes: 0 } };
  const records = state.sections.flatMap((section) => [...section.records]);
  const referred = records.flatMap(collectBlobReferences);
  let amount: Amount = { blobs: 0, bytes: 0 };
  for (const digest of [...checkpointBlobs(parseManifest(base.manifest)), ...referred]) {
    expectWanted(signal);
    const size = await nameSeq(base.position.seq, digest, copyBlob(digest));
    if (size !== undefined) amount = { blobs: amount.blobs + 1, bytes: amount.bytes + size };
    onCopied(amount);
  }
  if (isEmpty) await target.journal.beginAfter(base);
  return { state: state.chain, amount };
}

function verify(state: ChainState, commit: StoredCommit, expectations: Expectations): VerifiedCommit {
  const verified = verifyCommit(state, commit, expectations);
  const [problem] = verified.problems;
  if (problem === undefined) return verified;
  throw new Failure(problem.code, `seq ${problem.seq}: ${problem.message}`);
}

interface Amount {
  readonly blobs: number;
  readonly bytes: number;
}

async function copyBlobs(
  { entries }: VerifiedCommit,
  copy: BlobCopy,
  signal: AbortSignal | undefined,
): Promise<Amount> {
  let blobs = 0;
  let bytes = 0;
  for (const { entry, body } of entries) {
    for (const digest of body === undefined ? [] : collectBlobReferences(body)) {
      expectWanted(signal);
      const size = await nameSeq(entry.seq, digest, copy(digest));
      blobs += size === undefined ? 0 : 1;
      bytes += size ?? 0;
    }
  }
  return { blobs, bytes };
}

/** @throws Failure deadline_exceeded */
function expectWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new Failure('deadline_exceeded', 'the copy was stopped');
}

/** @throws Failure store_diverged  for a blob that the source has not, or not whole */
async function nameSeq<T>(seq: number, digest: Digest, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    const failure = Failure.from(thrown, 'store_unavailable');
    if (failure.code !== 'not_found' && failure.code !== 'store_mismatch') throw failure;
    throw new Failure('store_diverged', `seq ${seq}: blob ${digest}: ${failure.detail}`, { cause: failure });
  }
}

function headOf({ position }: ChainState): Position {
  return position.seq === 0 ? EMPTY_HEAD : position;
}

function sameCommit(a: StoredCommit, b: StoredCommit): boolean {
  const same = (one: StoredEntry, other: StoredEntry | undefined): boolean =>
    one.entry.digest === other?.entry.digest &&
    one.entry.signature === other.entry.signature &&
    sameBytes(one.salt, other.salt) &&
    sameBytes(one.body, other.body);
  return a.entries.length === b.entries.length && a.entries.every((entry, at) => same(entry, b.entries[at]));
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

function differs(commit: StoredCommit): Failure {
  const seq = commit.entries[0]?.entry.seq ?? 0;
  return new Failure('store_mismatch', `the target holds another journal: seq ${seq} differs`);
}

function add(progress: CopyProgress, { entries }: StoredCommit, { blobs, bytes }: Amount): CopyProgress {
  const bodies = entries.reduce((sum, { body }) => sum + (body?.length ?? 0), 0);
  return {
    entries: progress.entries + entries.length,
    of: progress.of,
    blobs: progress.blobs + blobs,
    bytes: progress.bytes + bodies + bytes,
  };
}
