/** `chancery store verify`: walks a whole journal and the blobs that it refers to, and names every place that is broken. */
import { type Digest, isDigest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { Position } from '../core/position.ts';
import { samePosition } from './append-rules.ts';
import { openBase } from './base.ts';
import { parseManifest, verifyManifest } from './checkpoint.ts';
import { type Blobs, EMPTY_HEAD, type Journal, type JournalBase, type StoredCommit } from './journal.ts';
import {
  CHAIN_START,
  type ChainProblem,
  type ChainState,
  type Expectations,
  type VerifiedEntry,
  verifyCommit,
} from './verify.ts';

export interface VerifyStoreOptions {
  readonly journal: Journal;
  readonly blobs: Blobs;
  /** without the pin of genesis the result is "consistent, not anchored" at best */
  readonly expectations?: Expectations;
  /** the blobs that a body refers to; default `collectBlobReferences` */
  readonly blobReferences?: (body: JsonObject) => readonly Digest[];
  /** entries per read; default 200 */
  readonly readLimit?: number;
  /** the entries that were archived, from genesis, in order: they are walked as well */
  readonly archived?: AsyncIterable<StoredCommit>;
  readonly signal?: AbortSignal;
}

export interface VerifyStoreResult {
  /** no problem was found */
  readonly ok: boolean;
  /** genesis was compared with a pin, and is the pinned one */
  readonly anchored: boolean;
  /** seq of the checkpoint that it began with, which stands for what was archived; 0: it began with genesis */
  readonly from: number;
  /** the last entry that was walked */
  readonly head: Position;
  readonly entries: number;
  /** seqs whose body was erased */
  readonly erased: readonly number[];
  /** at most one per seq, in order; it ends after `MAX_PROBLEMS` */
  readonly problems: readonly ChainProblem[];
}

export const MAX_PROBLEMS = 1000;

/** @throws Failure store_unavailable  when the store cannot be read; deadline_exceeded when `signal` is aborted */
export async function verifyStore(options: VerifyStoreOptions): Promise<VerifyStoreResult> {
  const { journal, expectations = {}, archived, readLimit = 200 } = options;
  const walk = createWalk(options);
  const base = await journal.base();
  const chain = base === undefined ? CHAIN_START : await checkBase(base, walk, options);
  let state = archived === undefined ? chain : await walkArchived(archived, base, walk, expectations);
  while (state !== undefined) {
    if (options.signal?.aborted === true) throw new Failure('deadline_exceeded', 'the walk was stopped');
    const commits: readonly StoredCommit[] = await journal.read(state.position.seq, readLimit);
    if (commits.length === 0 || walk.problems.size >= MAX_PROBLEMS) break;
    for (const commit of commits) {
      const verified = verifyCommit(state, commit, expectations);
      state = verified.state;
      await walk.note(verified.entries, verified.problems);
    }
  }
  const head = state?.position ?? EMPTY_HEAD;
  if (head.seq === 0 && base === undefined) walk.add(1, 'the journal has no genesis', 'store_mismatch');
  const problems = [...walk.problems.values()].toSorted((a, b) => a.seq - b.seq);
  return {
    ok: problems.length === 0,
    // a checkpoint is believed only where its genesis is the pinned one
    anchored:
      expectations.genesis !== undefined &&
      (base === undefined || archived !== undefined
        ? expectations.genesis === walk.genesisDigest()
        : chain !== undefined),
    from: archived === undefined ? (base?.position.seq ?? 0) : 0,
    head: head.seq === 0 ? EMPTY_HEAD : head,
    entries: walk.count(),
    erased: walk.erased,
    problems,
  };
}

/**
 * What stands for the archived entries: whether it can be believed and read, and the blobs that it refers to.
 *
 * @returns the chain after it; undefined: nobody can say what comes next
 */
async function checkBase(
  base: JournalBase,
  walk: Walk,
  { blobs, blobReferences = collectBlobReferences, expectations = {} }: VerifyStoreOptions,
): Promise<ChainState | undefined> {
  const { seq } = base.position;
  let chain: ChainState | undefined;
  try {
    chain = verifyManifest(parseManifest(base.manifest), expectations);
    const state = await openBase(base, blobs, expectations);
    const records = (state?.sections ?? []).flatMap((section) => [...section.records]);
    for (const digest of records.flatMap(blobReferences)) await walk.checkBlob(seq, digest);
  } catch (thrown) {
    const { code, detail } = Failure.from(thrown, 'store_unavailable');
    if (code !== 'store_mismatch' && code !== 'journal_too_new') throw thrown;
    walk.add(seq, detail, code);
  }
  return chain;
}

/** @returns the chain after them. @throws what `archived` throws */
async function walkArchived(
  archived: AsyncIterable<StoredCommit>,
  base: JournalBase | undefined,
  walk: Walk,
  expectations: Expectations,
): Promise<ChainState> {
  let state = CHAIN_START;
  for await (const commit of archived) {
    const verified = verifyCommit(state, commit, expectations);
    state = verified.state;
    // a blob that only archived entries refer to may have been collected
    await walk.note(verified.entries, verified.problems, false);
  }
  if (base !== undefined && !samePosition(state.position, base.position)) {
    walk.add(base.position.seq, 'the archived entries do not end where the store begins');
  }
  return state;
}

interface Walk {
  readonly problems: ReadonlyMap<number, ChainProblem>;
  readonly erased: readonly number[];
  add(seq: number, message: string, code?: ChainProblem['code']): void;
  /** @param withBlobs  default true */
  note(
    entries: readonly VerifiedEntry[],
    problems: readonly ChainProblem[],
    withBlobs?: boolean,
  ): Promise<void>;
  /** of what stands at a seq */
  checkBlob(seq: number, digest: Digest): Promise<void>;
  count(): number;
  genesisDigest(): Digest | undefined;
}

function createWalk({ blobs, blobReferences = collectBlobReferences }: VerifyStoreOptions): Walk {
  const problems = new Map<number, ChainProblem>();
  const erased: number[] = [];
  const blobProblem = createBlobCheck(blobs);
  let count = 0;
  let genesisDigest: Digest | undefined;
  const add: Walk['add'] = (seq, message, code = 'store_diverged') => {
    if (!problems.has(seq)) problems.set(seq, { code, seq, message });
  };
  const checkBlob: Walk['checkBlob'] = async (seq, digest) => {
    const message = await blobProblem(digest);
    if (message !== undefined) add(seq, `blob ${digest}: ${message}`);
  };
  return {
    problems,
    erased,
    add,
    checkBlob,
    async note(entries, found, withBlobs = true) {
      for (const { seq, message, code } of found) add(seq, message, code);
      for (const { entry, body, erased: isErased } of entries) {
        count += 1;
        if (entry.seq === 1) genesisDigest = entry.digest;
        if (isErased) erased.push(entry.seq);
        if (body === undefined || !withBlobs) continue;
        for (const digest of blobReferences(body)) await checkBlob(entry.seq, digest);
      }
    },
    count: () => count,
    genesisDigest: () => genesisDigest,
  };
}

/** @returns what is wrong with a blob, read once however many entries refer to it */
function createBlobCheck(blobs: Blobs): (digest: Digest) => Promise<string | undefined> {
  const known = new Map<Digest, string | undefined>();
  return async (digest) => {
    if (!known.has(digest)) known.set(digest, await readBlob(blobs, digest));
    return known.get(digest);
  };
}

async function readBlob(blobs: Blobs, digest: Digest): Promise<string | undefined> {
  try {
    await blobs.get(digest);
    return undefined;
  } catch (thrown) {
    const failure = Failure.from(thrown, 'store_unavailable');
    if (failure.code === 'not_found' || failure.code === 'store_mismatch') return failure.detail;
    throw failure;
  }
}

/** Members that name a blob, at any depth of a body. A blob that is named elsewhere only is lost to the collection. */
const BLOB_MEMBERS = new Set(['source', 'artefact']);

/** Every digest that stands in a body under `source` or `artefact`. */
export function collectBlobReferences(body: JsonObject): readonly Digest[] {
  const found = new Set<Digest>();
  const pending: Json[] = [body];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (Array.isArray(value)) pending.push(...(value as readonly Json[]));
    if (!isJsonObject(value)) continue;
    for (const [name, member] of Object.entries(value)) {
      if (BLOB_MEMBERS.has(name) && isDigest(member)) found.add(member);
      else pending.push(member);
    }
  }
  return [...found];
}
