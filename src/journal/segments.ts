/** The segments of a journal, found in a folder by what names them, back to genesis. */
import type { KeyObject } from 'node:crypto';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { samePosition } from './append-rules.ts';
import { parseManifest, verifyManifest } from './checkpoint.ts';
import type { Journal, StoredCommit } from './journal.ts';
import { toText } from './known-head.ts';
import { parseSegment, type SegmentManifest, segmentDigest, segmentName } from './segment.ts';
import { readManifests, readSegment } from './segment-files.ts';
import type { Expectations } from './verify.ts';

/**
 * The manifests that lead to `through`, the oldest first. What else is in the folder, as an archive run leaves it that
 * was cut off, is not looked at.
 *
 * @throws Failure store_mismatch  when one is missing, or is not what it was; not_found for the folder
 */
export async function findSegments(
  folder: string,
  through: Position,
  keys: readonly KeyObject[],
): Promise<readonly SegmentManifest[]> {
  const found = (await readManifests(folder)).map((text) => tryParse(text, keys));
  const segments: SegmentManifest[] = [];
  let next = found.find((manifest) => manifest !== undefined && samePosition(manifest.through, through));
  if (next === undefined) throw missing(`that ends at ${toText(through)}`);
  for (;;) {
    const { previous, from }: SegmentManifest = next;
    segments.unshift(next);
    if (previous === null) {
      if (from.seq === 1) return segments;
      throw missing(`before ${segmentName(next)}`);
    }
    const before: SegmentManifest | undefined = found.find(
      (manifest) => manifest !== undefined && segmentDigest(manifest) === previous,
    );
    if (before === undefined || before.through.seq !== from.seq - 1)
      throw missing(`before ${segmentName(next)}`);
    next = before;
  }
}

/** One that somebody has changed is as good as missing. */
function tryParse(text: string, keys: readonly KeyObject[]): SegmentManifest | undefined {
  try {
    return parseSegment(text, keys);
  } catch (thrown) {
    const failure = Failure.from(thrown, 'store_mismatch');
    if (failure.code === 'journal_too_new') throw failure;
    return undefined;
  }
}

function missing(which: string): Failure {
  return new Failure('store_mismatch', `the folder holds no sound segment ${which}`);
}

/**
 * Every commit that left the store, from genesis; whether they are sound is for the caller.
 *
 * @param expectations  with the pin of genesis
 * @throws Failure as `findSegments`, and for a file that is not the one that its manifest names; request_malformed when
 *         nothing was archived
 */
export async function* readSegments(
  folder: string,
  journal: Pick<Journal, 'base'>,
  expectations: Expectations,
): AsyncGenerator<StoredCommit, void, void> {
  const base = await journal.base();
  if (base === undefined) throw new Failure('request_malformed', 'nothing of this journal was archived');
  const { keys } = verifyManifest(parseManifest(base.manifest), expectations);
  for (const segment of await findSegments(folder, base.position, keys)) yield* readSegment(folder, segment);
}
