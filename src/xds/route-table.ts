/**
 * The route table of a node: a virtual host per set of services, a route per operation.
 *
 * Each virtual host first refuses paths that a back end may read in another way, then lists the services by prefix,
 * longest first, each closed by a 404 for what none of its operations matches, and ends with a 404. A request
 * is forwarded only by the route of an operation.
 */
import type { JsonObject } from '../core/json.ts';
import { ANY_OPERATION, type Service } from '../registry/model.ts';
import type { Recorded } from '../registry/objects.ts';
import { comparePrecedence, parsePath, type Segment } from '../registry/path-template.ts';
import type { Subjects } from '../registry/subjects.ts';
import type { ServiceStatus } from '../registry/view.ts';
import { EXT_AUTHZ_OFF, extAuthzOf } from './ext-authz-filter.ts';
import { clusterName, EXT_AUTHZ_FILTER, RBAC_FILTER, ROUTES_NAME } from './names.ts';
import { RBAC_OPEN, rbacOfSubjects } from './rbac.ts';
import { TYPE_URLS } from './resource-types.ts';

export interface RoutedService {
  readonly service: Recorded<Service>;
  readonly status: ServiceStatus;
  /** who may use an operation; asked only where grants decide */
  readonly subjects: (operation: string) => Subjects;
}

/**
 * A whole `:path` that is free of what a back end may read otherwise: before the query only visible ASCII without
 * `;`, backslash, `#` and `%`, but for a `%XX` that is not slash, backslash, dot, `;` or a control character. What
 * does not match is refused, malformed escapes and bytes that are not UTF-8 included. The query may hold any text.
 */
const CLEAN_PATH =
  '(?:[!"$&-:<->@-\\[\\]-~]|%(?:2[0-9A-Da-d]|3[0-9AC-Fac-f]|5[0-9ABD-Fabd-f]|7[0-9A-Ea-e]|[4689A-Fa-f][0-9A-Fa-f]))*(?:\\?(?s:.*))?';

/**
 * What may stand in a literal and is not unreserved (RFC 3986, section 2). Normalisation leaves these percent-encoded
 * where they came so, and a back end reads both forms as one: `a%3Ab` must not pass by the literal `a:b`.
 */
const SIGN = /[!$&'()*+,=:@]/;

const REQUEST_TIMEOUT = '15s';

/** @param more  virtual hosts of no service */
export function routeTable(services: readonly RoutedService[], more: readonly JsonObject[] = []): JsonObject {
  const hosts = virtualHosts(services);
  const named = hosts.some(({ domains }) => domains.includes('*'));
  return {
    '@type': TYPE_URLS.routes,
    name: ROUTES_NAME,
    ignorePortInHostMatching: true,
    validateClusters: false,
    virtualHosts: [
      ...hosts.map(({ domains, routed }) => virtualHost(domains, routed)),
      ...(named ? [] : [virtualHost(['*'], [])]),
      ...more,
    ],
  };
}

interface HostGroup {
  readonly domains: readonly string[];
  readonly routed: readonly RoutedService[];
}

/** Hosts with the same services share a virtual host. `*` is every host that no service of the node names. */
function virtualHosts(services: readonly RoutedService[]): readonly HostGroup[] {
  const byHost = new Map<string, RoutedService[]>();
  for (const routed of services) {
    for (const host of routed.service.value.hosts) {
      byHost.set(host, [...(byHost.get(host) ?? []), routed]);
    }
  }
  const groups = new Map<string, { domains: string[]; routed: readonly RoutedService[] }>();
  for (const [host, routed] of [...byHost].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const key = routed.map(({ service }) => service.name).join(' ');
    const group = groups.get(key);
    if (group) group.domains.push(host);
    else groups.set(key, { domains: [host], routed });
  }
  return [...groups.values()];
}

function virtualHost(domains: readonly string[], routed: readonly RoutedService[]): JsonObject {
  const longestPrefixFirst = [...routed].sort(
    (a, b) => b.service.value.prefix.length - a.service.value.prefix.length,
  );
  return {
    name: domains[0] ?? '*',
    domains,
    routes: [
      answer('unclean-path', { prefix: '/', headers: [uncleanPath()] }, 400),
      ...longestPrefixFirst.flatMap(serviceRoutes),
      answer('no-service', { prefix: '/' }, 404),
    ],
  };
}

/** The routes of one service. Of one that is closed only its place is left, so that no other service gets its requests. */
export function serviceRoutes({ service, status, subjects }: RoutedService): readonly JsonObject[] {
  const { name, value } = service;
  if (status.state === 'closed') return [answer(`${name}/closed`, prefixMatch(value.prefix), 404)];
  const route = (operation: string, match: () => JsonObject): JsonObject => {
    const granted = value.access === 'policy' ? NOBODY : subjects(operation);
    return sameRoute(service, `${name}/${operation}`, [status, granted], () => ({
      name: `${name}/${operation}`,
      match: match(),
      ...action(name, status),
      typedPerFilterConfig: overrides(name, value, operation, granted),
    }));
  };
  if (value.operations === undefined) return [route(ANY_OPERATION, () => prefixMatch(value.prefix))];
  const parsed = value.operations.flatMap((operation) => {
    const path = parsePath(operation.path);
    // commit refuses such a path; without a route it is a 404
    return path.ok ? [{ operation, segments: path.segments }] : [];
  });
  return [
    ...parsed
      .sort(
        (a, b) => comparePrecedence(a.segments, b.segments) || compareText(a.operation.id, b.operation.id),
      )
      .map(({ operation, segments }) =>
        route(operation.id, () => operationMatch(segments, operation.method)),
      ),
    answer(`${name}/no-operation`, prefixMatch(value.prefix), 404),
  ];
}

const NOBODY: Subjects = new Map();
const routes = new WeakMap<
  Recorded<Service>,
  Map<string, { readonly key: string; readonly route: JsonObject }>
>();

/** A route that comes out as it did before is the same object, and is not encoded again. */
function sameRoute(
  service: Recorded<Service>,
  name: string,
  [status, subjects]: readonly [ServiceStatus, Subjects],
  make: () => JsonObject,
): JsonObject {
  const ofService = routes.get(service) ?? new Map<string, { key: string; route: JsonObject }>();
  routes.set(service, ofService);
  const key = JSON.stringify([status, ...subjects]);
  const known = ofService.get(name);
  if (known?.key === key) return known.route;
  const route = make();
  ofService.set(name, { key, route });
  return route;
}

/** The filters come before either: who may not call never learns that a service is disabled. */
function action(service: string, status: Exclude<ServiceStatus, { state: 'closed' }>): JsonObject {
  if (status.state === 'disabled') {
    return { directResponse: { status: 503, body: { inlineString: status.notice } } };
  }
  return {
    route: {
      cluster: clusterName(service),
      timeout: REQUEST_TIMEOUT,
      // only what the upstream has certainly not seen is sent again
      retryPolicy: { retryOn: 'connect-failure,refused-stream,reset-before-request', numRetries: 1 },
    },
  };
}

/** Every route says both aloud: who passes RBAC, and whether the policy is asked. */
function overrides(name: string, { access }: Service, operation: string, subjects: Subjects): JsonObject {
  switch (access) {
    case 'grants':
      return perFilter(rbacOfSubjects(subjects), EXT_AUTHZ_OFF);
    case 'policy':
      return perFilter(RBAC_OPEN, extAuthzOf(name, operation));
    case 'grants-and-policy':
      return perFilter(rbacOfSubjects(subjects), extAuthzOf(name, operation));
    default:
      return access satisfies never;
  }
}

function perFilter(rbac: JsonObject, extAuthz: JsonObject): JsonObject {
  return { [RBAC_FILTER]: rbac, [EXT_AUTHZ_FILTER]: extAuthz };
}

/** Answers without an upstream, and says the same to everyone: nothing is opened by it. */
function answer(name: string, match: JsonObject, status: number): JsonObject {
  return {
    name,
    match,
    directResponse: { status },
    typedPerFilterConfig: perFilter(RBAC_OPEN, EXT_AUTHZ_OFF),
  };
}

function prefixMatch(prefix: string): JsonObject {
  if (prefix === '/') return { prefix };
  return SIGN.test(prefix)
    ? { safeRegex: { regex: `${pattern(prefix)}(?:/.*)?` } }
    : { pathSeparatedPrefix: prefix };
}

function operationMatch(segments: readonly Segment[], method: string): JsonObject {
  const headers = [{ name: ':method', stringMatch: { exact: method } }];
  const literal = segments.every((segment) => segment.kind === 'literal');
  const text = segments.map((segment) => (segment.kind === 'literal' ? segment.text : '')).join('/');
  if (literal && !SIGN.test(text)) return { path: `/${text}`, headers };
  const parts = segments.map((segment) => (segment.kind === 'literal' ? pattern(segment.text) : '[^/]+'));
  return { safeRegex: { regex: `/${parts.join('/')}` }, headers };
}

function uncleanPath(): JsonObject {
  return { name: ':path', stringMatch: { safeRegex: { regex: CLEAN_PATH } }, invertMatch: true };
}

/** Matches literal text, each sign as itself or percent-encoded. */
function pattern(literal: string): string {
  const encoded = (sign: string): string => sign.charCodeAt(0).toString(16);
  return literal
    .replaceAll('.', '\\.')
    .replaceAll(new RegExp(SIGN, 'g'), (sign) => `(?:[${sign}]|(?i:%${encoded(sign)}))`);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
