/**
 * What tells the two variants of the protocol apart, and nothing else: the subscription, the order of a push, the
 * memory of refusals and the status of a node are the same for both.
 */
import type { Said } from './refusals.ts';
import type { ResourceType } from './resource-types.ts';
import type { SnapshotResource } from './snapshot.ts';
import type { SubscriptionEvent, SubscriptionRules, SubscriptionState } from './subscription.ts';

export interface AdsVariant<Request> {
  /** undefined: a type that we do not serve */
  readonly rulesOf: (type: ResourceType | undefined) => SubscriptionRules;
  /** What a request means to the subscription that it meets. */
  readonly eventsOf: (request: Request, state: SubscriptionState) => readonly SubscriptionEvent[];
  /** What the first request of a type says that the client has. */
  readonly saidOf: (request: Request) => Said;
  /** what a response leaves out the client deletes: each carries all that the client is to have */
  readonly isFullState: (type: ResourceType | undefined) => boolean;
}

/** A response, before it takes the form of its variant. */
export interface Push {
  readonly typeUrl: string;
  readonly nonce: string;
  /** digest of the whole state of the type */
  readonly version: string;
  readonly resources: readonly SnapshotResource[];
  /** names; in full state they are those that are not among the resources any more */
  readonly removed: readonly string[];
}

/**
 * Clusters and listeners: a first request without names means all of them, and in state of the world a response
 * carries all of them.
 */
export function comesWhole(type: ResourceType | undefined): boolean {
  return type === 'cluster' || type === 'listener';
}
