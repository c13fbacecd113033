/**
 * The listener of a node: TLS by secrets, strict HTTP, RBAC that denies all, the authorizer, the router.
 *
 * No access rule lives here: a changed listener drains its connections, changed routes do not.
 */
import type { JsonObject } from '../core/json.ts';
import type { EnvoyNode } from '../registry/model.ts';
import { extAuthzFilter } from './ext-authz-filter.ts';
import {
  EXT_AUTHZ_FILTER,
  LISTENER_AUTHORITIES,
  LISTENER_CERTIFICATE,
  listenerName,
  RBAC_FILTER,
  ROUTES_NAME,
  STAT_PREFIX,
} from './names.ts';
import { RBAC_DENIES_ALL } from './rbac.ts';
import { TYPE_URLS, typeUrl } from './resource-types.ts';
import { secretOverAds } from './secrets.ts';

type Tls = NonNullable<EnvoyNode['listener']['tls']>;

/** @param maxStreamSeconds  the longest life of a stream: rules are asked when it begins */
export function nodeListener(
  { listener }: EnvoyNode,
  authzTimeoutMs: number,
  maxStreamSeconds?: number,
): JsonObject {
  const { address, port, tls } = listener;
  return {
    '@type': TYPE_URLS.listener,
    name: listenerName(address, port),
    address: { socketAddress: { address, portValue: port } },
    perConnectionBufferLimitBytes: 32_768,
    filterChains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typedConfig: httpManager(authzTimeoutMs, maxStreamSeconds),
          },
        ],
        ...(tls && {
          transportSocketConnectTimeout: '10s',
          transportSocket: { name: 'envoy.transport_sockets.tls', typedConfig: tlsContext(tls) },
        }),
      },
    ],
  };
}

function httpManager(authzTimeoutMs: number, maxStreamSeconds: number | undefined): JsonObject {
  return {
    '@type': typeUrl('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    statPrefix: STAT_PREFIX,
    rds: {
      routeConfigName: ROUTES_NAME,
      // no route table, no listener: never half configured
      configSource: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' },
    },
    httpFilters: [
      { name: RBAC_FILTER, typedConfig: RBAC_DENIES_ALL },
      { name: EXT_AUTHZ_FILTER, typedConfig: extAuthzFilter(authzTimeoutMs) },
      { name: 'envoy.filters.http.router', typedConfig: router() },
    ],
    // bounded as any other stream
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    commonHttpProtocolOptions: {
      ...CONNECTION,
      ...(maxStreamSeconds !== undefined && { maxStreamDuration: `${maxStreamSeconds}s` }),
    },
    ...PATHS,
    ...CALLER,
    ...BOUNDS,
  };
}

/** One spelling of each path, before routes and rules look at it. */
const PATHS: JsonObject = {
  normalizePath: true,
  mergeSlashes: true,
  pathWithEscapedSlashesAction: 'REJECT_REQUEST',
  stripTrailingHostDot: true,
};

/** What a client says of itself is not believed. */
const CALLER: JsonObject = {
  useRemoteAddress: true,
  // without address ranges nobody is internal, not even a private network
  internalAddressConfig: { unixSockets: false },
  forwardClientCertDetails: 'SANITIZE_SET',
  setCurrentClientCertDetails: { uri: true },
};

const CONNECTION: JsonObject = {
  idleTimeout: '300s',
  maxHeadersCount: 100,
  headersWithUnderscoresAction: 'REJECT_REQUEST',
};

const BOUNDS: JsonObject = {
  http2ProtocolOptions: {
    maxConcurrentStreams: 100,
    initialStreamWindowSize: 65_536,
    initialConnectionWindowSize: 1_048_576,
  },
  requestHeadersTimeout: '10s',
  streamIdleTimeout: '300s',
  requestTimeout: '300s',
};

function router(): JsonObject {
  return {
    '@type': typeUrl('envoy.extensions.filters.http.router.v3.Router'),
    suppressEnvoyHeaders: true,
    strictCheckHeaders: [
      'x-envoy-upstream-rq-timeout-ms',
      'x-envoy-upstream-rq-per-try-timeout-ms',
      'x-envoy-max-retries',
      'x-envoy-retry-grpc-on',
      'x-envoy-retry-on',
    ],
  };
}

function tlsContext(tls: Tls): JsonObject {
  return {
    '@type': typeUrl('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'),
    requireClientCertificate: tls.clientCertificate === 'required',
    // a resumed session would carry a certificate that nobody verified again
    disableStatelessSessionResumption: true,
    disableStatefulSessionResumption: true,
    commonTlsContext: {
      tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2' },
      alpnProtocols: ['h2', 'http/1.1'],
      tlsCertificateSdsSecretConfigs: [secretOverAds(LISTENER_CERTIFICATE)],
      // a certificate that is shown must be valid, also where none is required
      validationContextSdsSecretConfig: secretOverAds(LISTENER_AUTHORITIES),
    },
  };
}
