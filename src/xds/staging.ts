/**
 * A staged roll-out: a change goes to a few nodes first, to twice as many when these have accepted it, and so on. When one
 * refuses it, or does not answer in time, the roll-out halts; the next change begins anew.
 *
 * What takes something away never waits (`takes-away.ts`): it goes to its node at once, with all that waited for that
 * node. Endpoints and secrets do not wait either: while the rest is held they are offered with what the node has.
 */
import type { Snapshot } from './snapshot.ts';
import { takesAway } from './takes-away.ts';

export interface StagingOptions {
  /** nodes that a change goes to first */
  readonly batch: number;
  /** in which they must have accepted it */
  readonly ackMs: number;
}

/** Why the others wait. */
export interface Halt {
  readonly node: string;
  readonly reason: string;
}

export interface Staging {
  /** A new snapshot of a connected node: offered now, or later. */
  changed(id: string, snapshot: Snapshot): void;
  /** A node has connected. @returns what it is offered */
  opened(id: string, newest: Snapshot): Snapshot;
  synced(id: string, snapshot: Snapshot): void;
  refused(id: string, reason: string): void;
  /** its last stream has ended */
  left(id: string): void;
  forget(id: string): void;
  /** what it was offered last */
  offered(id: string): Snapshot | undefined;
  /** why the newest is withheld from it */
  haltOf(id: string): Halt | undefined;
  close(): void;
}

/** @param offer  to the streams of a node; answers what the node has said of it already, when it has refused it before */
export function createStaging(
  options: StagingOptions | undefined,
  offer: (id: string, snapshot: Snapshot) => string | undefined,
): Staging {
  const given = new Map<string, Snapshot>();
  const held = new Map<string, Snapshot>();
  /** the wave under way: nodes that have not accepted yet, with what they are to accept */
  const wave = new Map<string, Snapshot>();
  let [width, started] = [options?.batch ?? 0, 0];
  let halt: (Halt & { readonly at: Snapshot['position'] }) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const give = (id: string, snapshot: Snapshot): void => {
    held.delete(id);
    given.set(id, snapshot);
    const refusal = offer(id, snapshot);
    if (refusal !== undefined && wave.has(id)) stop(id, refusal);
  };

  const mustWait = (id: string, snapshot: Snapshot): boolean => {
    const before = given.get(id);
    if (options === undefined || before === undefined || before === snapshot) return false;
    return !wave.has(id) && !takesAway(before, snapshot);
  };

  const endWave = (): void => {
    wave.clear();
    started = 0;
    clearTimeout(timer);
    timer = undefined;
  };

  const stop = (node: string, reason: string): void => {
    const at = wave.get(node)?.position;
    endWave();
    width = options?.batch ?? 0;
    if (at !== undefined) halt = { node, reason, at };
  };

  /** Those that wait go on, as many as the wave takes. */
  const goOn = (): void => {
    if (options === undefined || halt !== undefined) return;
    // what was held before a halt has not failed yet, but has in it what did
    const next = [...held].sort(([, a], [, b]) => compare(b.position, a.position)).slice(0, width - started);
    if (next.length === 0) return;
    timer ??= setTimeout(() => {
      stop([...wave.keys()][0] ?? '', `no answer within ${options.ackMs} ms`);
    }, options.ackMs).unref();
    started += next.length;
    // first of all: what is offered might be accepted at once
    for (const [id, snapshot] of next) wave.set(id, snapshot);
    for (const [id, snapshot] of next) if (wave.has(id)) give(id, snapshot);
  };

  /** The wave is over: the next one is twice as wide, until nobody waits. */
  const nextWave = (grow: number): void => {
    if (wave.size > 0) return;
    endWave();
    width = held.size === 0 ? (options?.batch ?? 0) : width * grow;
    goOn();
  };

  return {
    changed(id, snapshot) {
      if (halt !== undefined && compare(snapshot.position, halt.at) > 0) halt = undefined;
      if (wave.has(id)) wave.set(id, snapshot);
      if (!mustWait(id, snapshot)) {
        give(id, snapshot);
        return;
      }
      held.set(id, snapshot);
      goOn();
      const before = given.get(id);
      const between = before && held.has(id) ? withNewPlaces(before, snapshot) : before;
      if (between === undefined || between === before) return;
      given.set(id, between);
      offer(id, between);
    },
    opened(id, newest) {
      if (mustWait(id, newest)) held.set(id, newest);
      else given.set(id, newest);
      goOn();
      return given.get(id) ?? newest;
    },
    synced(id, snapshot) {
      if (wave.get(id) !== snapshot) return;
      wave.delete(id);
      nextWave(2);
    },
    refused(id, reason) {
      if (wave.has(id)) stop(id, reason);
    },
    left(id) {
      held.delete(id);
      // nobody else of the wave can say anything: as many others are asked
      if (wave.delete(id)) nextWave(1);
    },
    forget(id) {
      for (const known of [given, held]) known.delete(id);
      if (wave.delete(id)) nextWave(1);
    },
    offered: (id) => given.get(id),
    haltOf: (id) => (held.has(id) && halt ? { node: halt.node, reason: halt.reason } : undefined),
    close: endWave,
  };
}

function compare(a: Snapshot['position'], b: Snapshot['position']): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}

/** What a node has, with the newest endpoints and secrets of what it has. */
function withNewPlaces(before: Snapshot, newest: Snapshot): Snapshot {
  const merge = (type: 'endpoints' | 'secrets') =>
    new Map([...before.types[type]].map(([name, old]) => [name, newest.types[type].get(name) ?? old]));
  const [endpoints, secrets] = [merge('endpoints'), merge('secrets')];
  const isNew =
    [...endpoints].some(([name, { version }]) => before.types.endpoints.get(name)?.version !== version) ||
    [...secrets].some(([name, { version }]) => before.types.secrets.get(name)?.version !== version);
  return isNew ? { position: before.position, types: { ...before.types, endpoints, secrets } } : before;
}
