import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Blobs } from './journal.ts';

/** @returns the size of the blob; undefined: it was copied a while ago. @throws Failure as `Blobs` */
export type BlobCopy = (digest: Digest) => Promise<number | undefined>;

/** Digests that are remembered, so that a revision and its releases cost one look; forgetting one costs another. */
const MAX_KNOWN = 10_000;

/** Copies what the target lacks or has damaged; both stores verify what they give. */
export function createBlobCopy(source: Pick<Blobs, 'get'>, target: Blobs): BlobCopy {
  const known = new Set<Digest>();
  return async (digest) => {
    if (known.has(digest)) return undefined;
    const size = (await sizeIn(target, digest)) ?? (await copy(source, target, digest));
    if (known.size >= MAX_KNOWN) known.clear();
    known.add(digest);
    return size;
  };
}

async function sizeIn(blobs: Blobs, digest: Digest): Promise<number | undefined> {
  try {
    return (await blobs.get(digest)).length;
  } catch (thrown) {
    const failure = Failure.from(thrown, 'store_unavailable');
    if (failure.code === 'not_found' || failure.code === 'store_mismatch') return undefined;
    throw failure;
  }
}

async function copy(source: Pick<Blobs, 'get'>, target: Blobs, digest: Digest): Promise<number> {
  const bytes = await source.get(digest);
  const put = await target.put(bytes);
  if (put !== digest)
    throw new Failure('store_mismatch', 'the bytes of the blob are not those of its digest');
  return bytes.length;
}
