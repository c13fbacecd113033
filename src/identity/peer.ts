import type { Clock } from '../core/clock.ts';
import { isLoopback } from '../core/loopback.ts';
import type { LogFields, Logger } from '../telemetry/logger.ts';
import type { IssuedCertificates } from './issued-certificates.ts';
import { spiffeIdOf } from './workload.ts';

/** What the other end of a gRPC connection may say and be believed. */
export interface PeerClaims {
  /** The identity fields of its CheckRequests count. False: it is nobody, whatever it says. */
  readonly enrolled: boolean;
  /** Whether the `node.id` of its first ADS message selects the node. */
  mayClaimNode(id: string): boolean;
  /** Whether it may see the status of all nodes: it is an operator. */
  mayInspect(): boolean;
  /** Whether its CheckRequests may name this service: a node asks for those that it serves. */
  mayAskFor(service: string): boolean;
}

const ENROLLED: PeerClaims = Object.freeze({
  enrolled: true,
  mayClaimNode: () => true,
  mayInspect: () => true,
  mayAskFor: () => true,
});
/** On a port that verifies nobody there is no node whose services could be compared. */
const NOBODY: PeerClaims = Object.freeze({
  ...ENROLLED,
  enrolled: false,
  mayClaimNode: () => false,
  mayInspect: () => false,
});

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
  /** of SPIFFE IDs that another authority has signed; undefined: whatever it signs */
  readonly trustDomain?: string | undefined;
  /** certificates of our own authorities: whose they are is what the journal says, not what they say */
  readonly issued: IssuedCertificates;
  /** undefined: not registered. A node that was deleted is nobody, however long its certificate lasts. */
  readonly servicesOf: (nodeId: string) => readonly string[] | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Where certificates are verified, what is without one is nothing at all. */
const STRANGER: PeerClaims = Object.freeze({ ...NOBODY, mayAskFor: () => false });

interface NodeCertificate {
  /** undefined: it names no node, or was revoked */
  nodeId(): string | undefined;
  /** it names an operator */
  readonly isOperator: boolean;
  readonly expiresAtMs: number;
}

const NO_NODE: NodeCertificate = { nodeId: () => undefined, isOperator: false, expiresAtMs: 0 };
const MAX_SHOWN = 63;
const NODE_ID = /^spiffe:\/\/([^/]+)\/node\/([^/]+)$/;
const OPERATOR_ID = /^spiffe:\/\/([^/]+)\/operator\/[^/]+$/;

/**
 * On a port that verifies client certificates, a node is what its certificate says, `spiffe://<trust domain>/node/<id>`
 * as the only URI SAN, and where it connects from means nothing. Another certificate of the same authority proves
 * that its holder may connect, and no more. A connection may outlast the certificate, and a certificate that was
 * issued here its revocation; what they may claim does not.
 *
 * @returns for a peer's address and its verified certificate (DER; the same object on each call of one connection)
 */
export function certificateClaims(trust: NodeTrust): (peer: string, certificate?: Uint8Array) => PeerClaims {
  const { servicesOf, clock, logger } = trust;
  const known = new WeakMap<Uint8Array, NodeCertificate>();

  /** of a connection, what was told last: once, not with each call */
  const told = new WeakMap<Uint8Array, string>();

  const read = (certificate: Uint8Array): NodeCertificate => {
    const node = readNodeCertificate(certificate, trust);
    known.set(certificate, node);
    return node;
  };

  return (peer, certificate) => {
    if (certificate === undefined) return STRANGER;
    const node = known.get(certificate) ?? read(certificate);
    const nodeId = node.nodeId();
    const holds = nodeId !== undefined && clock.nowMs() < node.expiresAtMs;
    const services = holds ? servicesOf(nodeId) : undefined;
    const enrolled = services !== undefined;
    const tell = (what: string, fields: LogFields = {}): void => {
      if (told.get(certificate) === what) return;
      told.set(certificate, what);
      logger.warn({ peer, node: nodeId, ...fields }, what);
    };
    if (!enrolled && !node.isOperator) {
      const why = nodeId === undefined ? 'names no node' : holds ? 'is of no registered node' : 'has expired';
      tell(`a certificate ${why}: what its holder says of clients does not count`);
    }
    return {
      enrolled,
      mayInspect: () => node.isOperator && clock.nowMs() < node.expiresAtMs,
      mayAskFor(service) {
        if (services?.includes(service) === true) return true;
        if (enrolled) tell('a node asks for a service that it does not serve', { service: shown(service) });
        return false;
      },
      mayClaimNode(claimed) {
        if (holds && claimed === nodeId) return true;
        logger.warn({ peer, claimed, certificate: nodeId ?? 'none' }, 'a peer claims a node that it is not');
        return false;
      },
    };
  };
}

function shown(service: string): string {
  return service.slice(0, MAX_SHOWN);
}

function readNodeCertificate(der: Uint8Array, { issued, trustDomain }: NodeTrust): NodeCertificate {
  try {
    const { parsed, isOurs, nodeId } = issued.read(der);
    const expiresAtMs = parsed.validToDate.getTime();
    if (isOurs) return { nodeId, isOperator: false, expiresAtMs };
    const spiffeId = spiffeIdOf(parsed) ?? '';
    const isTrusted = (domain: string | undefined): boolean =>
      domain !== undefined && (trustDomain === undefined || domain === trustDomain);
    const [, nodeDomain, named] = NODE_ID.exec(spiffeId) ?? [];
    const [, operatorDomain] = OPERATOR_ID.exec(spiffeId) ?? [];
    return {
      nodeId: () => (isTrusted(nodeDomain) ? named : undefined),
      isOperator: isTrusted(operatorDomain),
      expiresAtMs,
    };
  } catch {
    return NO_NODE;
  }
}
