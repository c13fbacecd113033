import { bodyDigest, entryDigest, signedBytes } from '../../src/journal/entry-bytes.ts';
import type { JournalEntry, StoredCommit, StoredEntry } from '../../src/journal/journal.ts';
import { type SigningKey, signWith } from '../../src/journal/signing-key.ts';

/** The commit with members of each entry changed, and then hashed, chained and signed as if it were meant so. */
export function resealed(commit: StoredCommit, key: SigningKey, change: Partial<JournalEntry>): StoredCommit {
  let previous = commit.entries[0]!.entry.previous;
  const chained = commit.entries.map((stored): StoredEntry => {
    const changed = { ...stored.entry, ...change, previous };
    const entry = { ...changed, bodyDigest: bodyDigest(stored.salt!, stored.body!) };
    previous = entryDigest(entry);
    return { ...stored, entry: { ...entry, digest: previous } };
  });
  const signature = signWith(key, signedBytes(previous));
  return {
    id: commit.id,
    entries: chained.map((stored) => ({ ...stored, entry: { ...stored.entry, signature } })),
  };
}
