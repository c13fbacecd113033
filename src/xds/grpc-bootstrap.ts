/** The bootstrap file of a proxyless node: what `GRPC_XDS_BOOTSTRAP` names (gRFC A27, A29). */
import { isIPv6 } from 'node:net';
import type { JsonObject } from '../core/json.ts';
import { unixPath } from '../core/unix-address.ts';
import type { BootstrapOptions } from './bootstrap.ts';

export function buildGrpcBootstrap({ nodeId, adsAddress, adsPort, adsTls }: BootstrapOptions): JsonObject {
  return {
    xds_servers: [
      {
        server_uri: serverUri(adsAddress, adsPort),
        channel_creds: [
          adsTls === undefined ? { type: 'insecure' } : { type: 'tls', config: tlsConfig(adsTls) },
        ],
        server_features: ['xds_v3'],
      },
    ],
    // some clients refuse a node without locality
    node: { id: nodeId, cluster: 'chancery', locality: {} },
  };
}

function serverUri(address: string, port: number): string {
  if (unixPath(address) !== undefined) return address;
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Files are read again when they change. */
function tlsConfig({
  certificateFile,
  privateKeyFile,
  caFile,
}: NonNullable<BootstrapOptions['adsTls']>): JsonObject {
  return {
    certificate_file: certificateFile,
    private_key_file: privateKeyFile,
    ca_certificate_file: caFile,
    refresh_interval: '60s',
  };
}
