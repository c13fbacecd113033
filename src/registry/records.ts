/**
 * What the registry holds, with the reverse index that tells who refers to what, and so whom a change concerns.
 *
 * The maps of objects stand in order of the entries that made their objects so: what is put again moves to the end.
 * So a checkpoint has one order, without sorting.
 */
import type { Position } from '../core/position.ts';
import type { ChangedKey } from '../journal/fold.ts';
import {
  keyOf,
  OBJECT_KINDS,
  type ObjectKey,
  type ObjectKind,
  type Objects,
  type Recorded,
  type RegistryChange,
  referencesOf,
} from './objects.ts';

export type Place = Pick<Position, 'epoch' | 'seq'>;

/** What a view is made of: the state as it stands, or as it would be after some changes. */
export interface RegistrySource {
  get<K extends ObjectKind>(kind: K, name: string): Recorded<Objects[K]> | undefined;
  /** in any order; with their names, which for grants are not those of the records */
  entries<K extends ObjectKind>(kind: K): Iterable<readonly [string, Recorded<Objects[K]>]>;
  /** keys of the objects that refer to it; `reference` as in `referencesOf` */
  referents(reference: string): Iterable<ObjectKey>;
  /** of apps and groups: another number means that what was concluded from them may be wrong */
  partiesVersion(): number;
  /** the last entry that changed what a node, or a service, is told to be; of a service its grants and callers, too */
  lastChange(kind: 'node' | 'service', name: string): Place | undefined;
}

type Maps = { readonly [K in ObjectKind]: Map<string, Recorded<Objects[K]>> };

const PARTIES: ReadonlySet<ObjectKind> = new Set(['member', 'app', 'group']);

export class RegistryRecords implements RegistrySource {
  readonly #maps: Maps = {
    member: new Map(),
    app: new Map(),
    group: new Map(),
    service: new Map(),
    grant: new Map(),
    node: new Map(),
    'node-group': new Map(),
    settings: new Map(),
  };
  readonly #referents = new Map<string, Set<ObjectKey>>();
  readonly #changes = new Map<string, Place>();
  #partiesVersion: number;

  constructor(partiesVersion = 0) {
    this.#partiesVersion = partiesVersion;
  }

  get<K extends ObjectKind>(kind: K, name: string): Recorded<Objects[K]> | undefined {
    return this.#maps[kind].get(name);
  }

  entries<K extends ObjectKind>(kind: K): Iterable<readonly [string, Recorded<Objects[K]>]> {
    return this.#maps[kind];
  }

  referents(reference: string): Iterable<ObjectKey> {
    return this.#referents.get(reference) ?? [];
  }

  partiesVersion(): number {
    return this.#partiesVersion;
  }

  put<K extends ObjectKind>(kind: K, name: string, record: Recorded<Objects[K]>): void {
    this.#unindex(kind, name);
    const map = this.#maps[kind];
    map.delete(name);
    map.set(name, record);
    const key = keyOf(kind, name);
    for (const reference of referencesOf({ kind, name, value: record.value } as RegistryChange)) {
      const found = this.#referents.get(reference);
      if (found) found.add(key);
      else this.#referents.set(reference, new Set([key]));
    }
    if (PARTIES.has(kind)) this.#partiesVersion += 1;
  }

  delete(kind: ObjectKind, name: string): void {
    this.#unindex(kind, name);
    this.#maps[kind].delete(name);
    if (PARTIES.has(kind)) this.#partiesVersion += 1;
  }

  lastChange(kind: 'node' | 'service', name: string): Place | undefined {
    return this.#changes.get(keyOf(kind, name));
  }

  /** By key; in order of their places. */
  changes(): Iterable<readonly [string, Place]> {
    return this.#changes;
  }

  /** Of what is gone nothing is kept: no node has it. */
  noteChange(kind: 'node' | 'service', name: string, { epoch, seq }: Place): void {
    const key = keyOf(kind, name);
    this.#changes.delete(key);
    if (this.#maps[kind].has(name)) this.#changes.set(key, { epoch, seq });
  }

  keys(): readonly ChangedKey[] {
    return OBJECT_KINDS.flatMap((kind) => [...this.#maps[kind].keys()].map((name) => keyOf(kind, name)));
  }

  #unindex(kind: ObjectKind, name: string): void {
    const value = this.#maps[kind].get(name)?.value;
    if (value === undefined) return;
    const key = keyOf(kind, name);
    for (const reference of referencesOf({ kind, name, value } as RegistryChange)) {
      const found = this.#referents.get(reference);
      found?.delete(key);
      if (found?.size === 0) this.#referents.delete(reference);
    }
  }
}
