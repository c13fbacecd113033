import type { TlsCredentials } from '../core/tls.ts';
import { unixPath } from '../core/unix-address.ts';
import type { GrpcOptions } from '../grpc/options.ts';
import { createIssuedCertificates } from '../identity/issued-certificates.ts';
import { certificateClaims, type PeerClaims, peerClaims } from '../identity/peer.ts';
import { openTlsFiles } from '../identity/tls-files.ts';
import { nodeAuthorities } from './nodes.ts';
import type { World } from './world.ts';

/** What a gRPC port shows, and whom it believes. */
export interface PortTrust {
  /** undefined: the port is plain */
  readonly tls?: TlsCredentials;
  readonly peerClaims: (peer: string, certificate?: Uint8Array) => PeerClaims;
}

/** @throws Failure request_malformed  when the files of `tls` cannot be used */
export function openPort(
  listener: 'authz' | 'control',
  { address, tls }: Pick<GrpcOptions, 'address' | 'tls'>,
  { state, follower, clock, random, logger }: Omit<World, 'journal' | 'blobs' | 'shared' | 'metrics'>,
): PortTrust {
  // grpc-js knows no peer there: whoever may open the file is on this machine
  if (unixPath(address) !== undefined) return { peerClaims: () => peerClaims(address) };
  if (tls === undefined) return { peerClaims };
  const issued = createIssuedCertificates(state.enrolments.view);
  const nodes = nodeAuthorities(issued, { state, follower });
  const credentials = openTlsFiles(tls, { option: `${listener}.tls`, logger, random, nodes });
  if (!credentials.verifiesClients) return { tls: credentials, peerClaims };
  const { view } = state.registry;
  const servicesOf = (id: string): readonly string[] | undefined => view.node(id) && view.servicesOfNode(id);
  return {
    tls: credentials,
    peerClaims: certificateClaims({ trustDomain: tls.trustDomain, issued, servicesOf, clock, logger }),
  };
}
