import { type Static, type TSchema, Type } from 'typebox';
import { isOfForm } from '../core/compiled-check.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import { expectRecord, placeMembers } from '../journal/section.ts';

/** Body of `token.issue`; `request` where a POST issued it. */
const issueBody = Type.Object({
  id: Type.String(),
  name: Type.String(),
  sha256: Type.Unsafe<Digest>({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$' }),
  scopes: Type.Array(Type.String()),
  expiresAt: Type.String(),
  oneTime: Type.Optional(Type.Boolean()),
});
/** Body of `token.redeem` and `token.revoke`. */
const endBody = Type.Object({ id: Type.String() });

/** A type, since an interface is no JsonObject. */
export type ApiToken = {
  readonly id: string;
  readonly name: string;
  /** of the whole text of the token */
  readonly sha256: Digest;
  readonly scopes: readonly string[];
  /** RFC 3339, UTC; compared on use */
  readonly expiresAt: string;
  readonly issuedAt: string;
  /** its first use ends it */
  readonly oneTime: boolean;
  /** used up or revoked */
  readonly ended: boolean;
  /** of the last entry about it */
  readonly digest: Digest;
};

/** A token in a checkpoint. */
const tokenRecord = Type.Object({
  id: Type.String(),
  name: Type.String(),
  sha256: placeMembers.digest,
  scopes: Type.Array(Type.String()),
  expiresAt: Type.String(),
  issuedAt: Type.String(),
  oneTime: Type.Boolean(),
  ended: Type.Boolean(),
  digest: placeMembers.digest,
});

export interface TokenState {
  get(id: string): ApiToken | undefined;
  list(): readonly ApiToken[];
  readonly reducer: Reducer;
}

/** API tokens, as folded from `token.issue`, `token.redeem` and `token.revoke`. */
export function createTokenState(): TokenState {
  let tokens = new Map<string, ApiToken>();
  const apply = (entry: FoldedEntry): ApiToken => {
    if (entry.kind === 'token.issue') return issued(entry);
    const token = tokens.get(bodyOf(endBody, entry).id);
    if (token === undefined) throw malformed(entry);
    return { ...token, ended: true, digest: entry.digest };
  };
  return {
    get: (id) => tokens.get(id),
    list: () => [...tokens.values()],
    reducer: {
      kinds: ['token.issue', 'token.redeem', 'token.revoke'],
      apply(entry): readonly ChangedKey[] {
        const token = apply(entry);
        tokens.set(token.id, token);
        return [keyOf(token.id)];
      },
      section: {
        name: 'tokens',
        version: 1,
        // in order of issue, as `list` gives them
        capture: () => [...tokens.values()],
        restore(captured) {
          const before = tokens;
          tokens = new Map(
            captured.map((one) => expectRecord(tokenRecord, one, 'tokens')).map((token) => [token.id, token]),
          );
          return new Set([...before.keys(), ...tokens.keys()].map(keyOf));
        },
      },
    },
  };
}

function keyOf(id: string): ChangedKey {
  return `token/${id}`;
}

function issued(entry: FoldedEntry): ApiToken {
  const { id, name, sha256, scopes, expiresAt, oneTime = false } = bodyOf(issueBody, entry);
  const { at: issuedAt, digest } = entry;
  return { id, name, sha256, scopes, expiresAt, issuedAt, oneTime, ended: false, digest };
}

/** A body that is not of its schema was written by another program: a token must not be half understood. */
function bodyOf<S extends TSchema>(schema: S, entry: FoldedEntry): Static<S> {
  if (isOfForm(schema, entry.body)) return entry.body;
  throw malformed(entry);
}

function malformed(entry: FoldedEntry): Failure {
  return new Failure('journal_too_new', `entry ${entry.seq} (${entry.kind}) has a body of unknown form`);
}
