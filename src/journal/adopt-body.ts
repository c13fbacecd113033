/**
 * `journal.adopt`: an operator has said that the journal goes on from here although some of it was lost (architecture
 * §2, "Divergence"). The only entry that begins an epoch, a later one than any that is known, lost ones included: the
 * first of its commit, chained to `base` as any other.
 */

import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Digest } from '../core/digest.ts';
import type { JsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import type { Position } from '../core/position.ts';
import type { StoredCommit } from './journal.ts';

/** An adoption that has lost more names the last ones; both lists together stay far below the limit of a body. */
export const MAX_LISTED_LOST = 4096;
export const MAX_NOTE_LENGTH = 1024;

const digest = Type.Unsafe<Digest>({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$' });
const seq = Type.Integer({ minimum: 1 });
const position = Type.Object(
  { epoch: Type.Integer({ minimum: 1 }), seq, digest },
  { additionalProperties: false },
);

const lostEntries = Type.Object(
  {
    /** the last entry that is lost, as far as anybody knows */
    through: position,
    /** in order; where more are lost, the last ones */
    entries: Type.Array(
      Type.Object({ seq, digest, kind: Type.String(), at: Type.String() }, { additionalProperties: false }),
      { maxItems: MAX_LISTED_LOST },
    ),
  },
  { additionalProperties: false },
);

const adoptBody = Type.Object(
  {
    /** the head that was adopted: the entry directly before */
    base: position,
    lost: Type.Union([Type.Literal('none'), Type.Literal('unknown'), lostEntries]),
    /** revocations of the lost range that stay in force; in this commit, or in those before it */
    kept: Type.Array(
      Type.Object({ seq, kind: Type.String(), key: Type.String() }, { additionalProperties: false }),
      { maxItems: 1024 },
    ),
    reason: Type.Enum(['adopt', 'restore']),
    note: Type.Optional(Type.String({ minLength: 1, maxLength: MAX_NOTE_LENGTH })),
  },
  { additionalProperties: false },
);

/** Body of `journal.adopt`. */
export type Adoption = Static<typeof adoptBody>;
export type LostEntries = Static<typeof lostEntries>;
export type KeptRevocation = Adoption['kept'][number];

/** @returns undefined  when the body is not that of an adoption */
export function parseAdoption(body: JsonObject): Adoption | undefined {
  return Value.Check(adoptBody, body) ? body : undefined;
}

/** @param commit  that has been verified. @returns undefined  when it does not begin an epoch */
export function adoptionOf({ entries: [first] }: StoredCommit): Adoption | undefined {
  if (first?.entry.kind !== 'journal.adopt' || first.body === undefined) return undefined;
  return parseAdoption(parseJson(Buffer.from(first.body).toString('utf8')) as JsonObject);
}

/** Whether a replica at this position has applied only what this adoption knows to be lost, and what is still there. */
export function namesLost({ lost }: Adoption, mine: Position): boolean {
  if (typeof lost === 'string') return false;
  // the lost part may span several epochs; a digest is of one of them only
  return [lost.through, ...lost.entries].some(
    ({ seq, digest }) => seq === mine.seq && digest === mine.digest,
  );
}
