/**
 * The aggregated discovery service, incremental (`DeltaAggregatedResources`) and state-of-the-world
 * (`StreamAggregatedResources`).
 *
 * The first message says which node it is; what this peer may claim decides whether it is served. `node.metadata`
 * and `node.cluster` select nothing. A refused configuration (NACK) is a state of the node, not an error.
 */
import { Failure } from '../core/failure.ts';
import {
  type ByteStream,
  failStream,
  type GrpcService,
  streamService,
  verifiedCertificate,
} from '../grpc/byte-service.ts';
import type { DiscoveryRequestBase } from '../grpc/messages-codec.ts';
import type { DeltaRequest } from '../grpc/messages-delta.ts';
import type { SotwRequest } from '../grpc/messages-sotw.ts';
import {
  createNodeSessions,
  type NodeSessions,
  notRegistered,
  type Session,
  type SessionLimits,
  type SessionsDeps,
} from './ads-sessions.ts';
import type { AdsVariant, Push } from './ads-variant.ts';
import { deltaVariant } from './delta-variant.ts';
import { sotwVariant } from './sotw-variant.ts';

export const ADS_SERVICE_NAME = 'envoy.service.discovery.v3.AggregatedDiscoveryService';

export interface AdsLimits extends SessionLimits {
  /** a stream that says nothing for so long after its start is ended */
  readonly firstMessageMs: number;
  /** of one request, bytes */
  readonly maxMessageBytes: number;
}

const DEFAULT_LIMITS: AdsLimits = {
  firstMessageMs: 10_000,
  maxMessageBytes: 4 * 1024 * 1024,
  maxSubscriptions: 20_000,
  maxTypes: 32,
  maxStreamsPerNode: 2,
  holdMs: 2_000,
  window: { quietMs: 30, maxMs: 250 },
};

export interface AdsDeps extends SessionsDeps {
  readonly peerClaims: (
    peerAddress: string,
    certificate?: Uint8Array,
  ) => { mayClaimNode(id: string): boolean };
  readonly limits?: Partial<AdsLimits>;
  /** what nodes show of who configures them; default: Chancery */
  readonly identifier?: string;
}

export interface AdsService
  extends Pick<NodeSessions, 'nodeStatus' | 'nodeProgress' | 'seenNodes' | 'rebuildAll' | 'clientsOf'> {
  readonly service: GrpcService;
  /** Ends every stream; nodes come back to another process. */
  close(): void;
}

/** A method of the service: a variant of the protocol and its messages. */
interface Method<Request> {
  readonly variant: AdsVariant<Request>;
  /** @throws Failure request_malformed */
  readonly decode: (bytes: Uint8Array) => Request;
  readonly encode: (push: Push) => Uint8Array;
}

export function createAdsService(deps: AdsDeps): AdsService {
  const { messages, logger, identifier: controlPlane = 'chancery' } = deps;
  const limits: AdsLimits = { ...DEFAULT_LIMITS, ...deps.limits };
  const openCalls = new Set<ByteStream>();
  const streamsLevel = deps.metrics.gauge('chancery_xds_streams', 'Streams of nodes');

  const refuse = (call: ByteStream, failure: Failure): void => {
    logger.warn({ peer: call.getPeer(), code: failure.code, detail: failure.detail }, 'a stream was ended');
    failStream(call, failure);
  };

  const sessions = createNodeSessions(deps, limits, refuse);

  /** @throws Failure request_malformed, permission_denied */
  const openSession = <Request extends DiscoveryRequestBase>(
    call: ByteStream,
    { variant, encode }: Method<Request>,
    nodeId: string,
  ): Session<Request> => {
    if (nodeId === '') throw new Failure('request_malformed', 'node.id is missing in the first message');
    const claims = deps.peerClaims(call.getPeer(), verifiedCertificate(call));
    if (!claims.mayClaimNode(nodeId)) throw notRegistered(nodeId);
    const write = (push: Push): boolean => call.write(encode(push));
    const session = sessions.open({ nodeId, call, variant, write });
    call.on('drain', () => session.stream.drained());
    return session;
  };

  const serve = <Request extends DiscoveryRequestBase>(call: ByteStream, method: Method<Request>): void => {
    let session: Session<Request> | undefined;
    const deadline = setTimeout(() => {
      refuse(call, new Failure('deadline_exceeded', 'no message since the stream was opened'));
    }, limits.firstMessageMs).unref();

    const receive = (bytes: Uint8Array): void => {
      const request = parse(bytes, method);
      if (session === undefined) {
        clearTimeout(deadline);
        session = openSession(call, method, request.nodeId);
      } else if (request.nodeId !== '' && request.nodeId !== session.nodeId) {
        throw new Failure('request_malformed', 'node.id may not change within a stream');
      }
      session.stream.request(request);
    };
    const end = (): void => {
      clearTimeout(deadline);
      if (!openCalls.delete(call)) return;
      streamsLevel.set(openCalls.size);
      if (session) sessions.close(session);
    };

    openCalls.add(call);
    streamsLevel.set(openCalls.size);
    call.on('data', (bytes: Uint8Array) => {
      if (!openCalls.has(call) || call.destroyed) return;
      try {
        receive(bytes);
      } catch (error) {
        refuse(call, Failure.from(error));
      }
    });
    call.once('end', () => call.end());
    for (const event of ['end', 'cancelled', 'error', 'close'] as const) call.once(event, end);
  };

  const parse = <Request extends DiscoveryRequestBase>(
    bytes: Uint8Array,
    { decode }: Method<Request>,
  ): Request => {
    if (bytes.byteLength > limits.maxMessageBytes)
      throw new Failure('overloaded', 'the message is too large');
    const request = decode(bytes);
    if (request.typeUrl === '') throw new Failure('request_malformed', 'type_url is missing');
    return request;
  };

  const delta: Method<DeltaRequest> = {
    variant: deltaVariant,
    decode: (bytes) => messages.decodeDeltaRequest(bytes),
    encode: ({ version, ...push }) =>
      messages.encodeDeltaResponse({ ...push, systemVersion: version, controlPlane }),
  };
  const sotw: Method<SotwRequest> = {
    variant: sotwVariant,
    decode: (bytes) => messages.decodeSotwRequest(bytes),
    encode: ({ resources, ...push }) =>
      messages.encodeSotwResponse({
        ...push,
        resources: resources.map(({ resource }) => resource),
        controlPlane,
      }),
  };

  return {
    service: streamService(ADS_SERVICE_NAME, {
      DeltaAggregatedResources: (call) => serve(call, delta),
      StreamAggregatedResources: (call) => serve(call, sotw),
    }),
    nodeStatus: (id) => sessions.nodeStatus(id),
    nodeProgress: (id) => sessions.nodeProgress(id),
    seenNodes: () => sessions.seenNodes(),
    clientsOf: (id) => sessions.clientsOf(id),
    rebuildAll: () => sessions.rebuildAll(),
    close() {
      sessions.end();
      for (const call of openCalls) call.end();
    },
  };
}
