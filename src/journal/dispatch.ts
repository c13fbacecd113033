/** Hands each entry to the one reducer of its kind. */
import type { JsonObject } from '../core/json.ts';
import type { ChangedKey, FoldedEntry, Reducer } from './fold.ts';
import type { JournalEntry } from './journal.ts';
import { ENTRY_KINDS, type EntryKind, isEntryKind } from './kinds.ts';

export type Dispatch = (entry: FoldedEntry) => readonly ChangedKey[];

/** What says how the journal goes on is read where it is verified. */
export const WITHOUT_REDUCER: readonly EntryKind[] = ['journal.genesis', 'journal.adopt'];

/**
 * @throws TypeError  when a kind has no reducer, or two: an entry that nobody folds would be a change that is
 *         acknowledged and has no effect
 */
export function createDispatch(reducers: readonly Reducer[]): Dispatch {
  const byKind = new Map<EntryKind, Reducer>();
  for (const reducer of reducers) {
    for (const kind of reducer.kinds) {
      if (byKind.has(kind) || WITHOUT_REDUCER.includes(kind)) throw new TypeError(`${kind} has two reducers`);
      byKind.set(kind, reducer);
    }
  }
  const missing = Object.keys(ENTRY_KINDS).filter(
    (kind) => isEntryKind(kind) && !byKind.has(kind) && !WITHOUT_REDUCER.includes(kind),
  );
  if (missing.length > 0) throw new TypeError(`no reducer for ${missing.join(', ')}`);
  return (entry) => byKind.get(entry.kind)?.apply(entry) ?? [];
}

export function toFoldedEntry(entry: JournalEntry, body: JsonObject): FoldedEntry {
  const { seq, epoch, digest, at, actor, kind } = entry;
  return { seq, epoch, digest, at, actor, commitId: entry.commit.id, kind, body };
}
