/**
 * The bootstrap of a node: all that an Envoy must know beforehand is where Chancery is and what it is called. It
 * holds no secret. No static listener, and the ADS cluster is the only static one.
 */
import type { JsonObject } from '../core/json.ts';
import { http2Options, lbEndpoint } from './cluster.ts';
import { ADS_CLUSTER } from './names.ts';

export interface BootstrapOptions {
  readonly nodeId: string;
  /** IP address where the node reaches the ADS port */
  readonly adsAddress: string;
  readonly adsPort: number;
  /** of Envoy's administration interface on 127.0.0.1; 0: any free port; default 9901 */
  readonly adminPort?: number;
}

const ADMIN_PORT = 9901;

/** @returns `envoy.config.bootstrap.v3.Bootstrap` as canonical protobuf JSON, without `@type` */
export function buildBootstrap({ nodeId, adsAddress, adsPort, adminPort }: BootstrapOptions): JsonObject {
  return {
    node: { id: nodeId, cluster: 'chancery' },
    admin: { address: { socketAddress: { address: '127.0.0.1', portValue: adminPort ?? ADMIN_PORT } } },
    dynamicResources: {
      adsConfig: {
        apiType: 'DELTA_GRPC',
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
