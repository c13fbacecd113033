/**
 * Mistakes that a server of ADS can make, one at a time: each takes the place of one function of ours while its stories
 * are told. Nothing of them is in the server.
 */
import type { AdsStreamOptions } from '../../../src/xds/ads-stream.ts';
import type { PushPlan, Shown } from '../../../src/xds/push-plan.ts';
import type { Refusals } from '../../../src/xds/refusals.ts';
import type { ResourceType } from '../../../src/xds/resource-types.ts';
import type { Snapshots } from '../../../src/xds/snapshots.ts';
import type {
  advanceSubscription,
  SubscriptionEvent,
  SubscriptionRequest,
  SubscriptionRules,
  SubscriptionState,
  SubscriptionStep,
} from '../../../src/xds/subscription.ts';
import type { Rule } from './rules.ts';

export interface Fault {
  readonly name: string;
  /** stories of these rules are told */
  readonly rules: readonly Rule[];
  readonly advance?: (
    advance: typeof advanceSubscription,
    state: SubscriptionState,
    event: SubscriptionEvent,
  ) => SubscriptionStep;
  readonly isSettled?: () => boolean;
  readonly isRefused?: () => boolean;
  readonly shownBy?: (shown: Shown | undefined, plan: PushPlan, type: ResourceType) => Shown | undefined;
  readonly rulesOf?: (rules: SubscriptionRules) => SubscriptionRules;
  readonly isFullState?: () => boolean;
  readonly refusals?: (refusals: Refusals) => Refusals;
  readonly snapshots?: (snapshots: Snapshots) => Snapshots;
  readonly stream?: <R>(options: AdsStreamOptions<R>) => AdsStreamOptions<R>;
  readonly encode?: <R extends { readonly controlPlane?: string }>(response: R) => R;
  readonly decode?: <R extends { readonly nodeId: string }>(request: R) => R;
}

type Advance = NonNullable<Fault['advance']>;

/** Another request than the one that came. */
function mishears(
  change: (request: SubscriptionRequest, state: SubscriptionState) => SubscriptionRequest,
): Advance {
  return (advance, state, event) =>
    advance(state, event.kind === 'request' ? { ...event, request: change(event.request, state) } : event);
}

/** Another state after a request than the right one. */
function misremembers(
  change: (
    step: SubscriptionStep,
    before: SubscriptionState,
    request: SubscriptionRequest,
  ) => SubscriptionState,
): Advance {
  return (advance, before, event) => {
    const step = advance(before, event);
    return event.kind === 'request' ? { ...step, state: change(step, before, event.request) } : step;
  };
}

const subscribedTo = ({ wildcard, desired, names }: SubscriptionState): ReadonlySet<string> =>
  new Set(wildcard ? desired.keys() : names);
const isStale = ({ actions }: SubscriptionStep): boolean => actions.some(({ kind }) => kind === 'stale');

export const FAULTS: readonly Fault[] = [
  {
    name: 'sends again what was refused',
    rules: ['nack.memory'],
    advance: misremembers(({ state, actions }, before) =>
      actions.some(({ kind }) => kind === 'nacked')
        ? { ...state, rejected: new Map(), asked: new Set(before.outstanding?.sent.keys()) }
        : state,
    ),
  },
  {
    name: 'never sends what was once refused',
    rules: ['nack.recovery'],
    advance: (advance, state, event) => {
      const step = advance(state, event);
      if (event.kind !== 'desired') return step;
      const rejected = [...state.rejected.keys()].map(
        (name) => [name, event.versions.get(name) ?? ''] as const,
      );
      return { ...step, state: { ...step.state, rejected: new Map(rejected) } };
    },
  },
  {
    name: 'takes a refusal for an ACK',
    rules: ['nack.memory', 'nack.recovery'],
    advance: mishears(({ subscribe, unsubscribe, initialVersions, nonce }) => ({
      subscribe,
      unsubscribe,
      initialVersions,
      nonce,
    })),
  },
  {
    name: 'forgets refusals when the stream ends',
    rules: ['nack.memory'],
    refusals: (refusals) => ({ ...refusals, recall: () => undefined }),
  },
  {
    name: 'takes any nonce for the last one',
    rules: ['nonce.stale', 'nonce.scope'],
    advance: mishears((request, { outstanding }) =>
      request.nonce === '' || outstanding === undefined ? request : { ...request, nonce: outstanding.nonce },
    ),
  },
  {
    name: 'answers a stale nonce',
    rules: ['nonce.stale'],
    advance: misremembers((step) =>
      isStale(step) ? { ...step.state, asked: subscribedTo(step.state), owed: true } : step.state,
    ),
  },
  {
    name: 'loses the names of a request with a stale nonce',
    rules: ['nonce.stale'],
    advance: misremembers((step, before) =>
      isStale(step)
        ? { ...step.state, names: before.names, asked: before.asked, owed: before.owed }
        : step.state,
    ),
  },
  {
    name: 'gives every response the same nonce',
    rules: ['nonce.stale', 'ack'],
    advance: (advance, state, event) =>
      advance(state, event.kind === 'writable' ? { ...event, nonce: '1' } : event),
  },
  {
    name: 'says nothing of a name that is not there',
    rules: ['names.missing'],
    rulesOf: (rules) => ({ ...rules, tellsAbsence: false }),
  },
  {
    name: 'forgets a name that is not there',
    rules: ['names.appear'],
    advance: misremembers(({ state }) => ({
      ...state,
      names: new Set([...state.names].filter((name) => state.desired.has(name))),
    })),
  },
  {
    name: 'ends a subscription with its resource',
    rules: ['names.removed'],
    advance: (advance, state, event) => {
      const step = advance(state, event);
      if (event.kind !== 'desired') return step;
      const gone = [...state.desired.keys()].filter((name) => !event.versions.has(name));
      const names = new Set([...step.state.names].filter((name) => !gone.includes(name)));
      return { ...step, state: { ...step.state, names } };
    },
  },
  {
    name: 'does not tell what is gone',
    rules: ['names.removed'],
    shownBy: (shown) => shown && { ...shown, holdsRemovals: true },
  },
  {
    name: 'does not answer who subscribes again',
    rules: ['names.again'],
    advance: mishears((request, { names, started }) =>
      started ? { ...request, subscribe: request.subscribe.filter((name) => !names.has(name)) } : request,
    ),
  },
  {
    name: 'goes on sending what was dropped',
    rules: ['names.unsubscribe'],
    advance: mishears((request) => ({
      ...request,
      unsubscribe: request.unsubscribe.filter((name) => name === '*'),
    })),
  },
  {
    name: 'keeps the wildcard when it is dropped',
    rules: ['wildcard.end'],
    advance: mishears((request) => ({
      ...request,
      unsubscribe: request.unsubscribe.filter((name) => name !== '*'),
    })),
  },
  {
    name: 'takes any first request without names for a wildcard',
    rules: ['wildcard.legacy'],
    rulesOf: (rules) => ({ ...rules, impliesAll: true }),
  },
  {
    name: 'knows no wildcard but "*"',
    rules: ['wildcard.legacy'],
    rulesOf: (rules) => ({ ...rules, impliesAll: false }),
  },
  {
    name: 'takes "*" for a name',
    rules: ['wildcard.explicit'],
    advance: misremembers(({ state }) => ({ ...state, wildcard: state.wildcard && state.implied })),
  },
  {
    name: 'does not answer where there is nothing',
    rules: ['wildcard.legacy', 'wildcard.explicit'],
    advance: misremembers(({ state }) => ({ ...state, owed: false })),
  },
  {
    name: 'ignores the versions that a client comes back with',
    rules: ['version.initial'],
    advance: mishears((request) => ({ ...request, initialVersions: {} })),
  },
  {
    name: 'believes initial versions in later requests',
    rules: ['version.first'],
    advance: misremembers(({ state }, _, { initialVersions }) => ({
      ...state,
      known: new Map([...state.known, ...Object.entries(initialVersions)]),
    })),
  },
  {
    name: 'takes a known name for a known version',
    rules: ['version.initial'],
    advance: (advance, state, event) => {
      if (event.kind !== 'request' || state.started) return advance(state, event);
      const initialVersions = Object.fromEntries(
        Object.keys(event.request.initialVersions).map((name) => [name, state.desired.get(name) ?? '?']),
      );
      return advance(state, { ...event, request: { ...event.request, initialVersions } });
    },
  },
  {
    name: 'sends everything when something changes',
    rules: ['ack', 'names.subscribe'],
    advance: (advance, state, event) => {
      const step = advance(state, event);
      return event.kind === 'desired' && state.desired.size > 0
        ? { ...step, state: { ...step.state, known: new Map() } }
        : step;
    },
  },
  {
    name: 'sends heartbeats as updates',
    rules: ['ttl', 'ack'],
    advance: (advance, state, event) => {
      const step = advance(state, event);
      return event.kind === 'desired' && state.desired.size > 0
        ? { ...step, state: { ...step.state, asked: subscribedTo(step.state) } }
        : step;
    },
  },
  {
    name: 'forgets that a response is outstanding',
    rules: ['flow.outstanding'],
    advance: (advance, state, event) =>
      advance(event.kind === 'desired' ? { ...state, outstanding: undefined } : state, event),
  },
  {
    name: 'waits for no ACK between types',
    rules: ['order.push', 'order.removal'],
    isSettled: () => true,
  },
  {
    name: 'sends all types at once',
    rules: ['order.push'],
    shownBy: (shown, { to }, type) => ({ set: to.types[type], holdsRemovals: shown?.holdsRemovals ?? true }),
  },
  {
    name: 'removes before what replaces it is there',
    rules: ['order.removal'],
    shownBy: (shown) => shown && { ...shown, holdsRemovals: false },
  },
  {
    name: 'removes although what replaces it was refused',
    rules: ['order.removal'],
    isRefused: () => false,
  },
  {
    name: 'waits for ever for an ACK',
    rules: ['order.bound'],
    stream: (options) => ({ ...options, holdMs: 600_000 }),
  },
  {
    name: 'leaves a changed cluster without endpoints',
    rules: ['order.warm'],
    advance: (advance, state, event) =>
      event.kind === 'repeat' ? { state, actions: [] } : advance(state, event),
  },
  {
    name: 'sends of full state only what has changed',
    rules: ['wildcard.explicit', 'names.removed'],
    isFullState: () => false,
  },
  {
    name: "sends another node's resources",
    rules: ['scope'],
    snapshots: (snapshots) => ({ ...snapshots, of: () => snapshots.of('edge-1') }),
  },
  {
    name: 'overlooks that the node has changed',
    rules: ['identity'],
    decode: (request) => (request.nodeId === 'edge-2' ? { ...request, nodeId: '' } : request),
  },
  {
    name: 'does not say who it is',
    rules: ['control-plane'],
    encode: (response) => ({ ...response, controlPlane: '' }),
  },
  {
    name: 'writes to a client that does not read',
    rules: ['flow.outstanding', 'flow.slow'],
    advance: (advance, state, event) =>
      advance(
        event.kind === 'desired' && state.wildcard ? { ...state, outstanding: undefined } : state,
        event,
      ),
  },
];
