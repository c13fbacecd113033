/**
 * Keeps the local copy: what is applied is appended, and a newer checkpoint of the store shortens it. Nothing waits
 * for it. When it has lost the thread (a full disk, a checkpoint restored, an adopted journal), it begins anew from
 * the store.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { samePosition } from './append-rules.ts';
import {
  type CheckpointManifest,
  checkpointBlobs,
  parseManifest,
  toManifestText,
  verifyManifest,
} from './checkpoint.ts';
import type { CheckpointMeasures } from './checkpoint-measures.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { JournalFollower } from './follower.ts';
import { type Blobs, EMPTY_HEAD, type Journal, type StoredCommit } from './journal.ts';
import { createLocalBlobs, type LocalBlobs, writeWhole } from './local-blobs.ts';
import { LocalCommits } from './local-commits.ts';
import { BLOBS_FOLDER, COMMITS_FILE, type LocalCopy, MANIFEST_FILE } from './local-copy.ts';
import type { Expectations } from './verify.ts';

export interface LocalCopyOptions {
  readonly folder: string;
  readonly follower: Pick<JournalFollower, 'position' | 'onApplied'>;
  readonly journal: Pick<Journal, 'read' | 'head'>;
  readonly checkpoints: Checkpoints;
  readonly blobs: Pick<Blobs, 'get'>;
  /** blobs that a start without the store needs besides */
  readonly needed: () => readonly Digest[];
  readonly expectations: Expectations;
  readonly logger: Logger;
  readonly measures: CheckpointMeasures;
  /** entries after which a newer checkpoint is looked for; default 1000 */
  readonly rotateEvery?: number;
}

export interface LocalCopyKeeper {
  /** Resolves when everything that is applied has been copied, or cannot be. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** Entries before the checkpoint that stay: what an adoption can name of a range that was lost. */
const HISTORY_ENTRIES = 4_096;
/** Without a newer checkpoint it ends there: a copy is no second store. */
const MAX_BYTES = 256 * 1_048_576;
/** Commits that wait for the disk; when there are more, they are read from the store again. */
const MAX_QUEUED = 1_024;
const READ_LIMIT = 200;
const RETRY_MS = 30_000;

/** @param copy  what was read from the folder, before the follower goes on from there */
export function keepLocalCopy(options: LocalCopyOptions, copy: LocalCopy | undefined): LocalCopyKeeper {
  const keeper = new Keeper(options, copy?.manifest);
  keeper.start(copy);
  return keeper;
}

class Keeper implements LocalCopyKeeper {
  readonly #options: LocalCopyOptions;
  readonly #rotateEvery: number;
  readonly #blobs: LocalBlobs;
  readonly #commits: LocalCommits;
  #manifest: CheckpointManifest | undefined;
  /** of the files */
  #end = EMPTY_HEAD;
  /** what was applied is not what comes next in the files */
  #stale = false;
  /** a change of the files was begun and did not end */
  #broken = false;
  #full = false;
  #blobsAreDue = true;
  #queue: StoredCommit[] = [];
  #sinceLook = 0;
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #trouble: string | undefined;
  #stop: () => void = () => {};

  constructor(options: LocalCopyOptions, manifest: CheckpointManifest | undefined) {
    this.#options = options;
    this.#rotateEvery = options.rotateEvery ?? 1_000;
    this.#blobs = createLocalBlobs(join(options.folder, BLOBS_FOLDER));
    this.#commits = new LocalCommits(join(options.folder, COMMITS_FILE));
    this.#manifest = manifest;
  }

  start(copy: LocalCopy | undefined): void {
    const { follower } = this.#options;
    this.#stale = copy === undefined || !samePosition(copy.position, follower.position());
    this.#stop = follower.onApplied(({ changed }, commit) => {
      if (commit === undefined || this.#queue.length >= MAX_QUEUED) this.#drop();
      else this.#queue.push(commit);
      this.#sinceLook += commit?.entries.length ?? 0;
      if ([...changed].some((key) => key.startsWith('release/'))) this.#blobsAreDue = true;
      this.#run();
    });
    this.#run(copy && (() => this.#resume(copy)));
  }

  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async close(): Promise<void> {
    this.#stop();
    clearTimeout(this.#retry);
    await this.settled();
    clearTimeout(this.#retry);
    await this.#commits.close();
  }

  #drop(): void {
    this.#queue = [];
    this.#stale = true;
  }

  /** One at a time; what comes meanwhile is done by the same run. */
  #run(first?: () => Promise<void>): void {
    if (this.#running !== undefined) return;
    clearTimeout(this.#retry);
    this.#running = this.#work(first).finally(() => {
      this.#running = undefined;
    });
  }

  async #work(first: (() => Promise<void>) | undefined): Promise<void> {
    try {
      await first?.();
      do await this.#copy();
      while (this.#queue.length > 0 || (this.#stale && !this.#full));
      this.#trouble = undefined;
    } catch (thrown) {
      const err = Failure.from(thrown, 'internal', 'the local copy cannot be written');
      this.#options.measures.notCopied();
      if (err.message !== this.#trouble) this.#options.logger.error({ err }, 'the local copy is not kept');
      this.#trouble = err.message;
      this.#retry = setTimeout(() => this.#run(), RETRY_MS).unref();
    }
  }

  async #resume(copy: LocalCopy): Promise<void> {
    await this.#change(() => this.#commits.resume(copy.commits, copy.offsets));
    this.#setEnd(copy.position);
  }

  async #copy(): Promise<void> {
    const isDue = this.#sinceLook >= this.#rotateEvery;
    if (this.#full && !isDue) return this.#drop();
    const next = this.#queue[0];
    if (this.#stale || this.#broken || (next !== undefined && !follows(next, this.#end))) {
      await this.#beginAnew();
    } else {
      await this.#append(this.#queue.splice(0));
      if (isDue) await this.#rotate();
    }
    if (this.#blobsAreDue) await this.#copyBlobs();
  }

  async #append(commits: readonly StoredCommit[]): Promise<void> {
    const last = commits.at(-1);
    if (last === undefined) return;
    if (this.#commits.bytes() > MAX_BYTES) {
      this.#full = true;
      this.#drop();
      throw new Failure('overloaded', 'the local copy is full until the store has a newer checkpoint');
    }
    await this.#change(() => this.#commits.append(commits));
    this.#setEnd(endOf(last));
  }

  async #change(work: () => Promise<void>): Promise<void> {
    this.#broken = true;
    await work();
    this.#broken = false;
  }

  #setEnd(end: Position): void {
    this.#end = end;
    this.#options.measures.copied(end.seq);
  }

  /** The manifest first: commits that do not go with it are left out by whoever reads. */
  async #beginAnew(): Promise<void> {
    const { follower, journal, folder } = this.#options;
    this.#stale = false;
    this.#sinceLook = 0;
    // whoever applies more from here on queues it, or makes this stale
    this.#queue = [];
    const target = follower.position();
    try {
      const head = await journal.head();
      if (target.seq > 0 && (head.epoch !== target.epoch || head.seq < target.seq)) throw notThere();
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const manifest = await this.#newest(target.seq);
      if (this.#full && manifest?.position.seq === this.#manifest?.position.seq) return this.#drop();
      this.#full = false;
      if (manifest !== undefined) await this.#saveManifest(manifest);
      await this.#change(() => this.#commits.resume([], [0]));
      this.#setEnd(manifest?.position ?? EMPTY_HEAD);
      await this.#readTo(target);
      this.#blobsAreDue = true;
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  async #readTo(target: Position): Promise<void> {
    while (this.#end.seq < target.seq) {
      const page = await this.#options.journal.read(this.#end.seq, READ_LIMIT);
      const known = page.filter((commit) => endOf(commit).seq <= target.seq);
      const [first] = known;
      if (first === undefined || !follows(first, this.#end)) throw notThere();
      await this.#append(known);
    }
    if (!samePosition(this.#end, target)) throw notThere();
  }

  async #rotate(): Promise<void> {
    this.#sinceLook = 0;
    const end = this.#end.seq;
    const manifest = await this.#newest(end);
    if (manifest === undefined || manifest.position.seq <= (this.#manifest?.position.seq ?? 0)) return;
    await this.#saveManifest(manifest);
    const keptSeq = Math.min(manifest.position.seq + 1, end - HISTORY_ENTRIES);
    await this.#change(() => this.#commits.cutBefore(keptSeq));
    this.#blobsAreDue = true;
  }

  /** @returns the newest of the store that is believed and not beyond `seq` */
  async #newest(seq: number): Promise<CheckpointManifest | undefined> {
    const { checkpoints, expectations, logger } = this.#options;
    for (const stored of await checkpoints.latest()) {
      try {
        const manifest = parseManifest(stored.manifest);
        verifyManifest(manifest, expectations);
        if (manifest.position.seq <= seq) return manifest;
      } catch (thrown) {
        const err = Failure.from(thrown, 'store_mismatch');
        logger.warn({ err, seq: stored.position.seq }, 'a checkpoint of the store is not copied');
      }
    }
    return undefined;
  }

  async #saveManifest(manifest: CheckpointManifest): Promise<void> {
    await this.#fetch(checkpointBlobs(manifest));
    await writeWhole(join(this.#options.folder, MANIFEST_FILE), toManifestText(manifest));
    this.#manifest = manifest;
  }

  async #copyBlobs(): Promise<void> {
    const needed = this.#options.needed();
    await this.#fetch(needed);
    const chunks = this.#manifest === undefined ? [] : checkpointBlobs(this.#manifest);
    await this.#blobs.keep(new Set([...needed, ...chunks]));
    this.#blobsAreDue = false;
  }

  async #fetch(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      // what is there and damaged is healed
      const isThere = await this.#blobs.get(digest).then(
        () => true,
        () => false,
      );
      if (!isThere) await this.#blobs.put(await this.#options.blobs.get(digest));
    }
  }
}

function follows(commit: StoredCommit, end: Position): boolean {
  const first = commit.entries[0]?.entry;
  return first?.seq === end.seq + 1 && first.previous === end.digest;
}

function notThere(): Failure {
  return new Failure('store_diverged', 'the store does not have what was applied here');
}

function endOf(commit: StoredCommit): Position {
  const last = commit.entries.at(-1)?.entry;
  return last === undefined ? EMPTY_HEAD : { epoch: last.epoch, seq: last.seq, digest: last.digest };
}
