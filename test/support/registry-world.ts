import { type Digest, sha256 } from '../../src/core/digest.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Position } from '../../src/core/position.ts';
import type { Applied, FoldedEntry } from '../../src/journal/fold.ts';
import type { Draft } from '../../src/journal/journal.ts';
import type { EnvoyNode, Grant, Service } from '../../src/registry/model.ts';
import type { App, Group, Member } from '../../src/registry/parties.ts';
import { createRegistry, type RegistryView } from '../../src/registry/state.ts';

/** A registry that is fed without a journal: each draft is folded at once, as a commit of its own. */
export interface RegistryWorld {
  readonly view: RegistryView;
  /** Folds the drafts as one commit and tells the listeners. */
  readonly commit: (...drafts: readonly Draft[]) => Applied;
  readonly position: () => Position;
  readonly onApplied: (listener: (applied: Applied) => void) => () => void;
}

export function createRegistryWorld(): RegistryWorld {
  const { reducer, view } = createRegistry(() => 'mesh');
  const listeners = new Set<(applied: Applied) => void>();
  let seq = 0;
  const digestOf = (at: number): Digest => sha256(`entry ${at}`);
  const position = (): Position => ({ epoch: 1, seq, digest: digestOf(seq) });
  return {
    view,
    position,
    commit(...drafts) {
      const changed = new Set<string>();
      for (const { kind, body } of drafts) {
        seq += 1;
        for (const key of reducer.apply(entry(seq, digestOf(seq), kind, body))) changed.add(key);
      }
      const applied = { position: position(), changed };
      for (const listener of listeners) listener(applied);
      return applied;
    },
    onApplied(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function entry(seq: number, digest: Digest, kind: FoldedEntry['kind'], body: JsonObject): FoldedEntry {
  return {
    seq,
    epoch: 1,
    digest,
    at: `2026-01-01T00:00:${String(seq % 60).padStart(2, '0')}Z`,
    actor: 'test',
    commitId: `commit-${seq}`,
    kind,
    body,
  };
}

export function aService(change: Partial<Service> = {}): Service {
  return {
    hosts: ['*'],
    prefix: '/',
    access: 'grants',
    endpoints: [{ address: '127.0.0.1', port: 8080 }],
    ...change,
  };
}

export function aGrant(spiffe = 'spiffe://mesh/app/a', operations: readonly string[] = ['*']): Grant {
  return { subject: { spiffe }, operations: [...operations] };
}

/** Registered, as long as nothing else is said. */
export function aMember(change: Partial<Member> = {}): Member {
  return { state: 'registered', ...change };
}

/** Registered, as long as nothing else is said. */
export function anApp(change: Partial<App> = {}): App {
  return { state: 'registered', ...change };
}

/** @param members  `GOV/A/b` is an app, anything else a group */
export function aGroup(members: readonly string[], change: Partial<Group> = {}): Group {
  return {
    members: members.map((name) => (name.includes('/') ? { app: name } : { group: name })),
    ...change,
  };
}

export function aNode(services: readonly string[], change: Partial<EnvoyNode['listener']> = {}): EnvoyNode {
  return { services: [...services], listener: { address: '127.0.0.1', port: 10000, ...change } };
}
