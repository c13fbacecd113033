/**
 * One aggregated stream of one node: its subscriptions, the push under way, and the order between them.
 *
 * It knows no socket: `write` answers false when the transport is full, and `drained` says that it is not any more.
 * Until then nothing is sent and the newest state wins.
 */
import type { DeltaRequest, DeltaResponse } from '../grpc/messages-delta.ts';
import {
  advanceSubscription,
  initialSubscription,
  isRefused,
  isSettled,
  type SubscriptionAction,
  type SubscriptionEvent,
  type SubscriptionState,
} from './delta-subscription.ts';
import { currentStep, nextStep, type PushPlan, shownBy, startPlan } from './push-plan.ts';
import { RESOURCE_TYPES, type ResourceType, resourceTypeOf, TYPE_URLS } from './resource-types.ts';
import { NO_RESOURCES, type ResourceSet, type Snapshot, systemVersion, versionsOf } from './snapshot.ts';

/** What the stream tells of itself. `version` is the digest of the whole state of a type. */
export interface StreamEvents {
  sent(type: ResourceType, version: string): void;
  acked(type: ResourceType, version: string): void;
  nacked(type: ResourceType, version: string, names: readonly string[], reason: string): void;
  /** every type of the snapshot is subscribed to, and all that is subscribed to is there and accepted */
  inSync(snapshot: Snapshot): void;
}

export interface AdsStreamOptions {
  /** @returns false when no more may be written until `drained` */
  readonly write: (response: DeltaResponse) => boolean;
  readonly events: StreamEvents;
  /** how long a step of a push waits for its ACK before the next one follows all the same */
  readonly holdMs: number;
}

export interface AdsStream {
  request(request: DeltaRequest): void;
  /** the snapshot that the node should have */
  offer(snapshot: Snapshot): void;
  drained(): void;
  /** names subscribed to, over all types */
  subscriptions(): number;
  types(): number;
  close(): void;
}

interface Channel {
  readonly typeUrl: string;
  readonly type: ResourceType | undefined;
  state: SubscriptionState;
  set: ResourceSet;
  /** of the outstanding response */
  sentVersion: string;
}

export function createAdsStream({ write, events, holdMs }: AdsStreamOptions): AdsStream {
  const channels = new Map<string, Channel>();
  let plan: PushPlan | undefined;
  let announced: Snapshot | undefined;
  let writable = true;
  let nonces = 0;
  let hold: ReturnType<typeof setTimeout> | undefined;

  const channelOf = (url: string): Channel => {
    const type = resourceTypeOf(url);
    const channel = channels.get(url) ?? {
      typeUrl: url,
      type,
      state: initialSubscription(type === 'cluster' || type === 'listener'),
      set: NO_RESOURCES,
      sentVersion: '',
    };
    channels.set(url, channel);
    return channel;
  };

  const apply = (channel: Channel, event: SubscriptionEvent): void => {
    const { state, actions } = advanceSubscription(channel.state, event);
    channel.state = state;
    for (const action of actions) perform(channel, action);
  };

  const perform = (channel: Channel, action: SubscriptionAction): void => {
    const { type, sentVersion } = channel;
    switch (action.kind) {
      case 'send':
        send(channel, action);
        break;
      case 'acked':
        if (type) events.acked(type, sentVersion);
        break;
      case 'nacked':
        if (type) events.nacked(type, sentVersion, action.names, action.reason);
        break;
      case 'stale':
        break;
      default:
        action satisfies never;
    }
  };

  const send = (
    channel: Channel,
    { nonce, resources, removed }: Extract<SubscriptionAction, { kind: 'send' }>,
  ): void => {
    const { typeUrl, type, set } = channel;
    channel.sentVersion = systemVersion(versionsOf(set));
    writable = write({
      typeUrl,
      nonce,
      systemVersion: channel.sentVersion,
      resources: resources.flatMap((name) => set.get(name) ?? []),
      removed,
    });
    if (type) events.sent(type, channel.sentVersion);
  };

  /** Shows a type what the plan allows it, and lets it answer. */
  const pump = (channel: Channel): void => {
    if (channel.type !== undefined) {
      const shown = plan && shownBy(plan, channel.type);
      if (shown === undefined) return;
      channel.set = shown.set;
      const { holdsRemovals } = shown;
      apply(channel, { kind: 'desired', versions: versionsOf(shown.set), holdsRemovals });
    }
    if (writable && channel.state.outstanding === undefined) {
      nonces += 1;
      apply(channel, { kind: 'writable', nonce: String(nonces) });
    }
  };

  const inPushOrder = (): readonly Channel[] => [
    ...RESOURCE_TYPES.flatMap((type) => channels.get(TYPE_URLS[type]) ?? []),
    ...[...channels.values()].filter(({ type }) => type === undefined),
  ];

  const isDone = (type: ResourceType): boolean => {
    const channel = channels.get(TYPE_URLS[type]);
    return channel === undefined || isSettled(channel.state);
  };

  const drive = (): void => {
    // a client that has not spoken yet has a plan that has not begun
    while (channels.size > 0) {
      for (const channel of inPushOrder()) pump(channel);
      const step = plan && currentStep(plan);
      if (plan === undefined || step === undefined) break;
      if (!isDone(step.type)) {
        hold ??= setTimeout(passHold, holdMs).unref();
        return;
      }
      if (!advance(plan)) return;
    }
    announce();
  };

  /** What was refused is not in use, and what it was to replace is: nothing is removed then. */
  const advance = (current: PushPlan): boolean => {
    releaseHold();
    const next = nextStep(current);
    if (currentStep(next)?.removes === true && anyRefused()) return false;
    plan = next;
    return true;
  };

  const anyRefused = (): boolean => [...channels.values()].some(({ state }) => isRefused(state));

  const passHold = (): void => {
    if (plan !== undefined && advance(plan)) drive();
  };

  const releaseHold = (): void => {
    clearTimeout(hold);
    hold = undefined;
  };

  const announce = (): void => {
    const current = plan?.to;
    if (current === undefined || current === announced || anyRefused()) return;
    const complete = RESOURCE_TYPES.every(
      (type) => current.types[type].size === 0 || channels.has(TYPE_URLS[type]),
    );
    if (!complete || ![...channels.values()].every(({ state }) => isSettled(state))) return;
    announced = current;
    events.inSync(current);
  };

  return {
    request(request) {
      apply(channelOf(request.typeUrl), { kind: 'request', request });
      drive();
    },
    offer(snapshot) {
      releaseHold();
      plan = startPlan(plan, snapshot);
      drive();
    },
    drained() {
      writable = true;
      drive();
    },
    subscriptions: () => [...channels.values()].reduce((sum, { state }) => sum + state.names.size, 0),
    types: () => channels.size,
    close: releaseHold,
  };
}
