/**
 * State-of-the-world xDS, told as changes of a subscription.
 *
 * What it keeps (xDS protocol, "State of the World"):
 * - a request names all that the client wants: what it names anew is subscribed to, what it names no more is dropped,
 *   whatever its nonce is; an empty list drops everything, or is still the wildcard of a first request without names;
 * - a request is answered when it is the first of its type, has no nonce, or names something anew; otherwise silence;
 * - clusters and listeners are full state: what a response leaves out is deleted. Of other types a response carries
 *   what has changed or was asked for, and cannot say that something is not there;
 * - a NACK is an `error_detail`; `version_info` of a request decides nothing but whether an earlier refusal still counts.
 */
import type { SotwRequest } from '../grpc/messages-sotw.ts';
import { type AdsVariant, comesWhole } from './ads-variant.ts';
import { type SubscriptionEvent, type SubscriptionState, WILDCARD } from './subscription.ts';

export const sotwVariant: AdsVariant<SotwRequest> = {
  rulesOf: (type) => ({
    impliesAll: comesWhole(type),
    tellsAbsence: comesWhole(type),
    answersUnsubscribe: false,
  }),
  eventsOf(request, state) {
    const change: SubscriptionEvent = { kind: 'request', request: toChange(request, state) };
    // no nonce while none of ours is unanswered: the client begins anew. (Else it has just not read our response yet.)
    const anew = request.nonce === '' && state.started && state.outstanding === undefined;
    return anew ? [change, { kind: 'repeat', names: state.desired.keys() }] : [change];
  },
  saidOf: ({ version }) => ({ version }),
  isFullState: comesWhole,
};

function toChange(
  { names, nonce, error }: SotwRequest,
  state: SubscriptionState,
): Extract<SubscriptionEvent, { kind: 'request' }>['request'] {
  // the wildcard comes first: what is dropped after it is not dropped under it
  const had = new Set(state.wildcard ? [WILDCARD, ...state.names] : state.names);
  const given = state.implied && names.length === 0 ? had : new Set(names);
  return {
    // to spell an implied wildcard out is news: from then on an empty list drops it
    subscribe: [...given].filter((name) => !had.has(name) || (state.implied && names.includes(name))),
    unsubscribe: [...had].filter((name) => !given.has(name)),
    initialVersions: {},
    nonce,
    ...(error && { error }),
  };
}
