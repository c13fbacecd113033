import { type Checkpoints, KEPT_CHECKPOINTS, type StoredCheckpoint } from './checkpoints.ts';

/** Checkpoints in memory: for tests, and for `serve` without a store. */
export function createMemoryCheckpoints(): Checkpoints {
  let kept: readonly StoredCheckpoint[] = [];
  return {
    async put(checkpoint) {
      const others = kept.filter((other) => newestFirst(other, checkpoint) !== 0);
      kept = [...others, checkpoint].toSorted(newestFirst).slice(0, KEPT_CHECKPOINTS);
    },
    latest: async () => kept,
  };
}

function newestFirst({ position: a }: StoredCheckpoint, { position: b }: StoredCheckpoint): number {
  return b.epoch - a.epoch || b.seq - a.seq;
}
