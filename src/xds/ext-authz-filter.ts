/**
 * Tier 2: the question to `authz`, as filter of the listener and as overrides of routes. On by default; only a
 * route's override switches it off.
 */
import type { JsonObject } from '../core/json.ts';
import { AUTHZ_CLUSTER } from './names.ts';
import { typeUrl } from './resource-types.ts';

const PER_ROUTE = typeUrl('envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute');

/**
 * Policies may read a body: its first bytes travel with the question, as bytes (a string field must be UTF-8). A
 * longer body is cut and marked, never refused. The price: a request that streams its body in small pieces and
 * waits for an answer in between is held until this much has come or the body has ended.
 */
const REQUEST_BODY: JsonObject = { maxRequestBytes: 8192, allowPartialMessage: true, packAsBytes: true };

/**
 * A Check that has reached no authorizer, because no connection could be had, is asked of another one (of the same
 * when there is no other), within the time of the call. One that may have been read is not asked again, nor one that
 * took too long: whoever can make a policy slow must not get three for one.
 */
const anotherProcess = (timeoutMs: number): JsonObject => ({
  retryOn: 'connect-failure,refused-stream,reset-before-request',
  numRetries: 2,
  // Envoy takes the maximum for the time of each try as well: not less than that of the whole call
  retryBackOff: { baseInterval: '0.01s', maxInterval: seconds(timeoutMs) },
  retryHostPredicate: [
    {
      name: 'envoy.retry_host_predicates.previous_hosts',
      typedConfig: {
        '@type': typeUrl('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'),
      },
    },
  ],
  hostSelectionRetryMaxAttempts: '3',
});

/** @param timeoutMs of the whole call, the connection included */
export function extAuthzFilter(timeoutMs: number): JsonObject {
  return {
    '@type': typeUrl('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'),
    transportApiVersion: 'V3',
    grpcService: {
      envoyGrpc: { clusterName: AUTHZ_CLUSTER },
      timeout: seconds(timeoutMs),
      retryPolicy: anotherProcess(timeoutMs),
    },
    statPrefix: 'pdp',
    failureModeAllow: false,
    statusOnError: { code: 'ServiceUnavailable' },
    // never authorise one route and serve another
    clearRouteCache: false,
    validateMutations: true,
    decoderHeaderMutationRules: { allowEnvoy: false, disallowIsError: true },
    // the plain map would join repeated headers and replace bytes that are not UTF-8
    encodeRawHeaders: true,
    includePeerCertificate: true,
    includeTlsSession: true,
    enableDynamicMetadataIngestion: true,
    chargeClusterResponseStats: false,
    emitFilterStateStats: true,
    maxDeniedResponseBodyBytes: 4096,
    enforceResponseHeaderLimits: true,
  };
}

export const EXT_AUTHZ_OFF: JsonObject = { '@type': PER_ROUTE, disabled: true };

/** A route's override that says which operation of which service is asked for. */
export function extAuthzOf(service: string, operation: string): JsonObject {
  return {
    '@type': PER_ROUTE,
    checkSettings: { contextExtensions: { service, operation }, withRequestBody: REQUEST_BODY },
  };
}

/** protobuf's JSON form of a Duration. */
export function seconds(ms: number): string {
  return `${ms / 1000}s`;
}
