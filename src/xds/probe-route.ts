/**
 * Proof of effect: a route that answers with the journal's position that the proxy enforces. An ACK says that a
 * configuration was taken, not that requests meet it; this answer comes out of the same table as the access rules, by
 * the same listener.
 *
 * It is for the machine of the proxy alone: whoever comes from elsewhere is denied, and what `x-forwarded-for` says
 * counts for nothing.
 */
import type { JsonObject } from '../core/json.ts';
import { PROBE_HOST, PROBE_PATH } from '../core/probe.ts';
import { EXT_AUTHZ_OFF } from './ext-authz-filter.ts';
import { EXT_AUTHZ_FILTER, RBAC_FILTER } from './names.ts';
import type { Place } from './node-status.ts';
import { rbacOfAddresses } from './rbac.ts';

const LOOPBACK = [
  { addressPrefix: '127.0.0.0', prefixLen: 8 },
  { addressPrefix: '::1', prefixLen: 128 },
];

/** @param address  of the listener: whoever calls it from this machine comes from that address, or from loopback */
export function probeHost({ epoch, seq }: Place, address: string): JsonObject {
  const own = { addressPrefix: address, prefixLen: address.includes(':') ? 128 : 32 };
  const here = { [RBAC_FILTER]: rbacOfAddresses([...LOOPBACK, own]), [EXT_AUTHZ_FILTER]: EXT_AUTHZ_OFF };
  return {
    name: PROBE_HOST,
    domains: [PROBE_HOST],
    routes: [
      {
        name: 'position',
        match: { path: PROBE_PATH },
        directResponse: { status: 200, body: { inlineString: `${epoch}.${seq}\n` } },
        typedPerFilterConfig: here,
      },
      {
        name: 'no-service',
        match: { prefix: '/' },
        directResponse: { status: 404 },
        typedPerFilterConfig: here,
      },
    ],
  };
}
