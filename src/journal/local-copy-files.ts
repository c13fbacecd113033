/** The files of the local copy: what is in them, and how that changes. Only `LocalCopyKeeper` writes them. */
import { constants } from 'node:fs';
import { chmod, lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { type CheckpointManifest, checkpointBlobs, toManifestText } from './checkpoint.ts';
import { type Blobs, EMPTY_HEAD, type StoredCommit } from './journal.ts';
import { createLocalBlobs, type LocalBlobs, writeWhole } from './local-blobs.ts';
import { LocalCommits } from './local-commits.ts';
import { BLOBS_FOLDER, COMMITS_FILE, type LocalCopy, MANIFEST_FILE } from './local-copy.ts';

/** Entries before the checkpoint that stay: what an adoption can name of a range that was lost. */
const HISTORY_ENTRIES = 4_096;

export interface LocalFilesOptions {
  readonly folder: string;
  /** the store's */
  readonly blobs: Pick<Blobs, 'get'>;
  /** is told where the files end, each time that this changes */
  readonly onEnd: (end: Position) => void;
}

export class LocalFiles {
  readonly #options: LocalFilesOptions;
  readonly #blobs: LocalBlobs;
  readonly #commits: LocalCommits;
  #manifest: CheckpointManifest | undefined;
  #end = EMPTY_HEAD;
  #broken = false;

  constructor(options: LocalFilesOptions, manifest: CheckpointManifest | undefined) {
    this.#options = options;
    this.#blobs = createLocalBlobs(join(options.folder, BLOBS_FOLDER));
    this.#commits = new LocalCommits(join(options.folder, COMMITS_FILE));
    this.#manifest = manifest;
  }

  end(): Position {
    return this.#end;
  }

  /** of the checkpoint; 0: there is none */
  checkpointSeq(): number {
    return this.#manifest?.position.seq ?? 0;
  }

  /** of the commits */
  bytes(): number {
    return this.#commits.bytes();
  }

  /** A change of the commits was begun and did not end: only `begin` ends that. */
  isBroken(): boolean {
    return this.#broken;
  }

  /** Goes on with what was read from them. */
  async resume({ commits, offsets, position }: LocalCopy): Promise<void> {
    await this.#change(() => this.#commits.resume(commits, offsets));
    this.#setEnd(position);
  }

  /** Begins anew. The manifest first: commits that do not go with it are left out by whoever reads. */
  async begin(manifest: CheckpointManifest | undefined): Promise<void> {
    await makePrivateFolder(this.#options.folder);
    if (manifest !== undefined) await this.#saveManifest(manifest);
    await this.#change(() => this.#commits.resume([], [0]));
    this.#setEnd(manifest?.position ?? EMPTY_HEAD);
  }

  /** @param commits  that follow `end` */
  async append(commits: readonly StoredCommit[]): Promise<void> {
    const last = commits.at(-1);
    if (last === undefined) return;
    await this.#change(() => this.#commits.append(commits));
    this.#setEnd(endOf(last));
  }

  /** Takes a newer checkpoint, not beyond `end`, and lets go of commits far before it. */
  async shorten(manifest: CheckpointManifest): Promise<void> {
    await this.#saveManifest(manifest);
    const keptSeq = Math.min(manifest.position.seq + 1, this.#end.seq - HISTORY_ENTRIES);
    await this.#change(() => this.#commits.cutBefore(keptSeq));
  }

  /** Afterwards the blobs of the checkpoint and these are there, and no others. */
  async keepBlobs(needed: readonly Digest[]): Promise<void> {
    await this.#fetch(needed);
    const chunks = this.#manifest === undefined ? [] : checkpointBlobs(this.#manifest);
    await this.#blobs.keep(new Set([...needed, ...chunks]));
  }

  close(): Promise<void> {
    return this.#commits.close();
  }

  async #change(work: () => Promise<void>): Promise<void> {
    this.#broken = true;
    await work();
    this.#broken = false;
  }

  #setEnd(end: Position): void {
    this.#end = end;
    this.#options.onEnd(end);
  }

  async #saveManifest(manifest: CheckpointManifest): Promise<void> {
    await this.#fetch(checkpointBlobs(manifest));
    await writeWhole(join(this.#options.folder, MANIFEST_FILE), toManifestText(manifest));
    this.#manifest = manifest;
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

export function endOf(commit: StoredCommit): Position {
  const last = commit.entries.at(-1)?.entry;
  return last === undefined ? EMPTY_HEAD : { epoch: last.epoch, seq: last.seq, digest: last.digest };
}

const OTHERS_WRITE = constants.S_IWGRP | constants.S_IWOTH;

/**
 * For the owner only: bodies hold digests of tokens and names of people. Where others can write, they may have put a
 * link in the place of a file already, so such a folder is not made private but refused.
 *
 * @throws Failure store_mismatch
 */
export async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { mode, uid } = await lstat(folder);
    const isOwn = uid === (process.getuid?.() ?? uid);
    if ((mode & constants.S_IFMT) === constants.S_IFDIR && isOwn && (mode & OTHERS_WRITE) === 0) {
      if ((mode & 0o077) !== 0) await chmod(folder, 0o700);
      return;
    }
  } catch (cause) {
    throw new Failure('store_mismatch', 'the folder of journal.localCopy cannot be made', { cause });
  }
  throw new Failure(
    'store_mismatch',
    'the folder of journal.localCopy must be this user’s own, and nobody else’s to write (mode 0700); one that is ' +
      'not there yet is made so',
  );
}
