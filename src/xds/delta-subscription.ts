/**
 * One type on one stream of the incremental xDS protocol: `(state, event) → { state, actions }`, without sockets.
 *
 * What it keeps (xDS protocol, "Incremental xDS"):
 * - a subscription change always counts, whatever the nonce says; a subscribe is always answered, names that do
 *   not exist in `removed_resources`;
 * - only the first request of the type may be a wildcard without `*`, and only of clusters and listeners; only its
 *   `initial_resource_versions` count;
 * - a nonce answers one response of this stream and type; any other is stale: it neither ACKs nor NACKs;
 * - at most one response is outstanding, and the next is made of the newest state;
 * - a version that was NACKed is not sent again until the resource changes or the client asks for it: no resend loop.
 *
 * Left out: resource TTLs, resource locators, dynamic parameters.
 */
export interface SubscriptionState {
  /** clusters and listeners: a first request without names subscribes to all */
  readonly legacyWildcard: boolean;
  readonly started: boolean;
  readonly wildcard: boolean;
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

type Versions = ReadonlyMap<string, string>;

interface Outstanding {
  readonly nonce: string;
  /** name → version, GONE when removed */
  readonly sent: Versions;
}

const GONE = '';
const WILDCARD = '*';

export interface SubscriptionRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: Readonly<Record<string, string>>;
  readonly nonce: string;
  readonly error?: { readonly code: number; readonly message: string };
}

export type SubscriptionEvent =
  | { readonly kind: 'request'; readonly request: SubscriptionRequest }
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

export function initialSubscription(legacyWildcard: boolean): SubscriptionState {
  return {
    legacyWildcard,
    started: false,
    wildcard: false,
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
    case 'request': {
      const answered = takeAnswer(state, event.request);
      return { state: takeNames(answered.state, event.request), actions: answered.actions };
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
  const answered: SubscriptionState = { ...state, known, rejected, outstanding: undefined };
  if (error === undefined) return { state: answered, actions: [{ kind: 'acked' }] };
  const names = [...outstanding.sent.keys()];
  return { state: answered, actions: [{ kind: 'nacked', names, reason: error.message }] };
}

function takeNames(state: SubscriptionState, request: SubscriptionRequest): SubscriptionState {
  const first = !state.started;
  const names = new Set(state.names);
  const asked = new Set(state.asked);
  const known = new Map(first ? Object.entries(request.initialVersions) : state.known);
  const rejected = new Map(state.rejected);
  let { wildcard, owed } = state;

  for (const name of request.unsubscribe) {
    if (name === WILDCARD) {
      wildcard = false;
      continue;
    }
    names.delete(name);
    // under a wildcard the client is told what it has of it now
    if (wildcard) asked.add(name);
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
  if (first && state.legacyWildcard && request.subscribe.length === 0) {
    wildcard = true;
    owed = true;
  }
  if (!wildcard) {
    for (const map of [known, rejected]) forgetOthers(map, names);
    for (const name of asked) if (!names.has(name)) asked.delete(name);
  }
  return { ...state, started: true, wildcard, names, asked, known, rejected, owed };
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
  for (const name of new Set([...known.keys(), ...rejected.keys(), ...asked])) {
    if (desired.has(name)) continue;
    // a refused resource that is gone: the client may have kept an older one
    const isNews = known.has(name) || (rejected.has(name) && rejected.get(name) !== GONE);
    if ((isNews && !state.holdsRemovals) || asked.has(name)) removed.push(name);
  }
  return { resources, removed };
}

function hasWork(state: SubscriptionState, { resources, removed }: Pending): boolean {
  return state.started && (state.owed || resources.length > 0 || removed.length > 0);
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

function isSubscribed(state: SubscriptionState, name: string): boolean {
  return state.wildcard || state.names.has(name);
}

function forgetOthers(map: Map<string, string>, kept: ReadonlySet<string>): void {
  for (const name of map.keys()) if (!kept.has(name)) map.delete(name);
}
