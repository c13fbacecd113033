/**
 * What a gRPC client is told that follows xDS without a proxy (`xds:///SERVICE`; gRFC A27, A28): a listener per service
 * that binds nothing, its routes, its cluster and endpoints.
 *
 * Nothing is enforced here: grants and policies are for whatever stands before the service. So a client learns where a
 * service is and no more, and the service must ask by itself or be reachable through an Envoy only.
 */
import type { JsonObject } from '../core/json.ts';
import type { Operation, Service } from '../registry/model.ts';
import type { Recorded } from '../registry/objects.ts';
import { comparePrecedence, parsePath, type Segment } from '../registry/path-template.ts';
import { edsOverAds, lbEndpoint } from './cluster.ts';
import { clusterName, STAT_PREFIX } from './names.ts';
import { type NodeResources, TYPE_URLS, typeUrl } from './resource-types.ts';

interface Served {
  readonly service: Recorded<Service>;
}

export function proxylessResources(services: readonly Served[]): NodeResources {
  const all = services.map(({ service }) => service);
  return {
    cluster: all.map(({ name }) => grpcCluster(name)),
    secrets: [],
    endpoints: all.map(({ name, value }) => grpcEndpoints(name, value)),
    listener: all.map(({ name }) => apiListener(name)),
    routes: all.map(({ name, value }) => grpcRoutes(name, value)),
  };
}

/** The listener has the service's name: that is what `xds:///SERVICE` asks for. */
function apiListener(service: string): JsonObject {
  return {
    '@type': TYPE_URLS.listener,
    name: service,
    apiListener: {
      apiListener: {
        '@type': typeUrl('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
        statPrefix: STAT_PREFIX,
        rds: { routeConfigName: service, configSource: { ads: {}, resourceApiVersion: 'V3' } },
        httpFilters: [
          {
            name: 'envoy.filters.http.router',
            typedConfig: { '@type': typeUrl('envoy.extensions.filters.http.router.v3.Router') },
          },
        ],
      },
    },
  };
}

/** A call that no operation matches has no route, and fails in the client. */
function grpcRoutes(service: string, { prefix, operations }: Service): JsonObject {
  const action = { route: { cluster: clusterName(service) } };
  const matches = operations === undefined ? prefixMatches(prefix) : operationMatches(operations);
  return {
    '@type': TYPE_URLS.routes,
    name: service,
    virtualHosts: [
      {
        name: service,
        domains: ['*'],
        routes: matches.map(({ name, match }) => ({ name, match, ...action })),
      },
    ],
  };
}

interface NamedMatch {
  readonly name: string;
  readonly match: JsonObject;
}

/** Clients know no prefix that ends at a segment. */
function prefixMatches(prefix: string): readonly NamedMatch[] {
  if (prefix === '/') return [{ name: '*', match: { prefix: '/' } }];
  return [
    { name: '*', match: { path: prefix } },
    { name: '*/', match: { prefix: `${prefix}/` } },
  ];
}

/** Every gRPC call is a POST; operations of other methods are none of a gRPC client. */
function operationMatches(operations: readonly Operation[]): readonly NamedMatch[] {
  return operations
    .flatMap(({ id, method, path }) => {
      const parsed = parsePath(path);
      return parsed.ok && method === 'POST' ? [{ id, segments: parsed.segments }] : [];
    })
    .sort((a, b) => comparePrecedence(a.segments, b.segments))
    .map(({ id, segments }) => ({ name: id, match: pathMatch(segments) }));
}

function pathMatch(segments: readonly Segment[]): JsonObject {
  if (segments.every((segment) => segment.kind === 'literal')) {
    return { path: `/${segments.map(({ text }) => text).join('/')}` };
  }
  const parts = segments.map((segment) =>
    segment.kind === 'literal' ? segment.text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&') : '[^/]+',
  );
  return { safeRegex: { regex: `/${parts.join('/')}` } };
}

/** gRPC clients refuse other load balancing than round robin, unless it is configured in their own way. */
function grpcCluster(service: string): JsonObject {
  const name = clusterName(service);
  return {
    '@type': TYPE_URLS.cluster,
    name,
    type: 'EDS',
    edsClusterConfig: edsOverAds(name),
    lbPolicy: 'ROUND_ROBIN',
  };
}

/** A locality without weight is one without endpoints to them. */
function grpcEndpoints(service: string, { endpoints }: Service): JsonObject {
  const locality = {
    locality: { region: 'chancery' },
    loadBalancingWeight: 1,
    lbEndpoints: endpoints.map((place) => ({ ...lbEndpoint(place), loadBalancingWeight: 1 })),
  };
  return {
    '@type': TYPE_URLS.endpoints,
    clusterName: clusterName(service),
    endpoints: endpoints.length === 0 ? [] : [locality],
  };
}
