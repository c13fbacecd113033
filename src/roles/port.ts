import type { TlsCredentials } from '../core/tls.ts';
import type { GrpcOptions } from '../grpc/options.ts';
import { certificateClaims, type PeerClaims, peerClaims } from '../identity/peer.ts';
import { openTlsFiles } from '../identity/tls-files.ts';
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
  { tls }: Pick<GrpcOptions, 'tls'>,
  { state, clock, random, logger }: Pick<World, 'state' | 'clock' | 'random' | 'logger'>,
): PortTrust {
  if (tls === undefined) return { peerClaims };
  const credentials = openTlsFiles(tls, { option: `${listener}.tls`, logger, random });
  if (!credentials.verifiesClients) return { tls: credentials, peerClaims };
  const { view } = state.registry;
  const isRegistered = (id: string): boolean => view.node(id) !== undefined;
  return {
    tls: credentials,
    peerClaims: certificateClaims({ trustDomain: tls.trustDomain, isRegistered, clock, logger }),
  };
}
