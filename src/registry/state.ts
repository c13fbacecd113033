/**
 * The registry as the journal tells it: services, grants, nodes and settings. `reducer` mutates, `view` reads; a
 * view is a window on the present, not a copy. Reverse indexes tell whom a change concerns.
 */
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import type { EntryKind } from '../journal/kinds.ts';
import { BODIES } from './bodies.ts';
import { ANY_OPERATION, type Grant, type Node, type Service, type Settings } from './model.ts';

/** An object as it stands, and the entry that made it so. Replaced as a whole, never changed. */
export interface Recorded<T> {
  /** name of a service; id of a grant or node; `settings` */
  readonly name: string;
  readonly value: T;
  /** of the entry; serves as ETag */
  readonly digest: Digest;
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
}

/** Lists are ordered by name. */
export interface RegistryView {
  service(name: string): Recorded<Service> | undefined;
  services(): readonly Recorded<Service>[];
  grant(service: string, id: string): Recorded<Grant> | undefined;
  grantsOf(service: string): readonly Recorded<Grant>[];
  /** whether a grant lets this SPIFFE ID do this operation; `*` asks for a grant of all of them */
  isGranted(service: string, spiffe: string, operation: string): boolean;
  node(id: string): Recorded<Node> | undefined;
  nodes(): readonly Recorded<Node>[];
  /** ids of the nodes that name the service */
  nodesOfService(name: string): readonly string[];
  /** undefined: never put */
  settings(): Recorded<Settings> | undefined;
}

export interface Registry {
  readonly reducer: Reducer;
  readonly view: RegistryView;
}

type RegistryKind = keyof typeof BODIES;

export function createRegistry(): Registry {
  const services = new Map<string, Recorded<Service>>();
  const grants = new Map<string, Map<string, Recorded<Grant>>>();
  /** by service and subject, so that asking costs nothing however many there are */
  const grantsBySubject = new Map<string, Map<string, Map<string, Grant>>>();
  const nodes = new Map<string, Recorded<Node>>();
  const nodesByService = new Map<string, Set<string>>();
  let settings: Recorded<Settings> | undefined;

  const unindexNode = (id: string): void => {
    for (const name of nodes.get(id)?.value.services ?? []) nodesByService.get(name)?.delete(id);
  };

  const unindexGrant = (service: string, id: string): void => {
    const spiffe = grants.get(service)?.get(id)?.value.subject.spiffe ?? '';
    const bySubject = grantsBySubject.get(service);
    const ofSubject = bySubject?.get(spiffe);
    ofSubject?.delete(id);
    if (ofSubject?.size === 0) bySubject?.delete(spiffe);
  };
  const indexGrant = (service: string, id: string, grant: Grant): void => {
    const bySubject = grantsBySubject.get(service) ?? new Map<string, Map<string, Grant>>();
    const ofSubject = bySubject.get(grant.subject.spiffe) ?? new Map<string, Grant>();
    grantsBySubject.set(service, bySubject.set(grant.subject.spiffe, ofSubject.set(id, grant)));
  };

  const apply: { readonly [K in RegistryKind]: (entry: FoldedEntry) => ChangedKey } = {
    'registry.service.put': (entry) => {
      const { name, service } = bodyOf(BODIES['registry.service.put'], entry);
      services.set(name, record(name, service, entry));
      return `service/${name}`;
    },
    'registry.service.delete': (entry) => {
      const { name } = bodyOf(BODIES['registry.service.delete'], entry);
      services.delete(name);
      return `service/${name}`;
    },
    'registry.grant.put': (entry) => {
      const { service, id, grant } = bodyOf(BODIES['registry.grant.put'], entry);
      unindexGrant(service, id);
      indexGrant(service, id, grant);
      const ofService = grants.get(service) ?? new Map<string, Recorded<Grant>>();
      grants.set(service, ofService.set(id, record(id, grant, entry)));
      return `grant/${service}/${id}`;
    },
    'registry.grant.delete': (entry) => {
      const { service, id } = bodyOf(BODIES['registry.grant.delete'], entry);
      unindexGrant(service, id);
      grants.get(service)?.delete(id);
      return `grant/${service}/${id}`;
    },
    'registry.node.put': (entry) => {
      const { id, node } = bodyOf(BODIES['registry.node.put'], entry);
      unindexNode(id);
      nodes.set(id, record(id, node, entry));
      for (const name of node.services) {
        nodesByService.set(name, (nodesByService.get(name) ?? new Set()).add(id));
      }
      return `node/${id}`;
    },
    'registry.node.delete': (entry) => {
      const { id } = bodyOf(BODIES['registry.node.delete'], entry);
      unindexNode(id);
      nodes.delete(id);
      return `node/${id}`;
    },
    'settings.put': (entry) => {
      settings = record('settings', bodyOf(BODIES['settings.put'], entry).settings, entry);
      return 'settings';
    },
  };

  return {
    reducer: {
      kinds: Object.keys(BODIES) as RegistryKind[],
      apply: (entry) => (isRegistryKind(entry.kind) ? [apply[entry.kind](entry)] : []),
    },
    view: {
      service: (name) => services.get(name),
      services: () => byName(services),
      grant: (service, id) => grants.get(service)?.get(id),
      grantsOf: (service) => byName(grants.get(service)),
      isGranted(service, spiffe, operation) {
        for (const { operations } of grantsBySubject.get(service)?.get(spiffe)?.values() ?? []) {
          if (operations.includes(ANY_OPERATION) || operations.includes(operation)) return true;
        }
        return false;
      },
      node: (id) => nodes.get(id),
      nodes: () => byName(nodes),
      nodesOfService: (name) => [...(nodesByService.get(name) ?? [])].sort(),
      settings: () => settings,
    },
  };
}

function isRegistryKind(kind: EntryKind): kind is RegistryKind {
  return Object.hasOwn(BODIES, kind);
}

/** A body that is not of its schema was written by another program: skipping it would serve another world. */
function bodyOf<S extends TSchema>(schema: S, entry: FoldedEntry): Static<S> {
  if (Value.Check(schema, entry.body)) return entry.body;
  throw new Failure('journal_too_new', `entry ${entry.seq} (${entry.kind}) has a body of unknown form`);
}

function record<T>(name: string, value: T, { digest, seq, at }: FoldedEntry): Recorded<T> {
  return { name, value, digest, seq, at };
}

function byName<T>(records: ReadonlyMap<string, Recorded<T>> | undefined): readonly Recorded<T>[] {
  return [...(records?.values() ?? [])].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
