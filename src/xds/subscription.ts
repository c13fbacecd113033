/**
 * One type on one stream: `(state, event) → { state, actions }`, without sockets. Its words are those of incremental
 * xDS, which say most; a state-of-the-world stream is told in them too (`sotw-variant.ts`).
 *
 * What it keeps (xDS protocol, "Incremental xDS"):
 * - a subscription change always counts, whatever the nonce says; a subscribe is always answered, names that do
 *   not exist in `removed_resources` (where the variant can say so);
 * - only the first request of the type may be a wildcard without `*`, and only of clusters and listeners; only its
 *   `initial_resource_versions` count;
 * - a nonce answers one response of this stream and type; any other is stale: it neither ACKs nor NACKs;
 * - at most one response is outstanding, and the next is made of the newest state;
 * - a version that was NACKed is not sent again until the resource changes or the client asks for it: no resend loop,
 *   on this stream and, as `refusals.ts` says, on the next ones.
 *
 * Left out: resource TTLs, resource locators, dynamic parameters.
 */
export interface SubscriptionState {
  readonly rules: SubscriptionRules;
  readonly started: boolean;
  readonly wildcard: boolean;
  /** the wildcard comes of a first request without names, and no name has been given since */
  readonly implied: boolean;
  readonly names: ReadonlySet<string>;
  /** name → version that should be there */
  readonly desired: Versions;
  /** what is gone is told only when asked for: others still use it */
  readonly holdsRemovals: boolean;
  /** name → version that the client has said it has */
  readonly known: Versions;
  /** name → version that the client has refused; GONE when it refused a response that removed it */
  readonly rejected: Versions;
  /** must be in the next response, whatever the client has */
  readonly asked: ReadonlySet<string>;
  /** a response is owed, if need be an empty one */
  readonly owed: boolean;
  readonly outstanding: Outstanding | undefined;
}

/** What a variant of the protocol makes of a type. */
export interface SubscriptionRules {
  /** a first request without names subscribes to all (the legacy wildcard) */
  readonly impliesAll: boolean;
  /** a response can say that a name is not there; where it cannot, nothing is sent instead */
  readonly tellsAbsence: boolean;
  /** who drops a name under a wildcard is told what there is of it */
  readonly answersUnsubscribe: boolean;
}

export type Versions = ReadonlyMap<string, string>;

interface Outstanding {
  readonly nonce: string;
  /** name → version, GONE when removed */
  readonly sent: Versions;
}

export const GONE = '';
/** the client has some version */
const UNKNOWN = '?';
export const WILDCARD = '*';

export interface SubscriptionRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: Readonly<Record<string, string>>;
  readonly nonce: string;
  readonly error?: { readonly code: number; readonly message: string };
}

export type SubscriptionEvent =
  /** before the first request: what an earlier stream of the client has left */
  | { readonly kind: 'recall'; readonly rejected: Versions; readonly known: Versions }
  | { readonly kind: 'request'; readonly request: SubscriptionRequest }
  /** sent again if they are there, whatever the client has; names that are not subscribed to do not count */
  | { readonly kind: 'repeat'; readonly names: Iterable<string> }
  /** the newest state of the type */
  | { readonly kind: 'desired'; readonly versions: Versions; readonly holdsRemovals: boolean }
  /** the stream takes a message; `nonce` is fresh */
  | { readonly kind: 'writable'; readonly nonce: string };

export type SubscriptionAction =
  | {
      readonly kind: 'send';
      readonly nonce: string;
      readonly resources: readonly string[];
      readonly removed: readonly string[];
    }
  | { readonly kind: 'acked' }
  | { readonly kind: 'nacked'; readonly names: readonly string[]; readonly reason: string }
  | { readonly kind: 'stale' };

export interface SubscriptionStep {
  readonly state: SubscriptionState;
  readonly actions: readonly SubscriptionAction[];
}

export function initialSubscription(rules: SubscriptionRules): SubscriptionState {
  return {
    rules,
    started: false,
    wildcard: false,
    implied: false,
    names: new Set(),
    desired: new Map(),
    holdsRemovals: false,
    known: new Map(),
    rejected: new Map(),
    asked: new Set(),
    owed: false,
    outstanding: undefined,
  };
}

export function advanceSubscription(state: SubscriptionState, event: SubscriptionEvent): SubscriptionStep {
  switch (event.kind) {
    case 'recall': {
      const { rejected, known } = event;
      return { state: { ...state, rejected, known }, actions: [] };
    }
    case 'request': {
      const answered = takeAnswer(state, event.request);
      return { state: takeNames(answered.state, event.request), actions: answered.actions };
    }
    case 'repeat': {
      const names = [...event.names].filter((name) => isSubscribed(state, name));
      return { state: { ...state, asked: new Set([...state.asked, ...names]), owed: true }, actions: [] };
    }
    case 'desired':
      return {
        state: { ...state, desired: event.versions, holdsRemovals: event.holdsRemovals },
        actions: [],
      };
    case 'writable':
      return respond(state, event.nonce);
    default:
      return event satisfies never;
  }
}

/** Nothing is outstanding and nothing is left to send: later types may follow. */
export function isSettled(state: SubscriptionState): boolean {
  return state.outstanding === undefined && !hasWork(state, pending(state));
}

/** The client has refused something that is still wanted. */
export function isRefused(state: SubscriptionState): boolean {
  return [...state.rejected].some(([name, version]) => (state.desired.get(name) ?? GONE) === version);
}

function takeAnswer(state: SubscriptionState, { nonce, error }: SubscriptionRequest): SubscriptionStep {
  if (nonce === '') return { state, actions: [] };
  const { outstanding } = state;
  if (outstanding?.nonce !== nonce) return { state, actions: [{ kind: 'stale' }] };
  const known = new Map(state.known);
  const rejected = new Map(state.rejected);
  for (const [name, version] of outstanding.sent) {
    // after a NACK nobody can say what the client has of these: another version will be sent, this one will not
    known.delete(name);
    rejected.delete(name);
    if (error !== undefined) rejected.set(name, version);
    else if (version !== GONE && isSubscribed(state, name)) known.set(name, version);
  }
  if (error === undefined) retryRemovals(known, rejected);
  const answered: SubscriptionState = { ...state, known, rejected, outstanding: undefined };
  if (error === undefined) return { state: answered, actions: [{ kind: 'acked' }] };
  const names = [...outstanding.sent.keys()];
  return { state: answered, actions: [{ kind: 'nacked', names, reason: error.message }] };
}

/** After a response that was accepted a refused removal is tried once more, or what is gone would stay for ever. */
function retryRemovals(known: Map<string, string>, rejected: Map<string, string>): void {
  for (const [name, version] of rejected) {
    if (version !== GONE) continue;
    rejected.delete(name);
    known.set(name, UNKNOWN);
  }
}

function takeNames(state: SubscriptionState, request: SubscriptionRequest): SubscriptionState {
  const first = !state.started;
  const names = new Set(state.names);
  const asked = new Set(state.asked);
  const known = new Map(state.known);
  if (first) for (const [name, version] of Object.entries(request.initialVersions)) known.set(name, version);
  const rejected = new Map(state.rejected);
  let { wildcard, owed } = state;
  const impliesAll = first && state.rules.impliesAll && request.subscribe.length === 0;

  for (const name of request.unsubscribe) {
    if (name === WILDCARD) {
      wildcard = false;
      continue;
    }
    names.delete(name);
    if (wildcard && state.rules.answersUnsubscribe) asked.add(name);
  }
  for (const name of request.subscribe) {
    if (name === WILDCARD) {
      wildcard = true;
      // asked for once more: everything; on the first request the initial versions say what is there
      if (!first) for (const each of state.desired.keys()) asked.add(each);
    } else {
      names.add(name);
      if (!first || !known.has(name)) asked.add(name);
    }
    owed = true;
  }
  if (impliesAll) {
    wildcard = true;
    owed = true;
  }
  if (!wildcard) {
    for (const map of [known, rejected]) forgetOthers(map, names);
    for (const name of asked) if (!names.has(name)) asked.delete(name);
  }
  const implied = impliesAll || (state.implied && wildcard && request.subscribe.length === 0);
  return { ...state, started: true, wildcard, implied, names, asked, known, rejected, owed };
}

interface Pending {
  readonly resources: readonly string[];
  readonly removed: readonly string[];
}

function pending(state: SubscriptionState): Pending {
  const { desired, known, rejected, asked } = state;
  const resources: string[] = [];
  const removed: string[] = [];
  const wanted = state.wildcard ? [...desired.keys()] : [...state.names];
  for (const name of wanted) {
    const version = desired.get(name);
    if (version === undefined) continue;
    const isNews = known.get(name) !== version && rejected.get(name) !== version;
    if (isNews || asked.has(name)) resources.push(name);
  }
  const mayBeGone = state.rules.tellsAbsence ? [...known.keys(), ...rejected.keys(), ...asked] : [];
  for (const name of new Set(mayBeGone)) {
    if (desired.has(name)) continue;
    // a refused resource that is gone: the client may have kept an older one
    const isNews = known.has(name) || (rejected.has(name) && rejected.get(name) !== GONE);
    if ((isNews && !state.holdsRemovals) || asked.has(name)) removed.push(name);
  }
  return { resources, removed };
}

function hasWork(state: SubscriptionState, { resources, removed }: Pending): boolean {
  // an empty answer says that there is nothing: to who asked for all always, to others where absence can be told
  const owed = state.owed && (state.wildcard || state.rules.tellsAbsence);
  return state.started && (owed || resources.length > 0 || removed.length > 0);
}

function respond(state: SubscriptionState, nonce: string): SubscriptionStep {
  if (state.outstanding !== undefined) return { state, actions: [] };
  const next = pending(state);
  if (!hasWork(state, next)) return { state, actions: [] };
  const sent = new Map<string, string>();
  for (const name of next.resources) sent.set(name, state.desired.get(name) ?? GONE);
  for (const name of next.removed) sent.set(name, GONE);
  return {
    state: { ...state, asked: new Set(), owed: false, outstanding: { nonce, sent } },
    actions: [{ kind: 'send', nonce, ...next }],
  };
}

export function isSubscribed(state: SubscriptionState, name: string): boolean {
  return state.wildcard || state.names.has(name);
}

function forgetOthers(map: Map<string, string>, kept: ReadonlySet<string>): void {
  for (const name of map.keys()) if (!kept.has(name)) map.delete(name);
}
