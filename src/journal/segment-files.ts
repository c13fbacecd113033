/** Segments on a disk: the file of commits, written and read a piece at a time, and the folder of them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { StoredCommit } from './journal.ts';
import { writeWhole } from './local-blobs.ts';
import { COMMITS_END, MANIFEST_END, type SegmentManifest, segmentName, toSegmentText } from './segment.ts';
import { parseCommitLine } from './stored-json.ts';

/** of a line: a commit with the largest bodies, as base64, is half of that */
const MAX_LINE_BYTES = 32 * 1_048_576;
const NEWLINE = 10;

/** Commits beside their place: nothing has the name of a segment before it is whole and on the disk. */
export interface UnnamedCommits {
  readonly digest: Digest;
  /** Gives the file its name, then the manifest. */
  name(folder: string, manifest: SegmentManifest): Promise<void>;
  remove(): Promise<void>;
}

/** @param lines  as `toCommitLine` gives them */
export async function writeCommits(folder: string, lines: AsyncIterable<string>): Promise<UnnamedCommits> {
  // of this process alone: another one that does the same work writes the same bytes elsewhere
  const path = join(folder, `unfinished-${process.pid}${COMMITS_END}`);
  const remove = (): Promise<void> => rm(path, { force: true });
  const hash = createHash('sha256');
  const file = await open(path, 'w', 0o600);
  try {
    await pipeline(lines, createZstdCompress(), async (compressed: AsyncIterable<Buffer>) => {
      for await (const chunk of compressed) {
        hash.update(chunk);
        await file.appendFile(chunk);
      }
    });
    await file.sync();
  } catch (error) {
    await remove();
    throw error;
  } finally {
    await file.close();
  }
  return {
    digest: `sha256:${hash.digest('hex')}`,
    async name(target, manifest) {
      const name = join(target, segmentName(manifest));
      await rename(path, `${name}${COMMITS_END}`);
      await writeWhole(`${name}${MANIFEST_END}`, toSegmentText(manifest));
      await syncFolder(target);
    },
    remove,
  };
}

/** A name is on the disk when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** @throws Failure store_mismatch  when the file is not there, or not the one that the manifest names */
export async function* readSegment(
  folder: string,
  manifest: SegmentManifest,
): AsyncGenerator<StoredCommit, void, void> {
  const name = `${segmentName(manifest)}${COMMITS_END}`;
  const path = join(folder, name);
  try {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    if (`sha256:${hash.digest('hex')}` !== manifest.file) {
      throw new Failure('store_mismatch', `${name} is not the file that its manifest names`);
    }
    for await (const line of readLines(path)) yield parseCommitLine(line);
  } catch (thrown) {
    throw Failure.from(thrown, 'store_mismatch', `${name} cannot be read`);
  }
}

async function* readLines(path: string): AsyncGenerator<string, void, void> {
  const content = createZstdDecompress();
  const source = createReadStream(path);
  source.on('error', (error) => content.destroy(error));
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of source.pipe(content)) {
      rest = Buffer.concat([rest, chunk as Buffer]);
      if (rest.length > MAX_LINE_BYTES)
        throw new Failure('store_mismatch', 'a line of a segment is too long');
      let start = 0;
      for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, start)) {
        yield rest.toString('utf8', start, end);
        start = end + 1;
      }
      rest = rest.subarray(start);
    }
  } finally {
    source.destroy();
  }
  if (rest.length > 0) throw new Failure('store_mismatch', 'a segment does not end with a line');
}

/** The texts of all manifests, in order of their names; nobody has verified them. */
export async function readManifests(folder: string): Promise<readonly string[]> {
  try {
    const names = (await readdir(folder)).filter(
      (name) => name.startsWith('segment-') && name.endsWith(MANIFEST_END),
    );
    return await Promise.all(names.toSorted().map((name) => readFile(join(folder, name), 'utf8')));
  } catch (cause) {
    throw new Failure('not_found', 'the folder of the segments cannot be read', { cause });
  }
}
