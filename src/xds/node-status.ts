/** What is known of each node: connected or not, what was sent, what it has accepted, what it has refused and why. */
import type { Position } from '../core/position.ts';
import { ofEachType, type ResourceType } from './resource-types.ts';

/** Enough of a position to say how far: the digest does not travel between processes. */
export type Place = Pick<Position, 'epoch' | 'seq'>;

export interface TypeStatus {
  /** digest of the whole state of the type, as last sent */
  readonly sentVersion?: string;
  readonly ackedVersion?: string;
  /** the last refusal; stays after a later success */
  readonly lastNack?: {
    readonly version: string;
    readonly names: readonly string[];
    /** as the node says it */
    readonly reason: string;
    /** RFC 3339 */
    readonly at: string;
  };
}

export interface NodeStatus {
  readonly connected: boolean;
  /** what the node is offered is what the journal says up to here, changes that do not concern it included */
  readonly offeredPosition?: Place;
  /** what the journal says up to here is there and accepted, on each of its streams */
  readonly appliedPosition?: Place;
  readonly types: Readonly<Record<ResourceType, TypeStatus>>;
}

export const UNKNOWN_NODE: NodeStatus = {
  connected: false,
  types: ofEachType(() => ({})),
};

/** One entry per registered node: replaced as a whole, bounded by the registry. */
export interface NodeStatuses {
  get(id: string): NodeStatus | undefined;
  update(id: string, change: Pick<NodeStatus, 'connected'>): void;
  updateType(id: string, type: ResourceType, change: TypeStatus): void;
  delete(id: string): void;
}

export function createNodeStatuses(): NodeStatuses {
  const byId = new Map<string, NodeStatus>();
  return {
    get: (id) => byId.get(id),
    update: (id, change) => void byId.set(id, { ...(byId.get(id) ?? UNKNOWN_NODE), ...change }),
    updateType(id, type, change) {
      const status = byId.get(id) ?? UNKNOWN_NODE;
      byId.set(id, { ...status, types: { ...status.types, [type]: { ...status.types[type], ...change } } });
    },
    delete: (id) => void byId.delete(id),
  };
}
