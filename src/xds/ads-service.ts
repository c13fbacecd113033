/**
 * The aggregated discovery service, incremental (`DeltaAggregatedResources`) and state-of-the-world
 * (`StreamAggregatedResources`).
 *
 * The first message says which node it is; what this peer may claim decides whether it is served. `node.metadata`
 * and `node.cluster` select nothing. A refused configuration (NACK) is a state of the node, not an error.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import {
  type ByteStream,
  failStream,
  type GrpcService,
  streamService,
  verifiedCertificate,
} from '../grpc/byte-service.ts';
import type { EnvoyMessages } from '../grpc/messages.ts';
import type { DiscoveryRequestBase } from '../grpc/messages-codec.ts';
import type { DeltaRequest } from '../grpc/messages-delta.ts';
import type { SotwRequest } from '../grpc/messages-sotw.ts';
import type { Applied } from '../journal/fold.ts';
import type { RegistryView } from '../registry/state.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type AdsStream, createAdsStream, type StreamEvents, type StreamLimits } from './ads-stream.ts';
import type { AdsVariant, Push } from './ads-variant.ts';
import { type BuildOptions, type BuildResources, buildResources } from './build.ts';
import { deltaVariant } from './delta-variant.ts';
import { createNodeStatuses, type NodeStatus, UNKNOWN_NODE } from './node-status.ts';
import { type NodeProgress, progressOf } from './rollout.ts';
import type { Snapshot } from './snapshot.ts';
import { createSnapshots, type QuietWindow } from './snapshots.ts';
import { sotwVariant } from './sotw-variant.ts';

export const ADS_SERVICE_NAME = 'envoy.service.discovery.v3.AggregatedDiscoveryService';

export interface AdsLimits extends StreamLimits {
  /** a stream that says nothing for so long after its start is ended */
  readonly firstMessageMs: number;
  /** of one request, bytes */
  readonly maxMessageBytes: number;
  /** of one node; one more ends the oldest */
  readonly maxStreamsPerNode: number;
  /** how long a push waits for the ACK of an earlier step */
  readonly holdMs: number;
  readonly window: QuietWindow;
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

export interface AdsDeps {
  readonly registry: RegistryView;
  readonly position: () => Position;
  /** calls the listener after each applied commit; answers a function that ends it */
  readonly onApplied: (listener: (applied: Applied) => void) => () => void;
  readonly peerClaims: (
    peerAddress: string,
    certificate?: Uint8Array,
  ) => { mayClaimNode(id: string): boolean };
  readonly messages: EnvoyMessages;
  readonly buildOptions: BuildOptions;
  /** tests bring their own */
  readonly build?: BuildResources;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits?: Partial<AdsLimits>;
}

export interface AdsService {
  readonly service: GrpcService;
  /** undefined: not registered */
  nodeStatus(id: string): NodeStatus | undefined;
  /** How far changes have come on it; undefined: not registered. */
  nodeProgress(id: string): NodeProgress | undefined;
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

interface Session<Request = never> {
  readonly call: ByteStream;
  readonly stream: AdsStream<Request>;
  /** the last snapshot that it had and accepted as a whole */
  applied: Snapshot | undefined;
}

export function createAdsService(deps: AdsDeps): AdsService {
  const { registry, messages, clock, logger, metrics } = deps;
  const limits: AdsLimits = { ...DEFAULT_LIMITS, ...deps.limits };
  const statuses = createNodeStatuses();
  /** oldest first */
  const sessions = new Map<string, Session[]>();
  /** what nodes without a stream had accepted when the last one ended; bounded by the registry */
  const leftWith = new Map<string, Snapshot>();
  const openCalls = new Set<ByteStream>();
  const streamsLevel = metrics.gauge('chancery_xds_streams', 'Streams of nodes');
  const pushes = metrics.counter('chancery_xds_pushes_total', 'Responses sent', ['type']);
  const nacks = metrics.counter('chancery_xds_nacks_total', 'Responses that a node refused', ['type']);

  const snapshots = createSnapshots({
    ...deps,
    build: deps.build ?? buildResources,
    window: limits.window,
    connected: () => sessions.keys(),
    onSnapshot: (id, snapshot) => {
      for (const { stream } of sessions.get(id) ?? []) stream.offer(snapshot);
    },
  });

  const unfollow = deps.onApplied(({ changed }) => {
    for (const key of changed) {
      const [kind, id = ''] = key.split('/');
      if (kind === 'node' && registry.node(id) === undefined) forget(id);
    }
    snapshots.changed(changed);
  });

  const forget = (id: string): void => {
    for (const { call } of sessions.get(id) ?? []) refuse(call, notRegistered(id));
    statuses.delete(id);
    leftWith.delete(id);
  };

  const eventsOf = (id: string, inSync: StreamEvents['inSync']): StreamEvents => ({
    sent: (type, version) => {
      pushes.add({ type });
      statuses.updateType(id, type, { sentVersion: version });
    },
    acked: (type, version) => statuses.updateType(id, type, { ackedVersion: version }),
    nacked: (type, version, names, reason) => {
      nacks.add({ type });
      logger.warn({ node: id, type, version, names, reason }, 'a node refused a configuration');
      const at = new Date(clock.nowMs()).toISOString();
      statuses.updateType(id, type, { lastNack: { version, names, reason, at } });
    },
    inSync,
  });

  /** @throws Failure request_malformed, permission_denied */
  const openSession = <Request extends DiscoveryRequestBase>(
    call: ByteStream,
    { variant, encode }: Method<Request>,
    nodeId: string,
  ): Session<Request> => {
    if (nodeId === '') throw new Failure('request_malformed', 'node.id is missing in the first message');
    const mayClaim = deps.peerClaims(call.getPeer(), verifiedCertificate(call)).mayClaimNode(nodeId);
    if (!mayClaim || registry.node(nodeId) === undefined) throw notRegistered(nodeId);
    const stream = createAdsStream({
      variant,
      write: (push) => call.write(encode(push)),
      events: eventsOf(nodeId, (snapshot) => {
        session.applied = snapshot;
      }),
      holdMs: limits.holdMs,
      limits,
    });
    const session: Session<Request> = { call, stream, applied: undefined };
    const ofNode = sessions.get(nodeId) ?? [];
    sessions.set(nodeId, [...ofNode, session]);
    for (const oldest of ofNode.slice(0, Math.max(0, ofNode.length + 1 - limits.maxStreamsPerNode))) {
      refuse(oldest.call, new Failure('overloaded', 'newer streams of this node have taken its place'));
    }
    call.on('drain', () => stream.drained());
    const snapshot = snapshots.of(nodeId);
    statuses.update(nodeId, { connected: true });
    if (snapshot) stream.offer(snapshot);
    logger.info({ node: nodeId, peer: call.getPeer() }, 'a node has connected');
    return session;
  };

  const closeSession = (nodeId: string, session: Session): void => {
    session.stream.close();
    const left = (sessions.get(nodeId) ?? []).filter((each) => each !== session);
    if (left.length > 0) {
      sessions.set(nodeId, left);
      return;
    }
    sessions.delete(nodeId);
    if (registry.node(nodeId)) {
      statuses.update(nodeId, { connected: false });
      if (session.applied) leftWith.set(nodeId, session.applied);
      else leftWith.delete(nodeId);
    }
    logger.info({ node: nodeId }, 'a node has gone');
  };

  const serve = <Request extends DiscoveryRequestBase>(call: ByteStream, method: Method<Request>): void => {
    let nodeId = '';
    let session: Session<Request> | undefined;
    const deadline = setTimeout(() => {
      refuse(call, new Failure('deadline_exceeded', 'no message since the stream was opened'));
    }, limits.firstMessageMs).unref();

    const receive = (bytes: Uint8Array): void => {
      const request = parse(bytes, method);
      if (session === undefined) {
        clearTimeout(deadline);
        session = openSession(call, method, request.nodeId);
        nodeId = request.nodeId;
      } else if (request.nodeId !== '' && request.nodeId !== nodeId) {
        throw new Failure('request_malformed', 'node.id may not change within a stream');
      }
      session.stream.request(request);
    };
    const end = (): void => {
      clearTimeout(deadline);
      if (!openCalls.delete(call)) return;
      streamsLevel.set(openCalls.size);
      if (session) closeSession(nodeId, session);
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

  const refuse = (call: ByteStream, failure: Failure): void => {
    logger.warn({ peer: call.getPeer(), code: failure.code, detail: failure.detail }, 'a stream was ended');
    failStream(call, failure);
  };

  const progressOfNode = (id: string): NodeProgress =>
    progressOf({
      streams: (sessions.get(id) ?? []).map(({ stream, applied }) => ({
        applied,
        refused: stream.refused(),
      })),
      leftWith: leftWith.get(id),
      offered: snapshots.offered(id),
      heldThrough: (snapshot) => snapshots.heldThrough(id, snapshot),
      trouble: snapshots.trouble(id),
      types: (statuses.get(id) ?? UNKNOWN_NODE).types,
    });

  const statusOf = (id: string): NodeStatus => {
    const { applied, offered } = progressOfNode(id);
    return {
      ...(statuses.get(id) ?? UNKNOWN_NODE),
      ...(offered && { offeredPosition: offered }),
      ...(applied && { appliedPosition: applied }),
    };
  };

  const delta: Method<DeltaRequest> = {
    variant: deltaVariant,
    decode: (bytes) => messages.decodeDeltaRequest(bytes),
    encode: ({ version, ...push }) => messages.encodeDeltaResponse({ ...push, systemVersion: version }),
  };
  const sotw: Method<SotwRequest> = {
    variant: sotwVariant,
    decode: (bytes) => messages.decodeSotwRequest(bytes),
    encode: ({ resources, ...push }) =>
      messages.encodeSotwResponse({ ...push, resources: resources.map(({ resource }) => resource) }),
  };

  return {
    service: streamService(ADS_SERVICE_NAME, {
      DeltaAggregatedResources: (call) => serve(call, delta),
      StreamAggregatedResources: (call) => serve(call, sotw),
    }),
    nodeStatus: (id) => (registry.node(id) === undefined ? undefined : statusOf(id)),
    nodeProgress: (id) => (registry.node(id) === undefined ? undefined : progressOfNode(id)),
    close() {
      unfollow();
      snapshots.close();
      for (const call of openCalls) call.end();
    },
  };
}

function notRegistered(nodeId: string): Failure {
  return new Failure('permission_denied', `this peer may not be node "${nodeId}"`);
}
