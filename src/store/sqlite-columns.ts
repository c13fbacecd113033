/** An entry as a row and back. Nothing is judged here: what a row says is what the verifier gets to see. */
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { JournalEntry, StoredEntry } from '../journal/journal.ts';

export const COLUMNS = [
  'seq',
  'v',
  'epoch',
  'commit_id',
  'commit_index',
  'commit_count',
  'at',
  'actor',
  'kind',
  'schema',
  'body_digest',
  'previous',
  'digest',
  'signature',
  'salt',
  'body',
] as const;
type Column = (typeof COLUMNS)[number];

export function toColumns({ entry, salt, body }: StoredEntry): Record<Column, SQLInputValue> {
  return {
    seq: entry.seq,
    v: entry.v,
    epoch: entry.epoch,
    commit_id: entry.commit.id,
    commit_index: entry.commit.index,
    commit_count: entry.commit.count,
    at: entry.at,
    actor: entry.actor,
    kind: entry.kind,
    schema: entry.schema,
    body_digest: entry.bodyDigest,
    previous: entry.previous,
    digest: entry.digest,
    signature: entry.signature,
    salt: salt ?? null,
    body: body ?? null,
  };
}

export function toStoredEntry(row: Readonly<Record<string, SQLOutputValue>>): StoredEntry {
  const text = (column: Column): string => String(row[column]);
  const integer = (column: Column): number => Number(row[column]);
  const bytes = (column: Column): Uint8Array | undefined => {
    const value = row[column];
    return value instanceof Uint8Array ? value : undefined;
  };
  const entry = {
    v: integer('v'),
    epoch: integer('epoch'),
    seq: integer('seq'),
    commit: { id: text('commit_id'), index: integer('commit_index'), count: integer('commit_count') },
    at: text('at'),
    actor: text('actor'),
    kind: text('kind'),
    schema: integer('schema'),
    bodyDigest: text('body_digest'),
    previous: text('previous'),
    digest: text('digest'),
    signature: text('signature'),
  };
  // the narrower types (v, kind, digests) are what verification establishes
  return { entry: entry as JournalEntry, salt: bytes('salt'), body: bytes('body') };
}
