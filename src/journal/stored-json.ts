/** A stored entry as JSON, for files: bytes are base64. Whether it is true is for the verifier. */

import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { Failure } from '../core/failure.ts';
import { parseJson } from '../core/parse-json.ts';
import type { JournalEntry, StoredCommit, StoredEntry } from './journal.ts';

const entrySchema = Type.Object(
  {
    v: Type.Literal(1),
    epoch: Type.Integer({ minimum: 1 }),
    seq: Type.Integer({ minimum: 1 }),
    commit: Type.Object(
      { id: Type.String(), index: Type.Integer({ minimum: 0 }), count: Type.Integer({ minimum: 1 }) },
      { additionalProperties: false },
    ),
    at: Type.String(),
    actor: Type.String(),
    kind: Type.String(),
    schema: Type.Integer(),
    bodyDigest: Type.String(),
    previous: Type.String(),
    digest: Type.String(),
    signature: Type.String(),
  },
  { additionalProperties: false },
);

export const storedEntrySchema = Type.Object(
  { entry: entrySchema, salt: Type.Optional(Type.String()), body: Type.Optional(Type.String()) },
  { additionalProperties: false },
);
export type StoredEntryJson = Static<typeof storedEntrySchema>;

const commitSchema = Type.Object(
  { id: Type.String(), entries: Type.Array(storedEntrySchema, { minItems: 1, maxItems: 1024 }) },
  { additionalProperties: false },
);

export function toStoredEntryJson({ entry, salt, body }: StoredEntry): StoredEntryJson {
  return {
    entry: { ...entry, commit: { ...entry.commit } },
    ...(salt && { salt: Buffer.from(salt).toString('base64') }),
    ...(body && { body: Buffer.from(body).toString('base64') }),
  };
}

export function fromStoredEntryJson({ entry, salt, body }: StoredEntryJson): StoredEntry {
  return {
    // the narrower types (kind, digests) are what verification establishes
    entry: entry as JournalEntry,
    salt: salt === undefined ? undefined : Uint8Array.from(Buffer.from(salt, 'base64')),
    body: body === undefined ? undefined : Uint8Array.from(Buffer.from(body, 'base64')),
  };
}

/** @returns one line, its end included */
export function toCommitLine({ id, entries }: StoredCommit): string {
  return `${JSON.stringify({ id, entries: entries.map(toStoredEntryJson) })}\n`;
}

/** @throws Failure store_mismatch */
export function parseCommitLine(line: string): StoredCommit {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch (cause) {
    throw new Failure('store_mismatch', 'a commit in a file is no JSON', { cause });
  }
  if (!Check(commitSchema, value)) throw new Failure('store_mismatch', 'a commit in a file has another form');
  return { id: value.id, entries: value.entries.map(fromStoredEntryJson) };
}
