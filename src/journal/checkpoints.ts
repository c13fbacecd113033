import type { Position } from '../core/position.ts';

/** The manifests that a store keeps; their chunks are in its blobs. One contract suite runs on all implementations. */
export interface Checkpoints {
  /** Keeps it beside the others, of which the oldest are deleted; one of the same epoch and seq is replaced. */
  put(checkpoint: StoredCheckpoint): Promise<void>;
  /** The newest first: by epoch, then by seq. At most `KEPT_CHECKPOINTS`. */
  latest(): Promise<readonly StoredCheckpoint[]>;
}

export interface StoredCheckpoint {
  readonly position: Pick<Position, 'epoch' | 'seq'>;
  /** its text, which nobody has verified */
  readonly manifest: string;
}

/** One may be damaged, or be of a version that an older program of the same store cannot read. */
export const KEPT_CHECKPOINTS = 3;
