/** Blobs as files of one folder, named by digest. */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Blobs } from './journal.ts';

export interface LocalBlobs extends Blobs {
  /** Deletes all but these. */
  keep(digests: ReadonlySet<Digest>): Promise<void>;
}

/** @param folder  made with the first `put` */
export function createLocalBlobs(folder: string): LocalBlobs {
  const fileOf = (digest: Digest): string => join(folder, digest.slice('sha256:'.length));
  return {
    async put(bytes) {
      const digest = sha256(bytes);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeWhole(fileOf(digest), bytes);
      return digest;
    },
    async get(digest) {
      let bytes: Buffer;
      try {
        bytes = await readFile(fileOf(digest));
      } catch (cause) {
        throw new Failure('not_found', 'there is no local blob with this digest', { cause });
      }
      if (sha256(bytes) === digest) return bytes;
      throw new Failure('store_mismatch', 'the bytes of a local blob are not those of its digest');
    },
    async keep(digests) {
      const kept = new Set([...digests].map(fileOf));
      // also what a `put` that was cut off has left
      for (const path of (await readdir(folder).catch(() => [])).map((name) => join(folder, name))) {
        if (!kept.has(path)) await rm(path, { force: true });
      }
    },
  };
}

/** All or nothing, also when the process or the machine dies: another file first, then a rename. 0600. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** From the folder where it is there and whole, else from the store; `put` is the store's. */
export function withLocalBlobs(blobs: Blobs, local: Pick<Blobs, 'get'>): Blobs {
  return {
    put: (bytes) => blobs.put(bytes),
    get: (digest) => local.get(digest).catch(() => blobs.get(digest)),
  };
}
