/**
 * One query parameter may be written in many ways: `a`, `%61`. Envoy sets and removes the one that is written as the
 * policy writes it and leaves the others (seen on 1.40), and the upstream would read those as the same parameter: a
 * client could keep what the policy removes, or say again what the policy sets. So the other spellings that this
 * request has go too.
 */
import type { Decision } from '../core/decision.ts';
import type { CheckRequest } from './check-request.ts';
import { queryKeys } from './parsed-path.ts';

export function withEverySpelling(decision: Decision, request: Pick<CheckRequest, 'target'>): Decision {
  if (decision.effect === 'deny') return decision;
  const { obligations } = decision;
  const { queryParametersToSet, queryParametersToRemove } = obligations;
  if (queryParametersToSet.length === 0 && queryParametersToRemove.length === 0) return decision;

  const names = new Set([...queryParametersToSet.map(([name]) => name), ...queryParametersToRemove]);
  const others = queryKeys(request.target)
    .filter(({ written, name }) => names.has(name) && !names.has(written))
    .map(({ written }) => written);
  if (others.length === 0) return decision;
  const toRemove = [...new Set([...queryParametersToRemove, ...others])];
  return { ...decision, obligations: { ...obligations, queryParametersToRemove: toRemove } };
}
