import { DENY_REASONS, type Decision, type DenyReason, type HeaderPair } from '../core/decision.ts';

/** Why, for people; who asks needs no more than this. */
const TITLES: Readonly<Record<DenyReason, string>> = {
  authentication_required: 'A credential is needed',
  no_grant: 'There is no grant for this operation',
  policy_denied: 'The policy does not allow this',
  policy_undefined: 'The policy does not decide this',
  service_disabled: 'The service is disabled',
  app_suspended: 'The app is suspended',
  selector_mismatch: 'The request names a service or a policy that it cannot have',
};

/** A denial that no policy has worded: status of the reason, problem+json, and a challenge where it is a 401. */
export function deny(reason: DenyReason): Decision {
  const status = DENY_REASONS[reason];
  const challenge: readonly HeaderPair[] = status === 401 ? [['www-authenticate', 'Bearer']] : [];
  return {
    effect: 'deny',
    reason,
    response: {
      status,
      headers: [['content-type', 'application/problem+json'], ...challenge],
      body: JSON.stringify({ status, code: reason, title: TITLES[reason] }),
    },
    dynamicMetadata: {},
  };
}
