/** Clusters and their endpoints: one EDS cluster per service, and what all clusters are made of. */
import type { JsonObject } from '../core/json.ts';
import { unixPath } from '../core/unix-address.ts';
import type { Service } from '../registry/model.ts';
import { clusterName } from './names.ts';
import { TYPE_URLS, typeUrl } from './resource-types.ts';

export const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export function serviceCluster(service: string): JsonObject {
  return {
    '@type': TYPE_URLS.cluster,
    name: clusterName(service),
    type: 'EDS',
    edsClusterConfig: edsOverAds(clusterName(service)),
    connectTimeout: '2s',
    lbPolicy: 'LEAST_REQUEST',
    perConnectionBufferLimitBytes: 32_768,
    circuitBreakers: {
      thresholds: [{ maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 16 }],
    },
    typedExtensionProtocolOptions: {
      [HTTP_OPTIONS]: {
        '@type': typeUrl(HTTP_OPTIONS),
        // shorter than the 5 s after which many servers close an idle connection
        commonHttpProtocolOptions: { idleTimeout: '4s' },
        explicitHttpConfig: { httpProtocolOptions: {} },
      },
    },
  };
}

export function serviceEndpoints(service: string, { endpoints }: Service): JsonObject {
  return placesAssignment(clusterName(service), endpoints);
}

/** A node's connection to a port of Chancery. @param context  members of `CommonTlsContext`: whom to trust, what to show */
export function tlsSocket(context: JsonObject): JsonObject {
  return {
    name: 'envoy.transport_sockets.tls',
    typedConfig: {
      '@type': typeUrl('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'),
      commonTlsContext: {
        // Envoy's own maximum for what it opens is 1.2
        tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
        alpnProtocols: ['h2'],
        ...context,
      },
    },
  };
}

/** gRPC needs HTTP/2; a dead connection is noticed by its pings. */
export function http2Options(): JsonObject {
  return {
    '@type': typeUrl(HTTP_OPTIONS),
    explicitHttpConfig: {
      http2ProtocolOptions: {
        maxConcurrentStreams: 256,
        connectionKeepalive: { interval: '30s', timeout: '5s' },
      },
    },
  };
}

/** Where something listens. */
export interface Place {
  /** IP address, or `unix:/path`, whose port means nothing */
  readonly address: string;
  readonly port: number;
}

export function lbEndpoint({ address, port }: Place): JsonObject {
  const path = unixPath(address);
  const where = path === undefined ? { socketAddress: { address, portValue: port } } : { pipe: { path } };
  return { endpoint: { address: where } };
}

export function placesAssignment(cluster: string, places: readonly Place[]): JsonObject {
  return {
    '@type': TYPE_URLS.endpoints,
    clusterName: cluster,
    endpoints: places.length === 0 ? [] : [{ lbEndpoints: places.map(lbEndpoint) }],
  };
}

export function edsOverAds(cluster: string): JsonObject {
  return { edsConfig: { ads: {}, resourceApiVersion: 'V3' }, serviceName: cluster };
}
