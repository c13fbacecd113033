/** What a journal and its store hold at most. Every store keeps to them, so that what one took another one takes. */
import type { StoredCommit } from './journal.ts';

/** of one entry, as RFC 8785 text; larger things are blobs */
export const MAX_BODY_BYTES = 1_048_576;
export const MAX_COMMIT_ENTRIES = 1_024;
/** of all bodies of one commit */
export const MAX_COMMIT_BYTES = 8 * MAX_BODY_BYTES;
export const MAX_BLOB_BYTES = 64 * 1_048_576;
/** A read ends after this many bytes of bodies, as after its `limit` of entries, but never within a commit. */
export const MAX_READ_BYTES = 8 * 1_048_576;

/** `1024 entries, …`: for people */
export const COMMIT_LIMITS = `${MAX_COMMIT_ENTRIES} entries, ${MAX_BODY_BYTES} bytes each, ${MAX_COMMIT_BYTES} bytes together`;

export function isWithinLimits(bodies: readonly Pick<StoredCommit['entries'][number], 'body'>[]): boolean {
  const sizes = bodies.map(({ body }) => body?.length ?? 0);
  return (
    sizes.length <= MAX_COMMIT_ENTRIES &&
    sizes.every((size) => size <= MAX_BODY_BYTES) &&
    sizes.reduce((sum, size) => sum + size, 0) <= MAX_COMMIT_BYTES
  );
}
