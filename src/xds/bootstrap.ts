/**
 * The bootstrap of a node: all that an Envoy must know beforehand is where Chancery is and what it is called. It
 * holds no secret. No static listener, and the ADS cluster is the only static one.
 */
import type { JsonObject } from '../core/json.ts';
import { http2Options, lbEndpoint, tlsSocket } from './cluster.ts';
import { ADS_CLUSTER } from './names.ts';
import type { EnvoyTls } from './options.ts';
import { ipAddressName, secretFrom } from './secrets.ts';

export interface BootstrapOptions {
  readonly nodeId: string;
  /** where the node reaches the ADS port: IP address, or `unix:/path` */
  readonly adsAddress: string;
  readonly adsPort: number;
  /** undefined: the ADS port is plain */
  readonly adsTls?: EnvoyTls | undefined;
  /** of Envoy's administration interface on 127.0.0.1; 0: any free port; default 9901 */
  readonly adminPort?: number;
  /** variant of xDS that the node speaks; default `delta` */
  readonly protocol?: AdsProtocol;
}

export const ADS_PROTOCOLS = ['delta', 'sotw'] as const;
/** incremental, or state of the world */
export type AdsProtocol = (typeof ADS_PROTOCOLS)[number];

const ADMIN_PORT = 9901;
const API_TYPES: Readonly<Record<AdsProtocol, string>> = { delta: 'DELTA_GRPC', sotw: 'GRPC' };

/** @returns `envoy.config.bootstrap.v3.Bootstrap` as canonical protobuf JSON, without `@type` */
export function buildBootstrap(options: BootstrapOptions): JsonObject {
  const { nodeId, adsAddress, adsPort, adsTls, adminPort = ADMIN_PORT, protocol = 'delta' } = options;
  return {
    node: { id: nodeId, cluster: 'chancery' },
    admin: { address: { socketAddress: { address: '127.0.0.1', portValue: adminPort } } },
    dynamicResources: {
      adsConfig: {
        apiType: API_TYPES[protocol],
        transportApiVersion: 'V3',
        setNodeOnFirstMessageOnly: true,
        rateLimitSettings: { maxTokens: 100, fillRate: 10 },
        grpcServices: [
          {
            envoyGrpc: {
              clusterName: ADS_CLUSTER,
              // Envoy's own bound is 30 s: too long to wait for a control plane that is back
              retryPolicy: { retryBackOff: { baseInterval: '0.2s', maxInterval: '2s' } },
            },
          },
        ],
      },
      // 0: wait for as long as it takes, never come up half configured
      cdsConfig: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' },
      ldsConfig: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' },
    },
    staticResources: {
      clusters: [
        {
          name: ADS_CLUSTER,
          type: 'STATIC',
          connectTimeout: '1s',
          typedExtensionProtocolOptions: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2Options(),
          },
          loadAssignment: {
            clusterName: ADS_CLUSTER,
            endpoints: [{ lbEndpoints: [lbEndpoint({ address: adsAddress, port: adsPort })] }],
          },
          ...(adsTls && { transportSocket: tlsSocket(adsTrust(adsTls, adsAddress)) }),
        },
      ],
    },
    layeredRuntime: {
      layers: [
        // room for the pattern that refuses unclean paths
        { name: 'static', staticLayer: { 're2.max_program_size.error_level': 1000 } },
        { name: 'admin', adminLayer: {} },
      ],
    },
    overloadManager: {
      resourceMonitors: [
        {
          name: 'envoy.resource_monitors.global_downstream_max_connections',
          typedConfig: {
            '@type':
              'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
            maxActiveDownstreamConnections: '50000',
          },
        },
      ],
    },
  };
}

/**
 * The authority signs nodes too: only a certificate for the address is taken for Chancery's own. This cluster comes
 * before ADS, so its secrets can only come from files.
 */
function adsTrust(tls: EnvoyTls, address: string): JsonObject {
  const { certificateFile, privateKeyFile, caFile, secretsFolder } = tls;
  const matchTypedSubjectAltNames = [ipAddressName(address)];
  if (secretsFolder === undefined) {
    return {
      tlsCertificates: [
        { certificateChain: { filename: certificateFile }, privateKey: { filename: privateKeyFile } },
      ],
      validationContext: { trustedCa: { filename: caFile }, matchTypedSubjectAltNames },
    };
  }
  const fromFile = (name: string): JsonObject =>
    secretFrom(name, {
      pathConfigSource: { path: `${secretsFolder}/${name}.sds.json` },
      resourceApiVersion: 'V3',
    });
  return {
    tlsCertificateSdsSecretConfigs: [fromFile('certificate')],
    combinedValidationContext: {
      defaultValidationContext: { matchTypedSubjectAltNames },
      validationContextSdsSecretConfig: fromFile('authorities'),
    },
  };
}
