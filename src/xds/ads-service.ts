/**
 * The incremental aggregated discovery service (`AggregatedDiscoveryService/DeltaAggregatedResources`).
 *
 * The first message says which node it is; what this peer may claim decides whether it is served. `node.metadata`
 * and `node.cluster` select nothing. A refused configuration (NACK) is a state of the node, not an error.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { type ByteStream, failStream, type GrpcService, streamService } from '../grpc/byte-service.ts';
import type { EnvoyMessages } from '../grpc/messages.ts';
import type { DeltaRequest } from '../grpc/messages-delta.ts';
import type { Applied } from '../journal/fold.ts';
import type { RegistryView } from '../registry/state.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type AdsStream, createAdsStream, type StreamEvents } from './ads-stream.ts';
import { type BuildOptions, type BuildResources, buildResources } from './build.ts';
import { createNodeStatuses, type NodeStatus, UNKNOWN_NODE } from './node-status.ts';
import { createSnapshots, type QuietWindow } from './snapshots.ts';

export const ADS_SERVICE_NAME = 'envoy.service.discovery.v3.AggregatedDiscoveryService';

export interface AdsLimits {
  /** a stream that says nothing for so long after its start is ended */
  readonly firstMessageMs: number;
  /** of one request, bytes */
  readonly maxMessageBytes: number;
  /** names per stream, over all types */
  readonly maxSubscriptions: number;
  readonly maxTypes: number;
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
  readonly peerClaims: (peerAddress: string) => { mayClaimNode(id: string): boolean };
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
  /** Ends every stream; nodes come back to another process. */
  close(): void;
}

interface Session {
  readonly call: ByteStream;
  readonly stream: AdsStream;
}

export function createAdsService(deps: AdsDeps): AdsService {
  const { registry, messages, clock, logger, metrics } = deps;
  const limits: AdsLimits = { ...DEFAULT_LIMITS, ...deps.limits };
  const statuses = createNodeStatuses();
  /** oldest first */
  const sessions = new Map<string, Session[]>();
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
      statuses.update(id, { offeredPosition: snapshot.position });
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
  };

  const eventsOf = (id: string): StreamEvents => ({
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
    inSync: (snapshot) => statuses.update(id, { appliedPosition: snapshot.position }),
  });

  /** @throws Failure request_malformed, permission_denied */
  const openSession = (call: ByteStream, { nodeId }: DeltaRequest): Session => {
    if (nodeId === '') throw new Failure('request_malformed', 'node.id is missing in the first message');
    const mayClaim = deps.peerClaims(call.getPeer()).mayClaimNode(nodeId);
    if (!mayClaim || registry.node(nodeId) === undefined) throw notRegistered(nodeId);
    const stream = createAdsStream({
      write: (response) => call.write(messages.encodeDeltaResponse(response)),
      events: eventsOf(nodeId),
      holdMs: limits.holdMs,
    });
    const session: Session = { call, stream };
    const ofNode = sessions.get(nodeId) ?? [];
    sessions.set(nodeId, [...ofNode, session]);
    for (const oldest of ofNode.slice(0, Math.max(0, ofNode.length + 1 - limits.maxStreamsPerNode))) {
      refuse(oldest.call, new Failure('overloaded', 'newer streams of this node have taken its place'));
    }
    call.on('drain', () => stream.drained());
    const snapshot = snapshots.of(nodeId);
    statuses.update(nodeId, { connected: true, ...(snapshot && { offeredPosition: snapshot.position }) });
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
    if (registry.node(nodeId)) statuses.update(nodeId, { connected: false });
    logger.info({ node: nodeId }, 'a node has gone');
  };

  const serve = (call: ByteStream): void => {
    let nodeId = '';
    let session: Session | undefined;
    const deadline = setTimeout(() => {
      refuse(call, new Failure('deadline_exceeded', 'no message since the stream was opened'));
    }, limits.firstMessageMs).unref();

    const receive = (bytes: Uint8Array): void => {
      const request = parse(bytes);
      if (session === undefined) {
        clearTimeout(deadline);
        session = openSession(call, request);
        nodeId = request.nodeId;
      } else if (request.nodeId !== '' && request.nodeId !== nodeId) {
        throw new Failure('request_malformed', 'node.id may not change within a stream');
      }
      checkLimits(session.stream, request);
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

  const parse = (bytes: Uint8Array): DeltaRequest => {
    if (bytes.byteLength > limits.maxMessageBytes)
      throw new Failure('overloaded', 'the message is too large');
    const request = messages.decodeDeltaRequest(bytes);
    if (request.typeUrl === '') throw new Failure('request_malformed', 'type_url is missing');
    return request;
  };

  const checkLimits = (stream: AdsStream, { subscribe }: DeltaRequest): void => {
    const tooMany =
      stream.types() > limits.maxTypes || stream.subscriptions() + subscribe.length > limits.maxSubscriptions;
    if (tooMany) throw new Failure('overloaded', 'too many subscriptions on one stream');
  };

  const refuse = (call: ByteStream, failure: Failure): void => {
    logger.warn({ peer: call.getPeer(), code: failure.code, detail: failure.detail }, 'a stream was ended');
    failStream(call, failure);
  };

  return {
    service: streamService(ADS_SERVICE_NAME, { DeltaAggregatedResources: serve }),
    nodeStatus: (id) => (registry.node(id) === undefined ? undefined : (statuses.get(id) ?? UNKNOWN_NODE)),
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
