/** The authorizer as a cluster: its processes come and go as endpoints, and a dead one is left within seconds. */
import type { JsonObject } from '../core/json.ts';
import { unixPath } from '../core/unix-address.ts';
import {
  edsOverAds,
  HTTP_OPTIONS,
  http2Options,
  type Place,
  placesAssignment,
  tlsSocket,
} from './cluster.ts';
import { seconds } from './ext-authz-filter.ts';
import { AUTHZ_AUTHORITIES, AUTHZ_CERTIFICATE, AUTHZ_CLUSTER } from './names.ts';
import type { EnvoyTls } from './options.ts';
import { TYPE_URLS } from './resource-types.ts';
import { authzSecrets, secretOverAds } from './secrets.ts';

export interface Authz {
  /** where Envoys reach the authorizers; at least one */
  readonly places: readonly Place[];
  /** how long a Check may take */
  readonly timeoutMs: number;
  /** undefined: the ports are plain */
  readonly tls?: EnvoyTls;
}

export interface AuthzResources {
  readonly cluster: JsonObject;
  readonly secrets: readonly JsonObject[];
  readonly endpoints: JsonObject;
}

const resources = new WeakMap<Authz, AuthzResources>();

/** What all nodes have in common is one object per state of the authorizers: it is encoded once. */
export function authzResources(authz: Authz): AuthzResources {
  const known = resources.get(authz) ?? buildAuthz(authz);
  resources.set(authz, known);
  return known;
}

function buildAuthz({ places, tls, timeoutMs }: Authz): AuthzResources {
  const addresses = [...new Set(places.map(({ address }) => address))];
  const ipAddresses = addresses.filter((address) => unixPath(address) === undefined).sort();
  return {
    cluster: authzCluster(tls !== undefined, timeoutMs),
    secrets: tls === undefined ? [] : authzSecrets(tls, ipAddresses),
    endpoints: placesAssignment(AUTHZ_CLUSTER, places),
  };
}

function authzCluster(isTls: boolean, timeoutMs: number): JsonObject {
  return {
    '@type': TYPE_URLS.cluster,
    name: AUTHZ_CLUSTER,
    type: 'EDS',
    edsClusterConfig: edsOverAds(AUTHZ_CLUSTER),
    // time for another try
    connectTimeout: seconds(timeoutMs / 2),
    lbPolicy: 'LEAST_REQUEST',
    // more than this waits nowhere: it is an error, and an error is 503
    circuitBreakers: {
      thresholds: [{ maxConnections: 64, maxPendingRequests: 4096, maxRequests: 4096, maxRetries: 1024 }],
    },
    healthChecks: [HEALTH_CHECK],
    // who is not announced any more is not asked any more, however well it is
    ignoreHealthOnHostRemoval: true,
    // no panic: who says NOT_SERVING is never asked; when nobody is left, the answer is 503
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    typedExtensionProtocolOptions: { [HTTP_OPTIONS]: http2Options() },
    ...(isTls && {
      transportSocket: tlsSocket({
        tlsCertificateSdsSecretConfigs: [secretOverAds(AUTHZ_CERTIFICATE)],
        validationContextSdsSecretConfig: secretOverAds(AUTHZ_AUTHORITIES),
      }),
    }),
  };
}

/**
 * `grpc.health.v1` of the server as a whole. Slow answers to Checks count for nothing here: else whoever can make a
 * policy slow could take the authorizers away from everybody.
 */
const HEALTH_CHECK: JsonObject = {
  timeout: '2s',
  interval: '1s',
  intervalJitter: '0.2s',
  noTrafficInterval: '1s',
  unhealthyThreshold: 3,
  healthyThreshold: 1,
  grpcHealthCheck: {},
};
