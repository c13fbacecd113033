/** The file of the local copy's commits: appended, cut at the front, or begun anew. */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../core/failure.ts';
import type { StoredCommit } from './journal.ts';
import { toCommitLine } from './stored-json.ts';

/** Where a commit stands in the file. */
interface Place {
  readonly firstSeq: number;
  readonly offset: number;
}

export class LocalCommits {
  readonly #path: string;
  #file: FileHandle | undefined;
  #places: Place[] = [];
  #bytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** of the entries in the file; 0: none */
  firstSeq(): number {
    return this.#places[0]?.firstSeq ?? 0;
  }

  bytes(): number {
    return this.#bytes;
  }

  /** Goes on with what is there, cut after the last commit that was read. @param offsets  as `LocalCopy` has them */
  async resume(commits: readonly StoredCommit[], offsets: readonly number[]): Promise<void> {
    await this.close();
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    this.#file = await open(this.#path, 'a', 0o600);
    this.#bytes = offsets[commits.length] ?? 0;
    this.#places = commits.map((commit, index) => placeOf(commit, offsets[index] ?? 0));
    await this.#file.truncate(this.#bytes);
  }

  /** Whole commits; on the disk when it resolves. @throws when the disk fails, or somebody else writes the file */
  async append(commits: readonly StoredCommit[]): Promise<void> {
    const file = this.#file;
    if (file === undefined || commits.length === 0) return;
    const { size } = await file.stat();
    if (size !== this.#bytes) {
      throw new Failure(
        'store_mismatch',
        'another process writes this local copy; each needs a folder of its own',
      );
    }
    const lines = commits.map(toCommitLine);
    const places: Place[] = [];
    let end = this.#bytes;
    for (const [index, commit] of commits.entries()) {
      places.push(placeOf(commit, end));
      end += Buffer.byteLength(lines[index] ?? '');
    }
    await file.appendFile(lines.join(''));
    await file.datasync();
    for (const place of places) this.#places.push(place);
    this.#bytes = end;
  }

  /** Leaves out commits that begin before `seq`. All or nothing. */
  async cutBefore(seq: number): Promise<void> {
    const kept = this.#places.findIndex(({ firstSeq }) => firstSeq >= seq);
    const offset = kept < 0 ? this.#bytes : (this.#places[kept]?.offset ?? 0);
    if (offset === 0) return;
    const temporary = `${this.#path}.new`;
    await pipeline(
      createReadStream(this.#path, { start: offset }),
      createWriteStream(temporary, { mode: 0o600, flush: true }),
    );
    await this.close();
    await rename(temporary, this.#path);
    this.#places = kept < 0 ? [] : this.#places.slice(kept);
    this.#places = this.#places.map((place) => ({ ...place, offset: place.offset - offset }));
    this.#bytes -= offset;
    this.#file = await open(this.#path, 'a', 0o600);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

function placeOf(commit: StoredCommit, offset: number): Place {
  return { firstSeq: commit.entries[0]?.entry.seq ?? 0, offset };
}
