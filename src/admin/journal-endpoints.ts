/** The journal over REST: what changed, when, by whom. Bodies are shown, their salts are not. */

import { type Static, Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import type { Journal, StoredEntry } from '../journal/journal.ts';
import type { Cursors } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { limitOf, nextOf, nextSchema, pageQuerySchema, positionOf } from './paging.ts';
import { componentRef } from './route-schema.ts';

const digest = Type.String({ description: 'sha256: and 64 hexadecimal digits' });

export const journalEntrySchema = Type.Object(
  {
    v: Type.Literal(1),
    epoch: Type.Integer(),
    seq: Type.Integer(),
    commit: Type.Object({ id: Type.String(), index: Type.Integer(), count: Type.Integer() }),
    at: Type.String({ format: 'date-time' }),
    actor: Type.String(),
    kind: Type.String(),
    schema: Type.Integer({ description: 'of the body' }),
    bodyDigest: digest,
    previous: digest,
    digest,
    signature: Type.String({ description: 'base64url, Ed25519' }),
    body: Type.Optional(Type.Unsafe<JsonObject>({ type: 'object', description: 'absent: it was erased' })),
  },
  { additionalProperties: false },
);

export function journalEndpoints({
  journal,
  cursors,
}: {
  readonly journal: Pick<Journal, 'read' | 'head' | 'base'>;
  readonly cursors: Cursors;
}): readonly Endpoint[] {
  return [
    endpoint({
      operationId: 'readJournal',
      summary: 'Read the entries after a position, whole commits only',
      tag: 'journal',
      scope: 'audit:read',
      method: 'GET',
      url: '/v1/journal',
      query: Type.Object(
        {
          after: Type.Optional(
            Type.Integer({
              minimum: 0,
              description: 'seq: commits that begin after it; default: from `first`',
            }),
          ),
          ...pageQuerySchema.properties,
        },
        { additionalProperties: false },
      ),
      answer: Type.Object(
        {
          entries: Type.Array(componentRef('JournalEntry', journalEntrySchema)),
          head: Type.Object(
            { epoch: Type.Integer(), seq: Type.Integer(), digest },
            { additionalProperties: false },
          ),
          first: Type.Integer({ minimum: 1, description: 'seq; 1 unless older entries were archived' }),
          next: nextSchema,
        },
        { additionalProperties: false },
      ),
      failures: ['not_found'],
      handle: async (call) => {
        const { query } = call;
        const { epoch, seq, digest } = await journal.head();
        const base = (await journal.base())?.position.seq ?? 0;
        const after = Number(positionOf(call, cursors) ?? query.after ?? base);
        if (after < base) throw new Failure('not_found', `the entries up to seq ${base} were archived`);
        const commits = await journal.read(after, limitOf(query));
        const entries = commits.flatMap((commit) => commit.entries.map(toView));
        const last = entries.at(-1)?.seq ?? seq;
        const next = nextOf(call, cursors, last < seq ? String(last) : undefined);
        return {
          body: {
            entries,
            head: { epoch, seq, digest },
            first: base + 1,
            ...(next !== undefined && { next }),
          },
          next,
        };
      },
    }),
  ];
}

function toView({ entry, body: bytes }: StoredEntry): Static<typeof journalEntrySchema> {
  const view = { ...entry, commit: { ...entry.commit } };
  if (bytes === undefined) return view;
  const body: unknown = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!isJsonObject(body))
    throw new Failure('store_mismatch', `the body of entry ${entry.seq} is not an object`);
  return { ...view, body: entry.kind === 'token.issue' ? withoutCredential(body) : body };
}

/** The hash of a token cannot be turned back where the token is random; one from a file may not be. */
function withoutCredential({ sha256: _hash, ...body }: JsonObject): JsonObject {
  return body;
}
