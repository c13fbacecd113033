/** Clusters and their endpoints: one EDS cluster per service, and the authorizer's. */
import type { JsonObject } from '../core/json.ts';
import type { Service } from '../registry/model.ts';
import { AUTHZ_CLUSTER, clusterName } from './names.ts';
import type { EnvoyTls } from './options.ts';
import { TYPE_URLS, typeUrl } from './resource-types.ts';

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export function serviceCluster(service: string): JsonObject {
  return {
    '@type': TYPE_URLS.cluster,
    name: clusterName(service),
    type: 'EDS',
    edsClusterConfig: {
      edsConfig: { ads: {}, resourceApiVersion: 'V3' },
      serviceName: clusterName(service),
    },
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
  return {
    '@type': TYPE_URLS.endpoints,
    clusterName: clusterName(service),
    endpoints: endpoints.length === 0 ? [] : [{ lbEndpoints: endpoints.map(lbEndpoint) }],
  };
}

export interface AuthzAddress {
  /** IP address */
  readonly address: string;
  readonly port: number;
  /** undefined: the port is plain */
  readonly tls?: EnvoyTls;
}

export function authzCluster(authz: AuthzAddress): JsonObject {
  return {
    '@type': TYPE_URLS.cluster,
    name: AUTHZ_CLUSTER,
    type: 'STATIC',
    connectTimeout: '0.25s',
    lbPolicy: 'LEAST_REQUEST',
    // more than this waits nowhere: it is an error, and an error is 503
    circuitBreakers: {
      thresholds: [{ maxConnections: 64, maxPendingRequests: 4096, maxRequests: 4096, maxRetries: 16 }],
    },
    typedExtensionProtocolOptions: { [HTTP_OPTIONS]: http2Options() },
    loadAssignment: { clusterName: AUTHZ_CLUSTER, endpoints: [{ lbEndpoints: [lbEndpoint(authz)] }] },
    ...(authz.tls && { transportSocket: tlsSocket(authz.tls, authz.address) }),
  };
}

/**
 * A node's connection to a port of Chancery. The authority signs nodes too: only a certificate for the address is
 * taken for Chancery's own.
 */
export function tlsSocket(
  { certificateFile, privateKeyFile, caFile }: EnvoyTls,
  address: string,
): JsonObject {
  return {
    name: 'envoy.transport_sockets.tls',
    typedConfig: {
      '@type': typeUrl('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'),
      commonTlsContext: {
        // Envoy's own maximum for what it opens is 1.2
        tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
        alpnProtocols: ['h2'],
        tlsCertificates: [
          { certificateChain: { filename: certificateFile }, privateKey: { filename: privateKeyFile } },
        ],
        validationContext: {
          trustedCa: { filename: caFile },
          matchTypedSubjectAltNames: [{ sanType: 'IP_ADDRESS', matcher: { exact: address } }],
        },
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

export function lbEndpoint({ address, port }: { address: string; port: number }): JsonObject {
  return { endpoint: { address: { socketAddress: { address, portValue: port } } } };
}
