/**
 * The registry as the journal tells it: services, grants, nodes and settings. `reducer` mutates, `view` reads; a
 * view is a window on the present, not a copy.
 */
import type { Static, TSchema } from 'typebox';
import { isOfForm } from '../core/compiled-check.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import type { EntryKind } from '../journal/kinds.ts';
import { BODIES } from './bodies.ts';
import { ANY_OPERATION, type Grant, type Node, type Service, type Settings } from './model.ts';
import { type Recorded, RegistryRecords } from './records.ts';
import { captureRegistry, REGISTRY_SECTION, restoreRegistry } from './section.ts';

export type { Recorded };

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
  /**
   * The last entry that changed the node, a service of it or a grant of such a service: the same on every process, and
   * after a restart. undefined: not registered
   */
  lastChangeOf(nodeId: string): Pick<Position, 'epoch' | 'seq'> | undefined;
  /** undefined: never put */
  settings(): Recorded<Settings> | undefined;
}

export interface Registry {
  readonly reducer: Reducer;
  readonly view: RegistryView;
}

type RegistryKind = keyof typeof BODIES;

export function createRegistry(): Registry {
  let records = new RegistryRecords();
  return {
    reducer: {
      kinds: Object.keys(BODIES) as RegistryKind[],
      apply(entry) {
        if (!isRegistryKind(entry.kind)) return [];
        const key = APPLY[entry.kind](entry, records);
        records.noteChange(key, entry);
        return [key];
      },
      section: {
        ...REGISTRY_SECTION,
        capture: () => captureRegistry(records),
        restore(captured) {
          const before = records;
          records = restoreRegistry(captured);
          return new Set([...before.keys(), ...records.keys()]);
        },
      },
    },
    view: {
      service: (name) => records.services.get(name),
      services: () => byName(records.services),
      grant: (service, id) => records.grants.get(service)?.get(id),
      grantsOf: (service) => byName(records.grants.get(service)),
      isGranted(service, spiffe, operation) {
        for (const { operations } of records.grantsOfSubject(service, spiffe)) {
          if (operations.includes(ANY_OPERATION) || operations.includes(operation)) return true;
        }
        return false;
      },
      node: (id) => records.nodes.get(id),
      nodes: () => byName(records.nodes),
      nodesOfService: (name) => [...records.nodesOfService(name)].sort(),
      lastChangeOf: (nodeId) => records.lastChangeOf(nodeId),
      settings: () => records.settings,
    },
  };
}

type Apply = (entry: FoldedEntry, records: RegistryRecords) => ChangedKey;

const APPLY: { readonly [K in RegistryKind]: Apply } = {
  'registry.service.put': (entry, records) => {
    const { name, service } = bodyOf(BODIES['registry.service.put'], entry);
    records.putService(record(name, service, entry));
    return `service/${name}`;
  },
  'registry.service.delete': (entry, records) => {
    const { name } = bodyOf(BODIES['registry.service.delete'], entry);
    records.deleteService(name);
    return `service/${name}`;
  },
  'registry.grant.put': (entry, records) => {
    const { service, id, grant } = bodyOf(BODIES['registry.grant.put'], entry);
    records.putGrant(service, record(id, grant, entry));
    return `grant/${service}/${id}`;
  },
  'registry.grant.delete': (entry, records) => {
    const { service, id } = bodyOf(BODIES['registry.grant.delete'], entry);
    records.deleteGrant(service, id);
    return `grant/${service}/${id}`;
  },
  'registry.node.put': (entry, records) => {
    const { id, node } = bodyOf(BODIES['registry.node.put'], entry);
    records.putNode(record(id, node, entry));
    return `node/${id}`;
  },
  'registry.node.delete': (entry, records) => {
    const { id } = bodyOf(BODIES['registry.node.delete'], entry);
    records.deleteNode(id);
    return `node/${id}`;
  },
  'settings.put': (entry, records) => {
    records.settings = record('settings', bodyOf(BODIES['settings.put'], entry).settings, entry);
    return 'settings';
  },
};

function isRegistryKind(kind: EntryKind): kind is RegistryKind {
  return Object.hasOwn(BODIES, kind);
}

/** A body that is not of its schema was written by another program: skipping it would serve another world. */
function bodyOf<S extends TSchema>(schema: S, entry: FoldedEntry): Static<S> {
  if (isOfForm(schema, entry.body)) return entry.body;
  throw new Failure('journal_too_new', `entry ${entry.seq} (${entry.kind}) has a body of unknown form`);
}

function record<T>(name: string, value: T, { digest, seq, at }: FoldedEntry): Recorded<T> {
  return { name, value, digest, seq, at };
}

function byName<T>(records: ReadonlyMap<string, Recorded<T>> | undefined): readonly Recorded<T>[] {
  return [...(records?.values() ?? [])].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
