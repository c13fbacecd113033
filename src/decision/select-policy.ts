/**
 * Which policy answers a request, and which credential it demands first.
 *
 * The proxy's route may say `service` (managed nodes) or `policy` (an Envoy configured by hand). What it says is
 * checked, never followed blindly, and nothing that is unknown falls back to the default policy.
 */
import type { AuthorizationRequest } from '../core/authorization-request.ts';
import { Failure } from '../core/failure.ts';
import type { AuthenticateMode } from '../core/principal.ts';
import { type ACCESS_MODES, ANY_OPERATION, DEFAULT_ENTRYPOINT, type Settings } from '../registry/model.ts';

/** What `decision` needs to know of what exists; a part of `registry`'s view. */
export interface ServiceLookup {
  service(name: string): { readonly value: ServiceRules } | undefined;
  /** undefined: never put */
  settings(): { readonly value: Settings } | undefined;
  isGranted(service: string, spiffe: string, operation: string): boolean;
  /** whether it is the ID of an app that is known and not registered */
  isBarred(spiffe: string): boolean;
}

/** Of a service: who decides, by which rule, and after which credential. */
export interface ServiceRules {
  readonly access: (typeof ACCESS_MODES)[number];
  readonly policy?: string | undefined;
  readonly entrypoint?: string | undefined;
  readonly authenticate?: AuthenticateMode | undefined;
}

export interface Selection {
  readonly policy: string;
  readonly entrypoint: string;
  readonly authenticate: AuthenticateMode;
  /** what the workload must hold a grant for, where grants decide too */
  readonly grant?: { readonly service: string; readonly operation: string };
}

/**
 * @param releasedPolicies  names of the policies with a released revision
 * @returns `selector_mismatch` when the request names what it cannot have
 * @throws Failure policy_not_loaded  when nothing is named, and there is no default and not exactly one policy
 */
export function selectPolicy(
  request: AuthorizationRequest,
  lookup: ServiceLookup,
  releasedPolicies: () => readonly string[],
): Selection | 'selector_mismatch' {
  const policy = request.contextExtension('policy');
  const service = request.contextExtension('service');
  if (service !== undefined) {
    const operation = request.contextExtension('operation') ?? ANY_OPERATION;
    return ofService(lookup.service(service)?.value, policy, { service, operation });
  }

  const settings = lookup.settings()?.value ?? {};
  const authenticate = settings.authenticate ?? 'none';
  const entrypoint = DEFAULT_ENTRYPOINT;
  if (policy !== undefined) {
    const selectable = settings.selectablePolicies?.includes(policy) ?? false;
    return selectable ? { policy, entrypoint, authenticate } : 'selector_mismatch';
  }
  return { policy: settings.defaultPolicy ?? onlyOne(releasedPolicies()), entrypoint, authenticate };
}

/** A service that grants alone decide never asks; that its requests come means that the proxy runs something else. */
function ofService(
  rules: ServiceRules | undefined,
  named: string | undefined,
  grant: NonNullable<Selection['grant']>,
): Selection | 'selector_mismatch' {
  if (rules === undefined || rules.access === 'grants' || rules.policy === undefined)
    return 'selector_mismatch';
  if (named !== undefined && named !== rules.policy) return 'selector_mismatch';
  return {
    policy: rules.policy,
    entrypoint: rules.entrypoint ?? DEFAULT_ENTRYPOINT,
    authenticate: rules.authenticate ?? 'none',
    ...(rules.access !== 'policy' && { grant }),
  };
}

function onlyOne(released: readonly string[]): string {
  const [only, another] = released;
  if (only !== undefined && another === undefined) return only;
  throw new Failure(
    'policy_not_loaded',
    only === undefined ? 'no policy is released' : 'several policies are released and none is the default',
  );
}
