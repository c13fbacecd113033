/** API tokens that were used up or revoked in a lost part of the journal, for an adoption. */
import type { Revocation } from '../journal/adopt.ts';
import type { TokenState } from './token-state.ts';

export function keptTokenRevocations(adopted: TokenState, lost: TokenState): readonly Revocation[] {
  return adopted.list().flatMap(({ id, ended }): readonly Revocation[] => {
    if (ended || lost.get(id)?.ended !== true) return [];
    return [{ kind: 'token.revoke', body: { id }, key: `token/${id}` }];
  });
}
