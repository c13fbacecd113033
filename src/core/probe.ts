/**
 * Where a proxy says what it enforces: a host that nobody can own (RFC 6761, section 6.4), so that no service is in the
 * way, and a path of it.
 */
export const PROBE_HOST = 'chancery.invalid';
export const PROBE_PATH = '/.well-known/chancery/position';
