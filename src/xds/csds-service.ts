/**
 * Client status discovery (CSDS): what each node has of each resource, for operators (`envoy.service.status.v3`).
 *
 * Contents are never told, only names, versions and what the node has said. Who may ask is decided by the port:
 * where certificates are verified an operator's, `spiffe://<trust domain>/operator/<name>`; elsewhere this machine.
 */
import { Failure } from '../core/failure.ts';
import {
  type ByteStream,
  bothService,
  failStream,
  type GrpcService,
  verifiedCertificate,
} from '../grpc/byte-service.ts';
import type { EnvoyMessages } from '../grpc/messages.ts';
import type { ClientStatus, NodeMatch } from '../grpc/messages-status.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface CsdsDeps {
  readonly messages: EnvoyMessages;
  /** registered nodes */
  readonly nodeIds: () => readonly string[];
  /** one per stream of the node */
  readonly clientsOf: (nodeId: string) => readonly ClientStatus[];
  readonly peerClaims: (peerAddress: string, certificate?: Uint8Array) => { mayInspect(): boolean };
  readonly logger: Logger;
}

const NAME = 'envoy.service.status.v3.ClientStatusDiscoveryService';
/** of one answer; more want a matcher */
const MAX_RESOURCES = 50_000;

export function createCsdsService(deps: CsdsDeps): GrpcService {
  const { messages, nodeIds, clientsOf, peerClaims, logger } = deps;

  /** @throws Failure permission_denied, request_malformed, overloaded */
  const answer = (bytes: Uint8Array, peer: string, certificate: Uint8Array | undefined): Uint8Array => {
    if (!peerClaims(peer, certificate).mayInspect()) {
      logger.warn({ peer }, 'a peer that is no operator asks for the status of nodes');
      throw new Failure('permission_denied', 'only operators may see the status of nodes');
    }
    const matches = messages.decodeStatusRequest(bytes);
    const clients: ClientStatus[] = [];
    let resources = 0;
    for (const id of nodeIds()) {
      if (!isMatched(id, matches)) continue;
      for (const client of clientsOf(id)) {
        clients.push(client);
        resources += client.resources.length;
      }
      if (resources > MAX_RESOURCES)
        throw new Failure('overloaded', 'too much for one answer: use node_matchers');
    }
    return messages.encodeStatusResponse(clients);
  };

  const stream = (call: ByteStream): void => {
    call.on('data', (bytes: Uint8Array) => {
      if (call.destroyed) return;
      try {
        // one that does not read is asked to: requests wait meanwhile
        if (call.write(answer(bytes, call.getPeer(), verifiedCertificate(call)))) return;
        call.pause();
        call.once('drain', () => call.resume());
      } catch (error) {
        failStream(call, Failure.from(error));
      }
    });
    call.once('end', () => call.end());
  };

  return bothService(NAME, {
    unary: { FetchClientStatus: async (bytes, { peer, certificate }) => answer(bytes, peer, certificate) },
    streams: { StreamClientStatus: stream },
  });
}

function isMatched(id: string, matches: readonly NodeMatch[]): boolean {
  return matches.length === 0 || matches.some((match) => isMatch(id, match));
}

function isMatch(id: string, { kind, value }: NodeMatch): boolean {
  switch (kind) {
    case 'exact':
      return id === value;
    case 'prefix':
      return id.startsWith(value);
    case 'suffix':
      return id.endsWith(value);
    default:
      return kind satisfies never;
  }
}
