/** What a store has lost, as replicas still know it. */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { adoptionOf, type LostEntries, namesLost } from './adopt-body.ts';
import { samePosition } from './append-rules.ts';
import type { CapturedState } from './folded-state.ts';
import { EMPTY_HEAD, type StoredCommit } from './journal.ts';
import { toText } from './known-head.ts';

/** What one replica still has of a journal, verified, as `readLocalCopy` gives it. */
export interface LocalLine {
  /** undefined: the commits begin with genesis */
  readonly checkpoint?: CapturedState | undefined;
  /** some of them may be older than the checkpoint */
  readonly commits: readonly StoredCommit[];
}

export interface Lost extends LostEntries {
  /** the copy that is furthest */
  readonly line: LocalLine;
  /** where the line leaves that of the store; undefined: before the first place that it knows */
  readonly fork: Position | undefined;
}

/**
 * Compares the copies with the journal of the store.
 *
 * @param base  what the stored commits begin after, where older ones were archived
 * @returns undefined  when the store has all of it, or has adopted without it before
 * @throws Failure request_malformed  when two copies are of different lines
 */
export async function readLost(
  lines: readonly LocalLine[],
  stored: AsyncIterable<StoredCommit>,
  base?: Position,
): Promise<Lost | undefined> {
  const open = new Set(lines);
  const forks = new Map<LocalLine, Position>();
  const known = new Map(lines.map((line) => [line, placesOf(line)]));
  for (const [line, places] of known) {
    if (base === undefined) break;
    if (places.get(base.seq) === base.digest) forks.set(line, base);
    if (samePosition(headOf(line), base)) open.delete(line);
    else if (headOf(line).seq <= base.seq) throw endsBefore(headOf(line), base);
  }
  for await (const commit of stored) {
    const end = endOf(commit);
    const adoption = adoptionOf(commit);
    for (const [line, places] of known) {
      const head = headOf(line);
      if (places.get(end.seq) === end.digest) forks.set(line, end);
      if (samePosition(head, end) || (adoption && namesLost(adoption, head))) open.delete(line);
    }
  }
  const line = furthest([...open], known);
  if (line === undefined) return undefined;
  const fork = forks.get(line);
  const entries = line.commits.flatMap((commit) => commit.entries.map(({ entry }) => entry));
  return {
    line,
    fork,
    through: headOf(line),
    entries: entries
      .filter((entry) => entry.seq > (fork?.seq ?? 0))
      .map(({ seq, digest, kind, at }) => ({ seq, digest, kind, at })),
  };
}

function endsBefore(head: Position, base: Position): Failure {
  const what = `the copy ends at ${toText(head)}, and the store begins after ${toText(base)}`;
  return new Failure('request_malformed', `${what}: whether it has lost anything, the archived segments say`);
}

/** Of copies of one line, each shorter one is a part of the longest. */
function furthest(
  lines: readonly LocalLine[],
  known: ReadonlyMap<LocalLine, ReadonlyMap<number, Digest>>,
): LocalLine | undefined {
  const [longest, ...others] = lines.toSorted((a, b) => headOf(b).seq - headOf(a).seq);
  if (longest === undefined) return undefined;
  for (const other of others) {
    const head = headOf(other);
    if (known.get(longest)?.get(head.seq) === head.digest) continue;
    throw new Failure(
      'request_malformed',
      `the copy that ends at ${toText(head)} is not known to be a part of the one that ends at ` +
        `${toText(headOf(longest))}: adopt with the one that shall count, then again with the other`,
    );
  }
  return longest;
}

/** Where commits end, by seq: a replica never is anywhere else. */
function placesOf({ checkpoint, commits }: LocalLine): ReadonlyMap<number, Digest> {
  const places = new Map(commits.map(endOf).map(({ seq, digest }) => [seq, digest]));
  const at = checkpoint?.chain.position;
  if (at !== undefined) places.set(at.seq, at.digest);
  return places;
}

function headOf({ checkpoint, commits }: LocalLine): Position {
  const last = commits.at(-1);
  return last === undefined ? (checkpoint?.chain.position ?? EMPTY_HEAD) : endOf(last);
}

function endOf(commit: StoredCommit): Position {
  const last = commit.entries.at(-1)?.entry;
  return last === undefined ? EMPTY_HEAD : { epoch: last.epoch, seq: last.seq, digest: last.digest };
}
