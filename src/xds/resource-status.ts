/** What one stream has of each resource, compared with what it should have: pure, from a subscription to one word. */
import type { ResourceStatus } from '../grpc/messages-status.ts';
import { type ResourceType, TYPE_URLS } from './resource-types.ts';
import { type ResourceSet, versionsOf } from './snapshot.ts';
import { isSubscribed, type SubscriptionState } from './subscription.ts';

/** A refusal is told without its reason, which the stream does not keep. */
export function resourceStatuses(
  type: ResourceType,
  state: SubscriptionState | undefined,
  to: ResourceSet,
): readonly ResourceStatus[] {
  const wanted = versionsOf(to);
  const names = new Set([...wanted.keys(), ...(state?.names ?? []), ...(state?.known.keys() ?? [])]);
  return [...names].sort().map((name) => ({
    typeUrl: TYPE_URLS[type],
    name,
    version: wanted.get(name) ?? '',
    ...wordsFor(name, wanted.get(name), state),
  }));
}

type Words = Pick<ResourceStatus, 'config' | 'client'>;

function wordsFor(name: string, wanted: string | undefined, state: SubscriptionState | undefined): Words {
  if (state === undefined || !isSubscribed(state, name)) return { config: 'not-sent', client: 'unknown' };
  const has = state.known.get(name);
  if (wanted === undefined) {
    return has === undefined
      ? { config: 'synced', client: 'does-not-exist' }
      : { config: 'stale', client: 'acked' };
  }
  if (state.rejected.get(name) === wanted) return { config: 'error', client: 'nacked' };
  if (has === wanted) return { config: 'synced', client: 'acked' };
  if (has !== undefined) return { config: 'stale', client: 'acked' };
  const isOnItsWay = state.outstanding?.sent.has(name) === true;
  return { config: isOnItsWay ? 'stale' : 'not-sent', client: 'requested' };
}
