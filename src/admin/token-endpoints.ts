/** API tokens over REST. The text of a token is in the answer that issues it and nowhere else. */
import { Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import type { Draft } from '../journal/journal.ts';
import { type ChangeDeps, commitChange } from './changes.ts';
import type { Cursors } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { pageOf, pageQuerySchema, pageSchema } from './paging.ts';
import { checkPrecondition, isConditional, toEntityTag } from './precondition.ts';
import { componentRef } from './route-schema.ts';
import { requireIssuable, SCOPE_ALL } from './scopes.ts';
import { issuedTokenSchema, newTokenSchema, type TokenView, tokenSchema } from './token-schemas.ts';
import type { ApiToken } from './token-state.ts';
import { createIssuedToken } from './tokens.ts';

const tokenParams = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) });
const tag = 'tokens';

export interface TokenDeps extends ChangeDeps {
  readonly cursors: Cursors;
}

export function tokenEndpoints(deps: TokenDeps): readonly Endpoint[] {
  const { tokens } = deps;
  const tokenRef = componentRef('Token', tokenSchema);

  return [
    endpoint({
      operationId: 'issueToken',
      summary: 'Issue a token; only this answer shows it',
      tag,
      scope: 'token:admin',
      method: 'POST',
      url: '/v1/tokens',
      body: componentRef('NewToken', newTokenSchema),
      answer: componentRef('IssuedToken', issuedTokenSchema),
      tagged: true,
      oneTimeToken: true,
      failures: ['registry_rejected', 'already_exists'],
      handle: async (call) => {
        const { name, scopes = [SCOPE_ALL] } = call.body;
        requireIssuable(call.caller, scopes);
        const { draft, ...issued } = createIssuedToken(
          { name, scopes, expiresAt: call.body.expiresAt },
          deps,
        );
        const redeem: Draft = { kind: 'token.redeem', body: { id: call.caller.id } };
        const { position } = await commitChange(deps, call, () => ({
          // The use of a one-time token and the token that it issues are one commit.
          drafts: call.caller.oneTime ? [redeem, draft] : [draft],
          result: undefined,
        }));
        const { id, token, expiresAt } = issued;
        const body = { id, name, token, scopes, expiresAt };
        return { body, created: true, etag: toEntityTag(position.digest), position };
      },
      replay: () => {
        throw new Failure(
          'already_exists',
          'this call has issued a token before, and a token is shown once; revoke it and issue another',
        );
      },
    }),
    endpoint({
      operationId: 'listTokens',
      summary: 'List tokens, without their text',
      tag,
      scope: 'token:admin',
      method: 'GET',
      url: '/v1/tokens',
      query: pageQuerySchema,
      answer: pageSchema(tokenRef),
      handle: async (call) => {
        const byId = tokens.list().map((token) => ({ name: token.id, token }));
        return pageOf(call, deps.cursors, byId, ({ token }) => toView(token));
      },
    }),
    endpoint({
      operationId: 'getToken',
      summary: 'Read about a token, without its text',
      tag,
      scope: 'token:admin',
      method: 'GET',
      url: '/v1/tokens/:id',
      params: tokenParams,
      answer: tokenRef,
      tagged: true,
      failures: ['not_found'],
      handle: async ({ params }) => {
        const token = found(tokens.get(params.id));
        return { body: toView(token), etag: toEntityTag(token.digest) };
      },
    }),
    endpoint({
      operationId: 'revokeToken',
      // The one change that needs no condition: it has one outcome, and whoever revokes may be in a hurry.
      summary: 'Revoke a token at once and for good',
      tag,
      scope: 'token:admin',
      method: 'DELETE',
      url: '/v1/tokens/:id',
      params: tokenParams,
      condition: 'possible',
      failures: ['not_found'],
      handle: async (call) => {
        const precondition = call.precondition();
        const { id } = call.params;
        const { position } = await commitChange(deps, call, () => {
          const tag = toEntityTag(found(tokens.get(id)).digest);
          if (isConditional(precondition)) checkPrecondition(precondition, tag);
          return { drafts: [{ kind: 'token.revoke', body: { id } }], result: undefined };
        });
        return { body: undefined, position };
      },
      replay: (_call, { position }) => ({ body: undefined, position }),
    }),
  ];
}

function toView({ id, name, scopes, expiresAt, issuedAt, oneTime, ended }: ApiToken): TokenView {
  return { id, name, scopes: [...scopes], expiresAt, issuedAt, oneTime, ended };
}

function found(token: ApiToken | undefined): ApiToken {
  if (token === undefined) throw new Failure('not_found', 'there is no token of this id');
  return token;
}
