/**
 * The local copy of a journal: its newest checkpoint, and the commits around and after it. A process can start from
 * it while the store is away, and knows from it when the store has lost something.
 *
 * A folder with `checkpoint.json` (the manifest), `blobs/` (chunks, and what policies need) and `commits.jsonl` (whole
 * commits, appended). All of it is verified as if a stranger had written it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { adoptionOf } from './adopt-body.ts';
import { samePosition } from './append-rules.ts';
import { type CheckpointManifest, parseManifest, verifyManifest } from './checkpoint.ts';
import { readChunks } from './checkpoint-chunks.ts';
import type { CapturedState } from './folded-state.ts';
import type { Blobs, CommitId, StoredCommit } from './journal.ts';
import { createLocalBlobs } from './local-blobs.ts';
import { fromStoredEntryJson, parseCommitLine } from './stored-json.ts';
import { CHAIN_START, type ChainState, type Expectations, verifyCommit } from './verify.ts';

export interface LocalCopy {
  readonly manifest?: CheckpointManifest;
  readonly checkpoint?: CapturedState;
  /**
   * Verified, in order, without a gap, to `position`: from the first one of the journal, or from some before the
   * checkpoint; none when it ends with the checkpoint
   */
  readonly commits: readonly StoredCommit[];
  readonly position: Position;
  /** the one that ends at `position` */
  readonly lastCommit: CommitId;
  /** where in the file each of `commits` begins, and where the last one ends, in bytes */
  readonly offsets: readonly number[];
}

export const COMMITS_FILE = 'commits.jsonl';
export const MANIFEST_FILE = 'checkpoint.json';
export const BLOBS_FOLDER = 'blobs';
const NEWLINE = 10;

/** Reads and verifies a checkpoint that a manifest tells of. @throws Failure of the manifest, of a chunk, of `blobs` */
export async function openCheckpoint(
  manifest: CheckpointManifest,
  blobs: Pick<Blobs, 'get'>,
  expectations: Expectations,
): Promise<CapturedState> {
  const chain = verifyManifest(manifest, expectations);
  const sections = [];
  for (const section of manifest.sections) sections.push(await readChunks(section, blobs));
  return { chain, genesis: fromStoredEntryJson(manifest.genesis), lastCommit: manifest.commit, sections };
}

/**
 * Commits at the end of the file that are torn or do not verify are left out.
 *
 * @param expectations  with the pin of genesis
 * @returns undefined when there is nothing
 * @throws Failure store_mismatch, journal_too_new  when it cannot be believed: another journal, a damaged checkpoint
 */
export async function readLocalCopy(
  folder: string,
  expectations: Expectations,
): Promise<LocalCopy | undefined> {
  const manifest = await readManifest(folder);
  const checkpoint =
    manifest && (await openCheckpoint(manifest, createLocalBlobs(join(folder, BLOBS_FOLDER)), expectations));
  const bytes = await readIfThere(join(folder, COMMITS_FILE));
  const read = readCommitLines(bytes ?? Buffer.alloc(0), checkpoint, expectations);
  const last = read.commits.at(-1);
  if (last !== undefined && read.state.position.seq >= (checkpoint?.chain.position.seq ?? 0)) {
    const { commits, offsets } = read;
    const end = { position: read.state.position, lastCommit: last.id };
    return { ...(manifest && { manifest }), ...(checkpoint && { checkpoint }), commits, offsets, ...end };
  }
  if (manifest === undefined || checkpoint === undefined) return undefined;
  const { position } = checkpoint.chain;
  return { manifest, checkpoint, commits: [], offsets: [0], position, lastCommit: manifest.commit };
}

async function readManifest(folder: string): Promise<CheckpointManifest | undefined> {
  const bytes = await readIfThere(join(folder, MANIFEST_FILE));
  return bytes && parseManifest(bytes.toString('utf8'));
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new Failure('store_mismatch', 'the local copy cannot be read', { cause });
  }
}

interface ReadCommits {
  readonly commits: readonly StoredCommit[];
  readonly offsets: readonly number[];
  readonly state: ChainState;
}

/** As many as are whole and verify. @throws Failure store_mismatch  when they are not those of the checkpoint */
function readCommitLines(
  bytes: Buffer,
  checkpoint: CapturedState | undefined,
  expectations: Expectations,
): ReadCommits {
  const commits: StoredCommit[] = [];
  const offsets = [0];
  let state = CHAIN_START;
  for (;;) {
    const start = offsets.at(-1) ?? 0;
    const end = bytes.indexOf(NEWLINE, start);
    const commit = end < 0 ? undefined : tryParse(bytes.toString('utf8', start, end));
    if (commit === undefined) break;
    const before = commits.length === 0 ? stateBefore(commit, checkpoint) : state;
    const verified = before && verifyCommit(before, commit, expectations);
    if (verified === undefined || verified.problems.length > 0) break;
    state = verified.state;
    expectThrough(checkpoint, commit, state.position);
    commits.push(commit);
    offsets.push(end + 1);
  }
  return { commits, offsets, state };
}

function tryParse(line: string): StoredCommit | undefined {
  try {
    return parseCommitLine(line);
  } catch {
    return undefined;
  }
}

/** What comes before the first one here is not here: the keys are the checkpoint's, and its position ties them to it. */
function stateBefore(first: StoredCommit, checkpoint: CapturedState | undefined): ChainState | undefined {
  const entry = first.entries[0]?.entry;
  if (entry === undefined || entry.seq === 1) return CHAIN_START;
  if (checkpoint === undefined || entry.seq > checkpoint.chain.position.seq + 1) return undefined;
  if (entry.seq === checkpoint.chain.position.seq + 1) return checkpoint.chain;
  const position = adoptionOf(first)?.base ?? {
    epoch: entry.epoch,
    seq: entry.seq - 1,
    digest: entry.previous,
  };
  return { ...checkpoint.chain, position, at: '' };
}

function expectThrough(
  checkpoint: CapturedState | undefined,
  commit: StoredCommit,
  position: Position,
): void {
  const at = checkpoint?.chain.position;
  const first = commit.entries[0]?.entry.seq ?? 0;
  if (at === undefined || position.seq < at.seq || first > at.seq) return;
  if (samePosition(position, at)) return;
  throw new Failure('store_mismatch', 'the local copy has a checkpoint and commits that are of two journals');
}
