/**
 * The snapshot of each node, rebuilt when a change concerns it: after a short quiet window, one node per turn of the
 * event loop, so that nothing else waits long. When a state cannot be built, the last good one stays.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { EnvoyMessages } from '../grpc/messages.ts';
import type { ChangedKey } from '../journal/fold.ts';
import { EMPTY_HEAD } from '../journal/journal.ts';
import { nodesReached } from '../registry/reach.ts';
import type { RegistryView } from '../registry/state.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Count, Metrics } from '../telemetry/metrics.ts';
import type { BuildOptions, BuildResources } from './build.ts';
import { encodeOnce } from './encode-once.ts';
import { createExpiries, nextEndOf } from './expiries.ts';
import { createSnapshot, type Snapshot } from './snapshot.ts';

export interface SnapshotsDeps {
  readonly registry: RegistryView;
  readonly position: () => Position;
  readonly messages: EnvoyMessages;
  readonly build: BuildResources;
  /** of now: they depend on more than the journal */
  readonly buildOptions: () => Omit<BuildOptions, 'asOfMs'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** nodes with a stream: others are built when they come */
  readonly connected: () => Iterable<string>;
  readonly onSnapshot: (nodeId: string, snapshot: Snapshot) => void;
  readonly window: QuietWindow;
}

export interface QuietWindow {
  /** a change waits this long for the next one … */
  readonly quietMs: number;
  /** … but never longer than this */
  readonly maxMs: number;
}

export interface Snapshots {
  /** The newest snapshot of a node; undefined when it is not registered or has never been buildable. */
  of(nodeId: string): Snapshot | undefined;
  /** The one that it was offered last; builds nothing. */
  offered(nodeId: string): Snapshot | undefined;
  /** Up to where a snapshot of the node says what the journal says: changes that do not concern it move this. */
  heldThrough(nodeId: string, snapshot: Snapshot): Position;
  /** why the last try to build one has failed, if it has */
  trouble(nodeId: string): string | undefined;
  changed(keys: ReadonlySet<ChangedKey>): void;
  /** What all of them are built with has changed, and the journal has not. */
  outdateAll(): void;
  close(): void;
}

export function createSnapshots(deps: SnapshotsDeps): Snapshots {
  const { registry, window } = deps;
  const good = new Map<string, Snapshot>();
  const stale = new Set<string>();
  /** of those whose good one is out of date: the last position that it was right for */
  const goodUntil = new Map<string, Position>();
  /** the same of those that others have taken the place of */
  let replacedAt = new WeakMap<Snapshot, Position>();
  const troubles = new Map<string, string>();
  const encode = encodeOnce(
    deps.messages,
    deps.metrics.counter(
      'chancery_xds_resources_encoded_total',
      'Resources that were encoded: one that several nodes have counts once',
    ),
  );
  const failures: Count = deps.metrics.counter(
    'chancery_xds_snapshot_failures_total',
    'Snapshots that could not be built; the last good one stays',
  );
  let quiet: ReturnType<typeof setTimeout> | undefined;
  let firstAtMs = 0;
  let rebuilding = false;
  let closed = false;
  let seen = deps.position();

  const replace = (id: string, snapshot: Snapshot): void => {
    const [before, until] = [good.get(id), goodUntil.get(id)];
    if (before && until) replacedAt.set(before, until);
    goodUntil.delete(id);
    troubles.delete(id);
    good.set(id, snapshot);
  };

  const forget = (id: string): void => {
    for (const known of [good, goodUntil, troubles, stale]) known.delete(id);
    expiries.set(id, undefined);
  };

  const outdate = (id: string): void => {
    if (registry.node(id) === undefined) return forget(id);
    stale.add(id);
    if (good.has(id) && !goodUntil.has(id)) goodUntil.set(id, seen);
  };

  /** In a new epoch a seq may be another entry's: what was right for the old one says nothing any more. */
  const forgetPlaces = (): void => {
    seen = EMPTY_HEAD;
    replacedAt = new WeakMap();
    for (const id of goodUntil.keys()) goodUntil.set(id, EMPTY_HEAD);
  };

  const rebuild = (id: string): void => {
    stale.delete(id);
    const node = registry.node(id);
    if (node === undefined) {
      forget(id);
      return;
    }
    try {
      const asOfMs = expiries.asOfMs();
      const position = registry.lastChangeOf(id);
      const options = { ...deps.buildOptions(), asOfMs, ...(position && { position }) };
      const resources = deps.build(registry, node, options);
      expiries.set(id, nextEndOf(registry, id, asOfMs));
      replace(id, createSnapshot(resources, deps.position(), encode));
    } catch (error) {
      const failure = Failure.from(error, 'snapshot_inconsistent');
      failures.add();
      troubles.set(id, failure.detail);
      deps.logger.error({ node: id, code: failure.code, detail: failure.detail }, 'snapshot not built');
    }
  };

  const rebuildConnected = async (): Promise<void> => {
    rebuilding = true;
    try {
      for (const id of [...deps.connected()].filter((each) => stale.has(each))) {
        if (closed) return;
        rebuild(id);
        const snapshot = good.get(id);
        if (snapshot) deps.onSnapshot(id, snapshot);
        await setImmediate();
      }
    } finally {
      rebuilding = false;
    }
  };

  const expiries = createExpiries(deps.clock, (ids) => {
    for (const id of ids) outdate(id);
    if (stale.size > 0) schedule();
  });

  const placeOf = ({ position }: Snapshot): Position =>
    position.epoch < deps.position().epoch ? EMPTY_HEAD : position;

  const schedule = (): void => {
    const nowMs = performance.now();
    if (quiet === undefined) firstAtMs = nowMs;
    clearTimeout(quiet);
    const leftMs = Math.max(0, window.maxMs - (nowMs - firstAtMs));
    quiet = setTimeout(flush, Math.min(window.quietMs, leftMs)).unref();
  };

  const flush = (): void => {
    quiet = undefined;
    if (closed) return;
    // one run at a time: what becomes stale during a run gets a run of its own
    if (rebuilding) schedule();
    else void rebuildConnected();
  };

  return {
    of(id) {
      if (expiries.isDue(id)) outdate(id);
      if (stale.has(id) || !good.has(id)) rebuild(id);
      return good.get(id);
    },
    offered: (id) => good.get(id),
    heldThrough(id, snapshot) {
      if (snapshot !== good.get(id)) return replacedAt.get(snapshot) ?? placeOf(snapshot);
      return goodUntil.get(id) ?? deps.position();
    },
    trouble: (id) => troubles.get(id),
    changed(keys) {
      if (deps.position().epoch > seen.epoch) forgetPlaces();
      for (const key of keys) for (const id of nodesReached(registry, key)) outdate(id);
      seen = deps.position();
      if (stale.size > 0) schedule();
    },
    outdateAll() {
      for (const id of new Set([...good.keys(), ...deps.connected()])) outdate(id);
      if (stale.size > 0) schedule();
    },
    close() {
      closed = true;
      clearTimeout(quiet);
      expiries.close();
    },
  };
}
