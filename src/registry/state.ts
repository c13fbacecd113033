/**
 * The registry as the journal tells it: who calls, services, grants, nodes and settings. `reducer` mutates, `view`
 * reads; a view is a window on the present, not a copy.
 */
import { isDeepStrictEqual } from 'node:util';
import type { FoldedEntry, Reducer } from '../journal/fold.ts';
import { changeOfEntry, isRegistryKind, REGISTRY_KINDS } from './bodies.ts';
import {
  keyOf,
  type ObjectKey,
  type Recorded,
  type RegistryChange,
  splitGrantName,
  splitKey,
} from './objects.ts';
import { servicesReached } from './reach.ts';
import { RegistryRecords, type RegistrySource } from './records.ts';
import { captureRegistry, REGISTRY_SECTION, restoreRegistry } from './section.ts';
import { createView, type RegistryView } from './view.ts';

export type { Recorded, RegistryView };

export interface Registry {
  readonly reducer: Reducer;
  readonly view: RegistryView;
}

/** @param instance  trust domain of the SPIFFE IDs of apps */
export function createRegistry(instance: () => string = () => ''): Registry {
  let records = new RegistryRecords();
  const source: RegistrySource = {
    get: (kind, name) => records.get(kind, name),
    entries: (kind) => records.entries(kind),
    referents: (reference) => records.referents(reference),
    partiesVersion: () => records.partiesVersion(),
    lastChange: (kind, name) => records.lastChange(kind, name),
  };
  const view = createView(source, instance);
  return {
    reducer: {
      kinds: REGISTRY_KINDS,
      apply(entry) {
        if (!isRegistryKind(entry.kind)) return [];
        const change = changeOfEntry(entry.kind, entry);
        const isOfPlaces = changesPlacesAlone(change, records);
        const keys = applyChange(change, entry, records);
        if (!isOfPlaces) for (const key of keys) noteChange(key, entry, view, records);
        return keys;
      },
      section: {
        ...REGISTRY_SECTION,
        capture: () => captureRegistry(records),
        restore(captured) {
          const before = records;
          records = restoreRegistry(captured, before.partiesVersion() + 1);
          return new Set([...before.keys(), ...records.keys()]);
        },
      },
    },
    view,
  };
}

/** A node is changed too when a group takes it in or leaves it out: afterwards nothing tells that it was in there. */
function applyChange(
  change: RegistryChange,
  { digest, seq, at }: FoldedEntry,
  records: RegistryRecords,
): readonly ObjectKey[] {
  const { kind, name, value } = change;
  const nodes = kind === 'node-group' ? [...(records.get(kind, name)?.value.nodes ?? [])] : [];
  if (value === undefined) records.delete(kind, name);
  else {
    const id = kind === 'grant' ? splitGrantName(name)[1] : name;
    records.put(kind, name, { name: id, value, digest, seq, at });
  }
  if (kind === 'node-group') nodes.push(...(value?.nodes ?? []));
  return [keyOf(kind, name), ...new Set(nodes.map((node) => keyOf('node', node)))];
}

/** Whom a group of nodes concerns is named beside it. */
function noteChange(key: ObjectKey, place: FoldedEntry, view: RegistryView, records: RegistryRecords): void {
  const [kind, name] = splitKey(key);
  if (kind === 'node') records.noteChange(kind, name, place);
  else for (const service of servicesReached(view, key)) records.noteChange('service', service, place);
}

/** Endpoints are no part of the rules, whose place this is: with it in the routes, each move of one would push them all. */
function changesPlacesAlone({ kind, name, value }: RegistryChange, records: RegistryRecords): boolean {
  const before = kind === 'service' ? records.get(kind, name)?.value : undefined;
  if (kind !== 'service' || before === undefined || value === undefined) return false;
  return isDeepStrictEqual({ ...before, endpoints: [] }, { ...value, endpoints: [] });
}
