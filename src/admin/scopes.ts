/**
 * What a token may do. Each endpoint names the one scope that it needs; no scope implies another, so that what a
 * token may do can be read off its list.
 */
import { Failure } from '../core/failure.ts';
import type { ApiToken } from './token-state.ts';

export const SCOPES = [
  'policy:read',
  'policy:write',
  'policy:release',
  'registry:read',
  'registry:write',
  'audit:read',
  'token:admin',
] as const;
export type Scope = (typeof SCOPES)[number];

/** Everything, and whatever is added to it. */
export const SCOPE_ALL = '*';
export const GRANTABLE_SCOPES = [SCOPE_ALL, ...SCOPES] as const;

interface Need {
  readonly scope: Scope;
  /** the one operation that a one-time token may be used for */
  readonly oneTimeToken?: boolean;
}

/** @throws Failure permission_denied  naming the scope that is needed */
export function requireScope(caller: Pick<ApiToken, 'scopes' | 'oneTime'>, need: Need): void {
  if (caller.oneTime && need.oneTimeToken !== true) {
    throw new Failure(
      'permission_denied',
      `this needs the scope ${need.scope}; a one-time token can only issue a token`,
    );
  }
  if (!holds(caller.scopes, need.scope)) {
    throw new Failure(
      'permission_denied',
      `this needs the scope ${need.scope}, which the token does not have`,
    );
  }
}

/**
 * A token issues no more than it holds. A one-time token comes from whoever holds the store and the signing key, and
 * stands for the first token of all: it issues any.
 *
 * @throws Failure permission_denied  naming the scopes that are not held
 */
export function requireIssuable(
  caller: Pick<ApiToken, 'scopes' | 'oneTime'>,
  wanted: readonly string[],
): void {
  if (caller.oneTime) return;
  const missing = wanted.filter((scope) => !holds(caller.scopes, scope));
  if (missing.length === 0) return;
  throw new Failure('permission_denied', `a token issues no more than it holds: not ${missing.join(', ')}`);
}

function holds(held: readonly string[], scope: string): boolean {
  return held.includes(SCOPE_ALL) || held.includes(scope);
}
