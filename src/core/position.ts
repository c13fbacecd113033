import type { Digest } from './digest.ts';

/** A place in a journal. `seq` 0 with the zero digest is the place before the first entry. */
export interface Position {
  readonly epoch: number;
  readonly seq: number;
  readonly digest: Digest;
}
