import { isLoopback } from '../core/loopback.ts';

/** What the other end of a gRPC connection may say and be believed. */
export interface PeerClaims {
  /** The identity fields of its CheckRequests count. False: it is nobody, whatever it says. */
  readonly enrolled: boolean;
  /** Whether the `node.id` of its first ADS message selects the node. */
  mayClaimNode(id: string): boolean;
}

const ENROLLED: PeerClaims = Object.freeze({ enrolled: true, mayClaimNode: () => true });
const NOBODY: PeerClaims = Object.freeze({ enrolled: false, mayClaimNode: () => false });

/**
 * The one place that answers "what may this peer claim?". Until nodes have certificates, whoever can open a
 * connection from this machine is enrolled, and may claim to be any node; everybody else may claim nothing. The
 * certificate of a node will take the place of this rule here.
 *
 * @param peer  `address:port` as grpc-js tells it, IPv6 without brackets, or `unix:…`; `unknown` is nobody
 */
export function peerClaims(peer: string): PeerClaims {
  if (peer.startsWith('unix:')) return ENROLLED;
  const address = peer.slice(0, peer.lastIndexOf(':'));
  return isLoopback(address.replace(/^\[(.*)\]$/, '$1')) ? ENROLLED : NOBODY;
}
