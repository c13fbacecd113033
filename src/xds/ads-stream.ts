/**
 * One aggregated stream of one node: its subscriptions, the push under way, and the order between them.
 *
 * It knows no socket: `write` answers false when the transport is full, and `drained` says that it is not any more.
 * Until then nothing is sent and the newest state wins.
 */
import { Failure } from '../core/failure.ts';
import type { ResourceStatus } from '../grpc/messages-status.ts';
import type { AdsVariant, Push } from './ads-variant.ts';
import { currentStep, nextStep, type PushPlan, shownBy, startPlan } from './push-plan.ts';
import { type Answered, createRefusals, type Refusals, type Said } from './refusals.ts';
import { resourceStatuses } from './resource-status.ts';
import { RESOURCE_TYPES, type ResourceType, resourceTypeOf, TYPE_URLS } from './resource-types.ts';
import { NO_RESOURCES, type ResourceSet, type Snapshot, systemVersion, versionsOf } from './snapshot.ts';
import {
  advanceSubscription,
  initialSubscription,
  isRefused,
  isSettled,
  isSubscribed,
  type SubscriptionAction,
  type SubscriptionEvent,
  type SubscriptionState,
} from './subscription.ts';

/** What the stream tells of itself. `version` is the digest of the whole state of a type. */
export interface StreamEvents {
  sent(type: ResourceType, version: string): void;
  acked(type: ResourceType, version: string): void;
  nacked(type: ResourceType, version: string, names: readonly string[], reason: string): void;
  /** every type of the snapshot is subscribed to, and all that is subscribed to is there and accepted */
  inSync(snapshot: Snapshot): void;
  /** the client runs what an earlier stream of its node left it with, and something that it refused still counts */
  recalled(): void;
}

export interface AdsStreamOptions<Request> {
  readonly variant: AdsVariant<Request>;
  /** @returns false when no more may be written until `drained` */
  readonly write: (push: Push) => boolean;
  readonly events: StreamEvents;
  /** of the node, over all its streams; left out: of this stream alone */
  readonly refusals?: Refusals;
  /** how long a step of a push waits for its ACK before the next one follows all the same */
  readonly holdMs: number;
  readonly limits: StreamLimits;
}

export interface StreamLimits {
  /** names, over all types */
  readonly maxSubscriptions: number;
  readonly maxTypes: number;
}

export interface AdsStream<Request> {
  /** @throws Failure overloaded  above the limits; nothing is sent then, and the stream is to be ended */
  request(request: Request): void;
  /** the snapshot that the node should have */
  offer(snapshot: Snapshot): void;
  drained(): void;
  /** types of which it refuses what it is offered now */
  refused(): readonly ResourceType[];
  /** what it has of each resource that it should have or asks for */
  resources(): readonly ResourceStatus[];
  close(): void;
}

interface Channel {
  readonly typeUrl: string;
  readonly type: ResourceType | undefined;
  state: SubscriptionState;
  set: ResourceSet;
  /** what this stream has brought and the client has accepted */
  accepted: ResourceSet;
  /** the outstanding response, or the last one */
  sent: Sent;
}

interface Sent {
  readonly version: string;
  /** all that the client has of the type once it has accepted this */
  readonly leaves: ResourceSet;
}

const NOTHING_SENT: Sent = { version: '', leaves: NO_RESOURCES };

export function createAdsStream<Request extends { readonly typeUrl: string }>(
  options: AdsStreamOptions<Request>,
): AdsStream<Request> {
  const { variant, write, events, holdMs, limits, refusals = createRefusals() } = options;
  const channels = new Map<string, Channel>();
  let plan: PushPlan | undefined;
  let announced: Snapshot | undefined;
  /** clusters that have changed, whose endpoints are to be sent again */
  const warming = new Set<string>();
  let writable = true;
  /** the client has said that it has something: it was not started just now */
  let runs = false;
  let nonces = 0;
  let hold: ReturnType<typeof setTimeout> | undefined;

  const channelOf = (url: string): Channel => {
    const type = resourceTypeOf(url);
    const channel = channels.get(url) ?? {
      typeUrl: url,
      type,
      state: initialSubscription(variant.rulesOf(type)),
      set: NO_RESOURCES,
      accepted: NO_RESOURCES,
      sent: NOTHING_SENT,
    };
    channels.set(url, channel);
    return channel;
  };

  const apply = (channel: Channel, event: SubscriptionEvent): void => {
    const before = channel.state;
    const { state, actions } = advanceSubscription(before, event);
    channel.state = state;
    for (const action of actions) perform(channel, action, before);
  };

  const perform = (channel: Channel, action: SubscriptionAction, before: SubscriptionState): void => {
    const { type, sent } = channel;
    const answered: Answered = { ...sent, sent: before.outstanding?.sent ?? new Map(), known: before.known };
    switch (action.kind) {
      case 'send':
        send(channel, action);
        break;
      case 'acked':
        channel.accepted = sent.leaves;
        if (type) {
          refusals.accepted(type, answered);
          events.acked(type, sent.version);
        }
        break;
      case 'nacked':
        if (type) {
          refusals.refused(type, answered);
          events.nacked(type, sent.version, action.names, action.reason);
        }
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
    const { typeUrl, type, set, state, accepted } = channel;
    const changed = resources.flatMap((name) => set.get(name) ?? []);
    const leaves = new Map([...accepted].filter(([name]) => isSubscribed(state, name)));
    for (const name of removed) leaves.delete(name);
    for (const each of changed) leaves.set(each.name, each);
    // what was refused and what is held are in full state as the client has accepted them last
    const whole = variant.isFullState(type);
    const version = systemVersion(versionsOf(whole ? leaves : set));
    channel.sent = { version, leaves };
    writable = write({ typeUrl, nonce, version, resources: whole ? [...leaves.values()] : changed, removed });
    if (type) events.sent(type, version);
    if (type !== 'cluster') return;
    for (const { name, version: next } of changed) {
      // a client that came back has said what it has
      const before = accepted.get(name)?.version ?? state.known.get(name);
      if (before !== undefined && before !== next) warming.add(name);
    }
  };

  /** A type begins with what the node has refused on earlier streams. */
  const recall = (channel: Channel, said: Said): void => {
    runs ||= 'versions' in said ? Object.keys(said.versions).length > 0 : said.version !== '';
    const recalled = channel.type && refusals.recall(channel.type, said, runs);
    if (recalled === undefined) return;
    const { rejected, known, accepted } = recalled;
    channel.accepted = accepted;
    // what is named one by one is asked for, and answered; only what was refused is not
    const seen = variant.isFullState(channel.type)
      ? known
      : new Map([...known].filter(([name]) => rejected.has(name)));
    apply(channel, { kind: 'recall', rejected, known: seen });
    events.recalled();
  };

  /** Shows a type what the plan allows it, and lets it answer. */
  const pump = (channel: Channel): void => {
    if (channel.type !== undefined) {
      const shown = plan && shownBy(plan, channel.type);
      if (shown === undefined) return;
      channel.set = shown.set;
      const { holdsRemovals } = shown;
      apply(channel, { kind: 'desired', versions: versionsOf(shown.set), holdsRemovals });
      if (channel.type === 'endpoints') repeatEndpoints(channel);
    }
    if (writable && channel.state.outstanding === undefined) {
      nonces += 1;
      apply(channel, { kind: 'writable', nonce: String(nonces) });
    }
  };

  /**
   * At once, as they are: Envoy acknowledges clusters when all of them are warm, and one that has changed is not warm
   * without endpoints, for which it does not ask again.
   */
  const repeatEndpoints = (channel: Channel): void => {
    if (warming.size > 0) apply(channel, { kind: 'repeat', names: warming });
    warming.clear();
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

  const checkLimits = (): void => {
    const names = [...channels.values()].reduce((sum, { state }) => sum + state.names.size, 0);
    if (names > limits.maxSubscriptions || channels.size > limits.maxTypes)
      throw new Failure('overloaded', 'too many subscriptions on one stream');
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
      const channel = channelOf(request.typeUrl);
      if (!channel.state.started) recall(channel, variant.saidOf(request));
      for (const event of variant.eventsOf(request, channel.state)) apply(channel, event);
      checkLimits();
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
    refused: () => (plan === undefined ? [] : refusedOf(plan.to, channels)),
    resources: () =>
      RESOURCE_TYPES.flatMap((type) =>
        resourceStatuses(type, channels.get(TYPE_URLS[type])?.state, plan?.to.types[type] ?? NO_RESOURCES),
      ),
    close: releaseHold,
  };
}

/** Measured against what is to be there, which a type that waits for its step has not been shown yet. */
function refusedOf(to: Snapshot, channels: ReadonlyMap<string, Channel>): readonly ResourceType[] {
  return RESOURCE_TYPES.filter((type) => {
    const channel = channels.get(TYPE_URLS[type]);
    return channel !== undefined && isRefused({ ...channel.state, desired: versionsOf(to.types[type]) });
  });
}
