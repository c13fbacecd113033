/**
 * Names in what we push. Service clusters have a prefix of their own, so that no service can take the name of the
 * authorizer or of the bootstrap's ADS cluster.
 */
export const ADS_CLUSTER = 'chancery-ads';
export const AUTHZ_CLUSTER = 'chancery-authz';
/** Names of secrets: certificates that the node shows, and authorities that it trusts. */
export const AUTHZ_CERTIFICATE = 'authz.certificate';
export const AUTHZ_AUTHORITIES = 'authz.authorities';
export const LISTENER_CERTIFICATE = 'listener.certificate';
export const LISTENER_AUTHORITIES = 'listener.authorities';
export const ROUTES_NAME = 'chancery';
export const STAT_PREFIX = 'chancery';

/** Keys of `typed_per_filter_config` are the names under which the listener configures its filters. */
export const RBAC_FILTER = 'envoy.filters.http.rbac';
export const EXT_AUTHZ_FILTER = 'envoy.filters.http.ext_authz';

export function clusterName(service: string): string {
  return `service.${service}`;
}

/** Another address is another listener: the old one serves until the new one is there. */
export function listenerName(address: string, port: number): string {
  return `listener.${address}:${port}`;
}
