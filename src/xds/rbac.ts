/**
 * Tier 1: grants as Envoy RBAC. The listener's own filter denies everything; only a route's override opens.
 *
 * Subjects are matched by an exact map over `UriSanInput`, never by `principal_name`, which also takes DNS SANs and
 * any one of several URI SANs (seen on Envoy 1.40). Several URI SANs reach the map joined by `,`, and match nothing.
 */
import type { JsonObject } from '../core/json.ts';
import type { Subjects } from '../registry/subjects.ts';
import { typeUrl } from './resource-types.ts';

const RBAC_PER_ROUTE = typeUrl('envoy.extensions.filters.http.rbac.v3.RBACPerRoute');
const ACTION = typeUrl('envoy.config.rbac.v3.Action');
const URI_SAN_INPUT = typeUrl('envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput');

/** ALLOW rules without any policy: nothing passes. */
const NOBODY: JsonObject = { action: 'ALLOW', policies: {} };
/** An explicit rule for everyone: an override without `rules` would open the route too, but by accident. */
const EVERYBODY: JsonObject = {
  action: 'ALLOW',
  policies: { everybody: { permissions: [{ any: true }], principals: [{ any: true }] } },
};

/** The listener's own filter. */
export const RBAC_DENIES_ALL: JsonObject = {
  '@type': typeUrl('envoy.extensions.filters.http.rbac.v3.RBAC'),
  rules: NOBODY,
};
export const RBAC_OPEN: JsonObject = { '@type': RBAC_PER_ROUTE, rbac: { rules: EVERYBODY } };

/** A route's override that lets pass exactly these subjects. */
export function rbacOfSubjects(subjects: Subjects): JsonObject {
  // an empty map is not valid, and an override without `rules` and `matcher` opens the route (seen on Envoy 1.40)
  if (subjects.size === 0) return { '@type': RBAC_PER_ROUTE, rbac: { rules: NOBODY } };
  const map: Record<string, JsonObject> = {};
  for (const [spiffe, grantId] of subjects) map[spiffe] = actionOf(`grant:${grantId}`, 'ALLOW');
  return {
    '@type': RBAC_PER_ROUTE,
    rbac: {
      matcher: {
        matcherTree: {
          input: { name: 'uri-san', typedConfig: { '@type': URI_SAN_INPUT } },
          exactMatchMap: { map },
        },
        onNoMatch: actionOf('no-grant', 'DENY'),
      },
    },
  };
}

/** A route's override that lets pass whoever comes from one of these addresses, as the connection shows it. */
export function rbacOfAddresses(ranges: readonly JsonObject[]): JsonObject {
  const principals = ranges.map((range) => ({ directRemoteIp: range }));
  return {
    '@type': RBAC_PER_ROUTE,
    rbac: { rules: { action: 'ALLOW', policies: { here: { permissions: [{ any: true }], principals } } } },
  };
}

/** @param name shows up in Envoy's access log as the effective policy */
function actionOf(name: string, action: 'ALLOW' | 'DENY'): JsonObject {
  return { action: { name, typedConfig: { '@type': ACTION, name, action } } };
}
