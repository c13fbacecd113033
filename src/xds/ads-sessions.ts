/**
 * The nodes that have streams: what each stream has accepted, what is known of a node when it has none, and the
 * snapshot that all of a node's streams are offered.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { ByteStream } from '../grpc/byte-service.ts';
import type { EnvoyMessages } from '../grpc/messages.ts';
import type { ClientStatus, ResourceStatus } from '../grpc/messages-status.ts';
import type { Applied } from '../journal/fold.ts';
import type { RegistryView } from '../registry/state.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type AdsStream, createAdsStream, type StreamEvents, type StreamLimits } from './ads-stream.ts';
import type { AdsVariant, Push } from './ads-variant.ts';
import { type BuildOptions, type BuildResources, buildResources } from './build.ts';
import { createNodeStatuses, type NodeStatus, UNKNOWN_NODE } from './node-status.ts';
import { createRefusals, type Refusals } from './refusals.ts';
import { resourceStatuses } from './resource-status.ts';
import { RESOURCE_TYPES, resourceTypeOf } from './resource-types.ts';
import { type LeftStream, type NodeProgress, progressOf } from './rollout.ts';
import { NO_RESOURCES, type Snapshot } from './snapshot.ts';
import { createSnapshots, type QuietWindow } from './snapshots.ts';
import { createStaging, type StagingOptions } from './staging.ts';

export interface SessionLimits extends StreamLimits {
  /** of one node; one more ends the oldest */
  readonly maxStreamsPerNode: number;
  /** how long a push waits for the ACK of an earlier step */
  readonly holdMs: number;
  readonly window: QuietWindow;
  /** left out: a change goes to all nodes at once */
  readonly staging?: StagingOptions;
}

export interface SessionsDeps {
  readonly registry: RegistryView;
  readonly position: () => Position;
  /** calls the listener after each applied commit; answers a function that ends it */
  readonly onApplied: (listener: (applied: Applied) => void) => () => void;
  readonly messages: EnvoyMessages;
  /** of now; `rebuildAll` says that they have changed */
  readonly buildOptions: () => Omit<BuildOptions, 'asOfMs'>;
  /** tests bring their own */
  readonly build?: BuildResources;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface NodeSessions {
  /** @throws Failure permission_denied  when the node is not registered */
  open<Request extends { readonly typeUrl: string }>(opening: Opening<Request>): Session<Request>;
  close(session: Session): void;
  /** undefined: not registered */
  nodeStatus(id: string): NodeStatus | undefined;
  /** How far changes have come on it; undefined: not registered. */
  nodeProgress(id: string): NodeProgress | undefined;
  /** Nodes that have a stream, or had one since this process runs. */
  seenNodes(): readonly string[];
  /** What each stream of a node has of each resource; where it has no stream, what it was offered last. */
  clientsOf(id: string): readonly ClientStatus[];
  /** Builds for every node anew; what comes out the same is not sent. */
  rebuildAll(): void;
  /** Follows no changes any more. */
  end(): void;
}

export interface Opening<Request> {
  readonly nodeId: string;
  readonly call: ByteStream;
  readonly variant: AdsVariant<Request>;
  /** @returns false when no more may be written until `drained` */
  readonly write: (push: Push) => boolean;
}

export interface Session<Request = never> {
  readonly nodeId: string;
  readonly call: ByteStream;
  readonly stream: AdsStream<Request>;
  /** the last snapshot that it had and accepted as a whole */
  applied: Snapshot | undefined;
}

export function createNodeSessions(
  deps: SessionsDeps,
  limits: SessionLimits,
  refuse: (call: ByteStream, failure: Failure) => void,
): NodeSessions {
  const { registry, clock, logger, metrics } = deps;
  const statuses = createNodeStatuses();
  /** oldest first */
  const sessions = new Map<string, Session[]>();
  /** nodes without a stream that had one; bounded by the registry */
  const left = new Map<string, LeftStream>();
  /** of nodes that have, or had, a stream; bounded by the registry */
  const refusals = new Map<string, Refusals>();
  const pushes = metrics.counter('chancery_xds_pushes_total', 'Responses sent', ['type']);
  const nacks = metrics.counter('chancery_xds_nacks_total', 'Responses that a node refused', ['type']);

  const snapshots = createSnapshots({
    ...deps,
    build: deps.build ?? buildResources,
    window: limits.window,
    connected: () => sessions.keys(),
    onSnapshot: (id, snapshot) => staging.changed(id, snapshot),
  });
  const staging = createStaging(limits.staging, (id, snapshot) => {
    refusals.get(id)?.keep(snapshot);
    for (const { stream } of sessions.get(id) ?? []) stream.offer(snapshot);
    return progressOfNode(id).refusal?.reason;
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
    left.delete(id);
    refusals.delete(id);
    staging.forget(id);
  };

  const eventsOf = (id: string): Omit<StreamEvents, 'inSync' | 'recalled'> => ({
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
      staging.refused(id, reason);
    },
  });

  const open = <Request extends { readonly typeUrl: string }>({
    nodeId,
    call,
    variant,
    write,
  }: Opening<Request>): Session<Request> => {
    if (registry.node(nodeId) === undefined) throw notRegistered(nodeId);
    const known = refusals.get(nodeId) ?? createRefusals();
    refusals.set(nodeId, known);
    const leftWith = left.get(nodeId)?.applied;
    const stream = createAdsStream({
      variant,
      write,
      events: {
        ...eventsOf(nodeId),
        inSync: (snapshot) => {
          session.applied = snapshot;
          staging.synced(nodeId, snapshot);
        },
        recalled: () => {
          session.applied ??= leftWith;
        },
      },
      refusals: known,
      holdMs: limits.holdMs,
      limits,
    });
    const session: Session<Request> = { nodeId, call, stream, applied: undefined };
    const ofNode = sessions.get(nodeId) ?? [];
    sessions.set(nodeId, [...ofNode, session]);
    for (const oldest of ofNode.slice(0, Math.max(0, ofNode.length + 1 - limits.maxStreamsPerNode))) {
      refuse(oldest.call, new Failure('overloaded', 'newer streams of this node have taken its place'));
    }
    const newest = snapshots.of(nodeId);
    const snapshot = newest && staging.opened(nodeId, newest);
    statuses.update(nodeId, { connected: true });
    if (snapshot) {
      known.keep(snapshot);
      stream.offer(snapshot);
    }
    logger.info({ node: nodeId, peer: call.getPeer() }, 'a node has connected');
    return session;
  };

  const close = (session: Session): void => {
    const { nodeId } = session;
    session.stream.close();
    const others = (sessions.get(nodeId) ?? []).filter((each) => each !== session);
    if (others.length > 0) {
      sessions.set(nodeId, others);
      return;
    }
    sessions.delete(nodeId);
    staging.left(nodeId);
    if (registry.node(nodeId)) {
      statuses.update(nodeId, { connected: false });
      left.set(nodeId, { applied: session.applied, atMs: clock.nowMs() });
    }
    logger.info({ node: nodeId }, 'a node has gone');
  };

  const progressOfNode = (id: string): NodeProgress =>
    progressOf({
      streams: (sessions.get(id) ?? []).map(({ stream, applied }) => ({
        applied,
        refused: stream.refused(),
      })),
      left: left.get(id),
      remembered: refusals.get(id),
      offered: staging.offered(id) ?? snapshots.offered(id),
      halt: staging.haltOf(id),
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

  const clientsOf = (id: string): readonly ClientStatus[] => {
    const { types } = statuses.get(id) ?? UNKNOWN_NODE;
    const withReason = (resource: ResourceStatus): ResourceStatus => {
      const type = resourceTypeOf(resource.typeUrl);
      const nack = type && types[type].lastNack;
      if (resource.config !== 'error' || nack === undefined) return resource;
      return {
        ...resource,
        error: { version: resource.version, reason: nack.reason, atMs: Date.parse(nack.at) },
      };
    };
    const ofNode = sessions.get(id) ?? [];
    if (ofNode.length === 0)
      return [{ nodeId: id, scope: '', resources: resourcesOf(snapshots.offered(id)) }];
    return ofNode.map(({ stream, call }, index) => ({
      nodeId: id,
      scope: `stream ${index + 1}, ${call.getPeer()}`,
      resources: stream.resources().map(withReason),
    }));
  };

  return {
    open,
    close,
    clientsOf,
    nodeStatus: (id) => (registry.node(id) === undefined ? undefined : statusOf(id)),
    nodeProgress: (id) => (registry.node(id) === undefined ? undefined : progressOfNode(id)),
    seenNodes: () => [...new Set([...sessions.keys(), ...left.keys()])],
    rebuildAll: () => snapshots.outdateAll(),
    end() {
      unfollow();
      snapshots.close();
      staging.close();
    },
  };
}

/** Of a node without a stream. */
function resourcesOf(offered: Snapshot | undefined): readonly ResourceStatus[] {
  return RESOURCE_TYPES.flatMap((type) =>
    resourceStatuses(type, undefined, offered?.types[type] ?? NO_RESOURCES),
  );
}

/** The same for a node that there is not as for one that this peer is not. */
export function notRegistered(nodeId: string): Failure {
  return new Failure('permission_denied', `this peer may not be node "${nodeId}"`);
}
