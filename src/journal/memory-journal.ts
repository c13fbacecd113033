/** A journal and blobs in memory: for tests, and for `serve` without a store. They keep every promise but durability. */
import { type Clock, systemClock } from '../core/clock.ts';
import { type Digest, sha256, ZERO_DIGEST } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { cannotBegin, expectAppendable, expectBlobSize, samePosition } from './append-rules.ts';
import {
  type CollectableBlobs,
  EMPTY_HEAD,
  type Journal,
  type JournalBase,
  type StoredCommit,
} from './journal.ts';
import { MAX_READ_BYTES } from './limits.ts';

/** @param initial  what is there already, taken as it is (a test may give a damaged one) */
export function createMemoryJournal(initial: readonly StoredCommit[] = []): Journal {
  const commits: StoredCommit[] = initial.map((commit) => structuredClone(commit));
  const ends = new Map(commits.map((commit) => [commit.id, endOf(commit)]));
  const hints = new Set<() => void>();
  let begin: JournalBase | undefined;
  const head = (): Position => {
    const last = commits.at(-1);
    return last === undefined ? (begin?.position ?? EMPTY_HEAD) : endOf(last);
  };

  return {
    async append(commit, expectedHead) {
      expectAppendable(commit, expectedHead);
      const there = ends.get(commit.id);
      if (there !== undefined) return there;
      if (!samePosition(head(), expectedHead)) {
        throw new Failure('object_changed', 'the head of the journal has moved');
      }
      commits.push(structuredClone(commit));
      ends.set(commit.id, endOf(commit));
      for (const hint of hints) queueMicrotask(hint);
      return endOf(commit);
    },
    find: async (id) => ends.get(id),
    async read(afterSeq, limit) {
      const page: StoredCommit[] = [];
      let entries = 0;
      let bytes = 0;
      for (let index = firstAfter(commits, afterSeq); index < commits.length; index += 1) {
        const commit = commits[index] as StoredCommit;
        entries += commit.entries.length;
        bytes += bodyBytes(commit);
        if (page.length > 0 && (entries > limit || bytes > MAX_READ_BYTES)) break;
        page.push(structuredClone(commit));
      }
      return page;
    },
    head: async () => head(),
    base: async () => begin,
    async beginAfter(base) {
      const at = commits.findIndex((commit) => samePosition(endOf(commit), base.position));
      const isEmpty = commits.length === 0 && begin === undefined;
      if (!isEmpty && (at < 0 || at === commits.length - 1)) throw cannotBegin(base);
      for (const { id } of commits.splice(0, at + 1)) ends.delete(id);
      begin = { ...base };
    },
    follow(onHint, signal) {
      if (signal.aborted) return;
      // one function of its own per call: the same one may follow twice
      const hint = (): void => onHint();
      hints.add(hint);
      signal.addEventListener('abort', () => hints.delete(hint), { once: true });
    },
    async close() {
      hints.clear();
    },
  };
}

export function createMemoryBlobs(clock: Clock = systemClock): CollectableBlobs {
  const blobs = new Map<Digest, { readonly bytes: Uint8Array; readonly putAtMs: number }>();
  const isOld = (digest: Digest, sinceMs: number): boolean =>
    (blobs.get(digest)?.putAtMs ?? Number.POSITIVE_INFINITY) < sinceMs;
  return {
    async put(bytes) {
      expectBlobSize(bytes);
      const digest = sha256(bytes);
      blobs.set(digest, { bytes: Uint8Array.from(bytes), putAtMs: clock.nowMs() });
      return digest;
    },
    async get(digest) {
      const blob = blobs.get(digest);
      if (blob === undefined) throw new Failure('not_found', 'there is no blob with this digest');
      return Uint8Array.from(blob.bytes);
    },
    nowMs: async () => clock.nowMs(),
    async listOld(sinceMs, after = ZERO_DIGEST, limit) {
      const old = [...blobs.keys()].filter((digest) => digest > after && isOld(digest, sinceMs));
      return old.toSorted().slice(0, limit);
    },
    async deleteOld(digests, sinceMs) {
      let bytes = 0;
      const old = digests.filter((digest) => isOld(digest, sinceMs));
      for (const digest of old) {
        bytes += blobs.get(digest)?.bytes.length ?? 0;
        blobs.delete(digest);
      }
      return { blobs: old.length, bytes };
    },
  };
}

function bodyBytes({ entries }: StoredCommit): number {
  return entries.reduce((sum, { body }) => sum + (body?.length ?? 0), 0);
}

function endOf(commit: StoredCommit): Position {
  const last = commit.entries.at(-1)?.entry;
  return last === undefined ? EMPTY_HEAD : { epoch: last.epoch, seq: last.seq, digest: last.digest };
}

/** Binary search: commits stand in order of seq. */
function firstAfter(commits: readonly StoredCommit[], afterSeq: number): number {
  let low = 0;
  let high = commits.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((commits[middle]?.entries[0]?.entry.seq ?? 0) > afterSeq) high = middle;
    else low = middle + 1;
  }
  return low;
}
