/** Checkpoints are a shorter way, not the truth: one that cannot be copied is left out. */
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { samePosition } from './append-rules.ts';
import { checkpointBlobs, parseManifest, verifyManifest } from './checkpoint.ts';
import type { Checkpoints, StoredCheckpoint } from './checkpoints.ts';
import type { BlobCopy } from './copy-blobs.ts';
import type { Expectations } from './verify.ts';

export interface CheckpointCopyOptions {
  readonly found: readonly StoredCheckpoint[];
  readonly target: Pick<Checkpoints, 'put'>;
  readonly copyBlob: BlobCopy;
  /** the position of the copied journal at a seq */
  readonly positionAt: (seq: number) => Position | undefined;
  readonly expectations: Expectations;
}

/** @returns how many there are in the target now */
export async function copyCheckpoints({ found, ...options }: CheckpointCopyOptions): Promise<number> {
  let copied = 0;
  // the oldest first: the newest are kept
  for (const checkpoint of found.toReversed()) {
    try {
      await copyOne(checkpoint, options);
      copied += 1;
    } catch (thrown) {
      const { code } = Failure.from(thrown, 'store_unavailable');
      if (code === 'store_unavailable' || code === 'deadline_exceeded') throw thrown;
    }
  }
  return copied;
}

async function copyOne(
  checkpoint: StoredCheckpoint,
  { target, copyBlob, positionAt, expectations }: Omit<CheckpointCopyOptions, 'found'>,
): Promise<void> {
  const manifest = parseManifest(checkpoint.manifest);
  const { position } = verifyManifest(manifest, expectations);
  const copied = positionAt(position.seq);
  if (copied === undefined || !samePosition(copied, position)) {
    throw new Failure('store_mismatch', 'the checkpoint is of another journal');
  }
  for (const digest of checkpointBlobs(manifest)) await copyBlob(digest);
  await target.put(checkpoint);
}
