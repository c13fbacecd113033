import type { JsonObject } from '../../src/core/json.ts';

/** Routes that Envoy refuses: nothing that our own checks see is wrong with them; the regular expression is. */
export function withBadRoutes(routes: JsonObject): JsonObject {
  const bad = { match: { safeRegex: { regex: '(' } }, directResponse: { status: 200 } };
  return { ...routes, virtualHosts: [{ name: 'bad', domains: ['*'], routes: [bad] }] };
}
