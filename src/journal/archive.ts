/**
 * `chancery store archive`: entries up to a checkpoint leave the store as a signed segment, and the journal begins after
 * that checkpoint.
 *
 * Nothing is deleted before the checkpoint has been compared with what the entries fold to, and the segment has been read
 * back from the disk and verified. Killed anywhere, the next run goes on: what has the name of a segment is whole.
 */
import { mkdir } from 'node:fs/promises';
import { sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { samePosition } from './append-rules.ts';
import { openBase } from './base.ts';
import { type CheckpointManifest, checkpointBlobs, parseManifest, stateDigestOf } from './checkpoint.ts';
import { writeChunks } from './checkpoint-chunks.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Reducer } from './fold.ts';
import { type CapturedState, FoldedState } from './folded-state.ts';
import type { Blobs, Journal } from './journal.ts';
import { openCheckpoint } from './local-copy.ts';
import { readCommits } from './read-commits.ts';
import { type SegmentManifest, segmentDigest, segmentName, signSegment } from './segment.ts';
import { readSegment, writeCommits } from './segment-files.ts';
import { findSegments } from './segments.ts';
import type { SigningKey } from './signing-key.ts';
import { createSlices } from './slices.ts';
import { toCommitLine } from './stored-json.ts';
import { CHAIN_START, type ChainState, type Expectations, verifyCommit } from './verify.ts';

export interface ArchiveOptions {
  readonly journal: Pick<Journal, 'head' | 'read' | 'base' | 'beginAfter'>;
  readonly blobs: Blobs;
  readonly checkpoints: Pick<Checkpoints, 'latest'>;
  /** with the pin of genesis */
  readonly expectations: Expectations;
  /** the last entry that may leave: its seq, or a time that it is before */
  readonly before: number | Date;
  /** Younger entries stay: an Idempotency-Key must be found as long as it lives. */
  readonly youngestMs: number;
  /** reducers that have folded nothing */
  readonly createReducers: () => readonly Reducer[];
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

export interface ArchivePlan {
  /** what the journal begins with now; undefined: genesis */
  readonly base: CapturedState | undefined;
  readonly checkpoint: CheckpointManifest;
  /** its text */
  readonly manifest: string;
  /** of the entries that leave */
  readonly firstSeq: number;
  readonly entries: number;
}

/**
 * Changes nothing.
 *
 * @throws Failure not_found  when no checkpoint is kept that entries may leave up to; it says why each cannot be used
 */
export async function planArchive(options: ArchiveOptions): Promise<ArchivePlan> {
  const { journal, blobs, checkpoints, expectations } = options;
  const base = await openBase(await journal.base(), blobs, expectations);
  const head = await journal.head();
  const beganSeq = base?.chain.position.seq ?? 0;
  const reasons: string[] = [];
  for (const { position, manifest } of await checkpoints.latest()) {
    try {
      const checkpoint = parseManifest(manifest);
      await openCheckpoint(checkpoint, blobs, expectations);
      expectUsable(checkpoint, beganSeq, head, options);
      const firstSeq = beganSeq + 1;
      return { base, checkpoint, manifest, firstSeq, entries: checkpoint.position.seq - beganSeq };
    } catch (thrown) {
      const failure = Failure.from(thrown, 'store_unavailable');
      if (failure.code === 'store_unavailable') throw failure;
      reasons.push(`the one at seq ${position.seq}: ${failure.detail}`);
    }
  }
  const why = reasons.length === 0 ? 'the store keeps none' : reasons.join('; ');
  throw new Failure('not_found', `there is no checkpoint that entries could leave up to: ${why}`);
}

function expectUsable(
  { position: { seq }, at }: CheckpointManifest,
  beganSeq: number,
  head: Position,
  { before, youngestMs }: ArchiveOptions,
): void {
  const refuse = (why: string): never => {
    throw new Failure('object_changed', why);
  };
  if (typeof before === 'number' ? seq > before : Date.parse(at) >= before.getTime()) {
    refuse('it is beyond --before');
  }
  if (Date.parse(at) > youngestMs) refuse('its last entry is younger than 24 hours');
  if (seq >= head.seq) refuse('no entry would be left');
  if (seq <= beganSeq) refuse('everything up to it was archived before');
}

export interface ArchiveRun extends ArchiveOptions {
  readonly signingKey: SigningKey;
  /** made when it is not there; it holds the earlier segments too */
  readonly folder: string;
}

/**
 * @returns the name of the segment, without its ends
 * @throws Failure store_mismatch  when the checkpoint is not what the entries fold to, the earlier segments are not in the
 *         folder, or what was written cannot be read back; object_changed when somebody else has archived meanwhile
 */
export async function archive(plan: ArchivePlan, options: ArchiveRun): Promise<string> {
  const { journal, blobs, folder } = options;
  const { checkpoint, manifest } = plan;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const segment = (await findWritten(plan, options)) ?? (await write(plan, options));
  await readBack(segment, plan, options);
  // a collection that has begun may not know yet that these are needed from now on: to put them renews their time
  for (const digest of checkpointBlobs(checkpoint)) await blobs.put(await blobs.get(digest));
  await journal.beginAfter({ position: checkpoint.position, manifest });
  return segmentName(segment);
}

/** What a run has left that was cut off before it deleted. */
async function findWritten(
  { base, checkpoint, firstSeq }: ArchivePlan,
  { folder, blobs, expectations }: ArchiveRun,
): Promise<SegmentManifest | undefined> {
  const { keys } = (await openCheckpoint(checkpoint, blobs, expectations)).chain;
  const before = base && (await findSegments(folder, base.chain.position, keys)).at(-1);
  try {
    const last = (await findSegments(folder, checkpoint.position, keys)).at(-1);
    const isNext = last?.from.seq === firstSeq && last.previous === (before ? segmentDigest(before) : null);
    return isNext ? last : undefined;
  } catch (thrown) {
    if (Failure.from(thrown).code === 'store_mismatch') return undefined;
    throw thrown;
  }
}

async function write(plan: ArchivePlan, options: ArchiveRun): Promise<SegmentManifest> {
  const { folder, signingKey } = options;
  const { base, checkpoint, entries } = plan;
  const { createReducers, expectations, logger } = options;
  const folded = new FoldedState({ reducers: createReducers(), expectations, logger });
  if (base !== undefined) folded.restore(base);
  const first: Position[] = [];
  const commits = await writeCommits(folder, foldLines(folded, plan, options, first));
  try {
    await expectState(folded, checkpoint);
    const { genesis, position } = folded.chain();
    const [from] = first;
    if (genesis === undefined || from === undefined)
      throw new Failure('store_diverged', 'there are no entries');
    const keys = folded.chain().keys;
    const before = base && (await findSegments(folder, base.chain.position, keys)).at(-1);
    const unsigned = {
      v: 1 as const,
      instance: genesis.instance,
      environment: genesis.environment,
      from,
      through: { epoch: position.epoch, seq: position.seq, digest: position.digest },
      entries,
      file: commits.digest,
      previous: before === undefined ? null : segmentDigest(before),
    };
    const segment = signSegment(unsigned, signingKey);
    await commits.name(folder, segment);
    return segment;
  } finally {
    await commits.remove();
  }
}

async function* foldLines(
  folded: FoldedState,
  { checkpoint }: ArchivePlan,
  { journal, signal }: ArchiveRun,
  first: Position[],
): AsyncGenerator<string, void, void> {
  for await (const commit of readCommits({ journal, through: checkpoint.position, signal })) {
    folded.apply(commit);
    const entry = commit.entries[0]?.entry;
    if (first.length === 0 && entry !== undefined) {
      first.push({ epoch: entry.epoch, seq: entry.seq, digest: entry.digest });
    }
    yield toCommitLine(commit);
  }
}

/** A checkpoint says who wrote it; that it is what these entries lead to is found out here, while they are there. */
async function expectState(folded: FoldedState, checkpoint: CheckpointManifest): Promise<void> {
  const state = folded.capture();
  const nowhere = { put: async (bytes: Uint8Array) => sha256(bytes) };
  const sections = [];
  for (const section of (state?.sections ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    sections.push(await writeChunks(section, nowhere, createSlices(SLICE_MS)));
  }
  const isSame =
    samePosition(folded.position(), checkpoint.position) &&
    stateDigestOf(sections) === checkpoint.stateDigest;
  if (!isSame) throw new Failure('store_mismatch', 'the checkpoint is not what the entries lead to');
}

const SLICE_MS = 50;

/** From the disk, as whoever reads it later. */
async function readBack(
  segment: SegmentManifest,
  { base, checkpoint, entries: expected }: ArchivePlan,
  { folder, expectations }: ArchiveRun,
): Promise<void> {
  let state: ChainState = base?.chain ?? CHAIN_START;
  let entries = 0;
  for await (const commit of readSegment(folder, segment)) {
    const verified = verifyCommit(state, commit, expectations);
    const [problem] = verified.problems;
    if (problem !== undefined) {
      throw new Failure('store_mismatch', `the segment, seq ${problem.seq}: ${problem.message}`);
    }
    state = verified.state;
    entries += commit.entries.length;
  }
  if (samePosition(state.position, checkpoint.position) && entries === expected) return;
  throw new Failure('store_mismatch', 'the segment does not end where the checkpoint does');
}
