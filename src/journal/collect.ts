/**
 * Deletes blobs that nothing refers to: a publish that was refused after its blobs were put leaves some behind.
 *
 * A publish puts its blobs and then appends what refers to them. So a blob that was put within the grace period before
 * the journal is read stays, whatever the journal says: the grace period must be longer than any publish takes, and a
 * collection may take as long as it likes. Where the journal cannot be read to its end, or says something that this
 * program does not know, nothing is deleted.
 */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { checkpointBlobs, parseManifest } from './checkpoint.ts';
import { readChunks } from './checkpoint-chunks.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { CollectableBlobs, DeletedBlobs, Journal, JournalBase, StoredEntry } from './journal.ts';
import { ENTRY_KINDS, isEntryKind } from './kinds.ts';
import { readCommits } from './read-commits.ts';
import { createSlices } from './slices.ts';
import { verifyBody } from './verify-body.ts';
import { collectBlobReferences } from './verify-store.ts';

export interface CollectOptions {
  readonly journal: Pick<Journal, 'read' | 'head' | 'base'>;
  readonly blobs: Pick<CollectableBlobs, 'get' | 'nowMs' | 'listOld' | 'deleteOld'>;
  /** their chunks are referred to as well */
  readonly checkpoints: Pick<Checkpoints, 'latest'>;
  readonly graceMs: number;
  /** default 1000 */
  readonly maxDeleted?: number;
  /** entries per read; default 50 */
  readonly readLimit?: number;
  readonly signal?: AbortSignal;
}

export interface CollectResult extends DeletedBlobs {
  /** `maxDeleted` was reached: there may be more */
  readonly more: boolean;
}

const PAGE = 500;
/** of the thread that answers Checks, at a time */
const SLICE_MS = 2;

/**
 * @throws Failure store_diverged  for a journal with a gap or a body that is not sound; store_mismatch for a damaged
 *         checkpoint; journal_too_new; deadline_exceeded when `signal` is aborted; store_unavailable
 */
export async function collectBlobs(options: CollectOptions): Promise<CollectResult> {
  const { blobs, graceMs, maxDeleted = 1_000 } = options;
  const sinceMs = (await blobs.nowMs()) - graceMs;
  const referred = await findReferred(options);
  let deleted: CollectResult = { blobs: 0, bytes: 0, more: false };
  let after: Digest | undefined;
  for (;;) {
    const old = await blobs.listOld(sinceMs, after, PAGE);
    after = old.at(-1);
    if (after === undefined) return deleted;
    const idle = old.filter((digest) => !referred.has(digest));
    const now = await blobs.deleteOld(idle.slice(0, maxDeleted - deleted.blobs), sinceMs);
    deleted = { blobs: deleted.blobs + now.blobs, bytes: deleted.bytes + now.bytes, more: false };
    if (deleted.blobs >= maxDeleted) return { ...deleted, more: true };
  }
}

async function findReferred(options: CollectOptions): Promise<ReadonlySet<Digest>> {
  const { journal, checkpoints, readLimit = 50, signal } = options;
  const kept = await checkpoints.latest();
  const referred = new Set(kept.flatMap(({ manifest }) => checkpointBlobs(parseManifest(manifest))));
  const base = await journal.base();
  const through = await journal.head();
  const slices = createSlices(SLICE_MS);
  for (const digest of await referencesOfBase(base, options.blobs)) referred.add(digest);
  let seq = base?.position.seq ?? 0;
  for await (const { entries } of readCommits({ journal, through, readLimit, signal })) {
    for (const stored of entries) {
      seq += 1;
      if (stored.entry.seq !== seq) throw new Failure('store_diverged', `seq ${seq}: the entry is missing`);
      for (const digest of referencesOf(stored)) referred.add(digest);
      await slices.next();
    }
  }
  return referred;
}

/** What the archived entries refer to, the state that they led to refers to. */
async function referencesOfBase(
  base: JournalBase | undefined,
  blobs: Pick<CollectableBlobs, 'get'>,
): Promise<readonly Digest[]> {
  if (base === undefined) return [];
  const manifest = parseManifest(base.manifest);
  const found = [...checkpointBlobs(manifest)];
  for (const section of manifest.sections) {
    const { records } = await readChunks(section, blobs);
    for (const record of records) found.push(...collectBlobReferences(record));
  }
  return found;
}

function referencesOf(stored: StoredEntry): readonly Digest[] {
  const { seq, kind, schema } = stored.entry;
  if (!isEntryKind(kind) || ENTRY_KINDS[kind] !== schema) {
    throw new Failure('journal_too_new', `seq ${seq}: what it refers to is not known`);
  }
  const body = verifyBody(stored, (message) => {
    throw new Failure('store_diverged', `seq ${seq}: ${message}`);
  });
  return body === undefined ? [] : collectBlobReferences(body);
}
