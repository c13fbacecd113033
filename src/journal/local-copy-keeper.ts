/**
 * Keeps the local copy: what is applied is appended, and a newer checkpoint of the store shortens it. Nothing waits
 * for it. When it has lost the thread (a full disk, a checkpoint restored, an adopted journal), it begins anew from
 * the store, and only when the store has all that is applied here: where entries are lost, the copy is what tells.
 */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { samePosition } from './append-rules.ts';
import { startsOf } from './base.ts';
import { type CheckpointManifest, parseManifest, verifyManifest } from './checkpoint.ts';
import type { CheckpointMeasures } from './checkpoint-measures.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { JournalFollower } from './follower.ts';
import type { Blobs, Journal, StoredCommit } from './journal.ts';
import { holds } from './known-head.ts';
import type { LocalCopy } from './local-copy.ts';
import { endOf, LocalFiles } from './local-copy-files.ts';
import type { Expectations } from './verify.ts';

export interface LocalCopyOptions {
  /** of `makePrivateFolder` */
  readonly folder: string;
  readonly follower: Pick<JournalFollower, 'position' | 'lastCommit' | 'onApplied'>;
  readonly journal: Pick<Journal, 'read' | 'find' | 'base'>;
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
  readonly #files: LocalFiles;
  /** what was applied is not what comes next in the files */
  #stale = false;
  #full = false;
  #blobsAreDue = true;
  #queue: StoredCommit[] = [];
  #sinceLook = 0;
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #trouble: string | undefined;
  #stop: () => void = () => {};

  constructor(options: LocalCopyOptions, manifest: CheckpointManifest | undefined) {
    const { folder, blobs, measures } = options;
    this.#options = options;
    this.#rotateEvery = options.rotateEvery ?? 1_000;
    this.#files = new LocalFiles({ folder, blobs, onEnd: ({ seq }) => measures.copied(seq) }, manifest);
  }

  start(copy: LocalCopy | undefined): void {
    const { follower } = this.#options;
    this.#stale = copy === undefined || !samePosition(copy.position, follower.position());
    this.#listen();
    this.#run(copy && (() => this.#files.resume(copy)));
  }

  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async close(): Promise<void> {
    this.#stop();
    clearTimeout(this.#retry);
    await this.settled();
    clearTimeout(this.#retry);
    await this.#files.close();
  }

  /** Apart from `start`: a function that lives on keeps everything alive that its neighbours use, the whole copy too. */
  #listen(): void {
    this.#stop = this.#options.follower.onApplied(({ changed }, commit) => {
      if (commit === undefined || this.#queue.length >= MAX_QUEUED) this.#drop();
      else this.#queue.push(commit);
      this.#sinceLook += commit?.entries.length ?? 0;
      if ([...changed].some((key) => key.startsWith('release/'))) this.#blobsAreDue = true;
      this.#run();
    });
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
      // before anything is applied, nobody knows whether the store is the right one: the files stay as they are
      while (this.#options.follower.position().seq > 0) {
        await this.#copy();
        if (this.#queue.length === 0 && (!this.#stale || this.#full)) break;
      }
      this.#trouble = undefined;
    } catch (thrown) {
      const err = Failure.from(thrown, 'internal', 'the local copy cannot be written');
      this.#options.measures.notCopied();
      if (err.message !== this.#trouble) this.#options.logger.error({ err }, 'the local copy is not kept');
      this.#trouble = err.message;
      this.#retry = setTimeout(() => this.#run(), RETRY_MS).unref();
    }
  }

  async #copy(): Promise<void> {
    const isDue = this.#sinceLook >= this.#rotateEvery;
    if (this.#full && !isDue) return this.#drop();
    const next = this.#queue[0];
    if (this.#stale || this.#files.isBroken() || (next !== undefined && !follows(next, this.#files.end()))) {
      await this.#beginAnew();
    } else {
      await this.#append(this.#queue.splice(0));
      if (isDue) await this.#rotate();
    }
    if (!this.#blobsAreDue) return;
    await this.#files.keepBlobs(this.#options.needed());
    this.#blobsAreDue = false;
  }

  async #append(commits: readonly StoredCommit[]): Promise<void> {
    if (commits.length > 0 && this.#files.bytes() > MAX_BYTES) {
      this.#full = true;
      this.#drop();
      throw new Failure('overloaded', 'the local copy is full until the store has a newer checkpoint');
    }
    await this.#files.append(commits);
  }

  async #beginAnew(): Promise<void> {
    const { follower, journal } = this.#options;
    this.#stale = false;
    this.#sinceLook = 0;
    // whoever applies more from here on queues it, or makes this stale
    this.#queue = [];
    const target = follower.position();
    try {
      if (!(await holds(journal, follower.lastCommit(), target))) throw notThere();
      const manifest = await this.#newest(target.seq);
      if (this.#full && (manifest?.position.seq ?? 0) === this.#files.checkpointSeq()) return this.#drop();
      this.#full = false;
      await this.#files.begin(manifest);
      await this.#readTo(target);
      this.#blobsAreDue = true;
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  async #readTo(target: Position): Promise<void> {
    while (this.#files.end().seq < target.seq) {
      const page = await this.#options.journal.read(this.#files.end().seq, READ_LIMIT);
      const known = page.filter((commit) => endOf(commit).seq <= target.seq);
      const [first] = known;
      if (first === undefined || !follows(first, this.#files.end())) throw notThere();
      await this.#append(known);
    }
    if (!samePosition(this.#files.end(), target)) throw notThere();
  }

  async #rotate(): Promise<void> {
    // those that came meanwhile are still to be copied, and count
    this.#sinceLook = this.#queue.reduce((count, { entries }) => count + entries.length, 0);
    const manifest = await this.#newest(this.#files.end().seq);
    if (manifest === undefined || manifest.position.seq <= this.#files.checkpointSeq()) return;
    await this.#files.shorten(manifest);
    this.#blobsAreDue = true;
  }

  /** @returns the newest of the store that is believed, of the journal as it is, and not beyond `seq` */
  async #newest(seq: number): Promise<CheckpointManifest | undefined> {
    const { checkpoints, expectations, journal, logger } = this.#options;
    for (const stored of await startsOf(journal, checkpoints)) {
      try {
        const manifest = parseManifest(stored.manifest);
        verifyManifest(manifest, expectations);
        if (manifest.position.seq > seq) continue;
        if (await holds(journal, manifest.commit, manifest.position)) return manifest;
        throw new Failure('store_mismatch', 'the checkpoint is of a part of the journal that was lost');
      } catch (thrown) {
        const err = Failure.from(thrown, 'store_mismatch');
        logger.warn({ err, seq: stored.position.seq }, 'a checkpoint of the store is not copied');
      }
    }
    return undefined;
  }
}

function follows(commit: StoredCommit, end: Position): boolean {
  const first = commit.entries[0]?.entry;
  return first?.seq === end.seq + 1 && first.previous === end.digest;
}

function notThere(): Failure {
  return new Failure('store_diverged', 'the store does not have what was applied here');
}
