import { X509Certificate } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { isLoopback } from '../core/loopback.ts';
import type { Logger } from '../telemetry/logger.ts';
import { spiffeIdOf } from './workload.ts';

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
 * On a port that verifies no client certificates: whoever can open a connection from this machine is enrolled, and
 * may claim to be any node; everybody else may claim nothing.
 *
 * @param peer  `address:port` as grpc-js tells it, IPv6 without brackets, or `unix:…`; `unknown` is nobody
 */
export function peerClaims(peer: string): PeerClaims {
  if (peer.startsWith('unix:')) return ENROLLED;
  const address = peer.slice(0, peer.lastIndexOf(':'));
  return isLoopback(address.replace(/^\[(.*)\]$/, '$1')) ? ENROLLED : NOBODY;
}

export interface NodeTrust {
  /** of the nodes' SPIFFE IDs; undefined: whatever the authority signs */
  readonly trustDomain?: string | undefined;
  /** a node that was deleted is nobody, however long its certificate lasts */
  readonly isRegistered: (nodeId: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface NodeCertificate {
  /** undefined: it names no node */
  readonly nodeId: string | undefined;
  readonly expiresAtMs: number;
}

const NO_NODE: NodeCertificate = { nodeId: undefined, expiresAtMs: 0 };
const NODE_ID = /^spiffe:\/\/([^/]+)\/node\/([^/]+)$/;

/**
 * On a port that verifies client certificates, a node is what its certificate says, `spiffe://<trust domain>/node/<id>`
 * as the only URI SAN, and where it connects from means nothing. Another certificate of the same authority proves
 * that its holder may connect, and no more. A connection may outlast the certificate; what it may claim does not.
 *
 * @returns for a peer's address and its verified certificate (DER; the same object on each call of one connection)
 */
export function certificateClaims(trust: NodeTrust): (peer: string, certificate?: Uint8Array) => PeerClaims {
  const { isRegistered, clock, logger } = trust;
  const known = new WeakMap<Uint8Array, NodeCertificate>();

  const read = (peer: string, certificate: Uint8Array): NodeCertificate => {
    const node = readNodeCertificate(certificate, trust.trustDomain);
    if (node.nodeId === undefined) {
      logger.warn({ peer }, 'a certificate names no node: what its holder says of clients does not count');
    }
    known.set(certificate, node);
    return node;
  };

  return (peer, certificate) => {
    if (certificate === undefined) return NOBODY;
    const { nodeId, expiresAtMs } = known.get(certificate) ?? read(peer, certificate);
    const holds = nodeId !== undefined && clock.nowMs() < expiresAtMs;
    return {
      enrolled: holds && isRegistered(nodeId),
      mayClaimNode(claimed) {
        if (holds && claimed === nodeId) return true;
        logger.warn({ peer, claimed, certificate: nodeId ?? 'none' }, 'a peer claims a node that it is not');
        return false;
      },
    };
  };
}

function readNodeCertificate(der: Uint8Array, trustDomain: string | undefined): NodeCertificate {
  try {
    const certificate = new X509Certificate(der);
    const [, domain, nodeId] = NODE_ID.exec(spiffeIdOf(certificate) ?? '') ?? [];
    const isOurs = trustDomain === undefined || domain === trustDomain;
    return { nodeId: isOurs ? nodeId : undefined, expiresAtMs: certificate.validToDate.getTime() };
  } catch {
    return NO_NODE;
  }
}
