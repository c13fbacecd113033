/** The registry as it would be after some changes, without changing it: for checks, dry runs and differences. */
import { ZERO_DIGEST } from '../core/digest.ts';
import {
  keyOf,
  type ObjectKey,
  type ObjectKind,
  type Objects,
  type Recorded,
  type RegistryChange,
  referencesOf,
  splitGrantName,
} from './objects.ts';
import type { RegistrySource } from './records.ts';

/** Nothing of it is ever written down or shown. */
const PLACE = { digest: ZERO_DIGEST, seq: Number.MAX_SAFE_INTEGER, at: '' } as const;

export function overlay(base: RegistrySource, changes: readonly RegistryChange[]): RegistrySource {
  const changed = new Map<ObjectKey, Recorded<Objects[ObjectKind]> | undefined>();
  const added = new Map<string, ObjectKey[]>();
  for (const change of changes) {
    const { kind, name, value } = change;
    const key = keyOf(kind, name);
    const id = kind === 'grant' ? splitGrantName(name)[1] : name;
    changed.set(key, value && { name: id, value, ...PLACE });
    for (const reference of referencesOf(change)) {
      added.set(reference, [...(added.get(reference) ?? []), key]);
    }
  }
  const find = <K extends ObjectKind>(kind: K, name: string): Recorded<Objects[K]> | undefined =>
    changed.get(keyOf(kind, name)) as Recorded<Objects[K]> | undefined;
  return {
    get: (kind, name) => (changed.has(keyOf(kind, name)) ? find(kind, name) : base.get(kind, name)),
    *entries(kind) {
      for (const [name, record] of base.entries(kind)) {
        if (!changed.has(keyOf(kind, name))) yield [name, record];
      }
      for (const change of changes) {
        const record = change.kind === kind ? find(kind, change.name) : undefined;
        if (record !== undefined) yield [change.name, record];
      }
    },
    *referents(reference) {
      for (const key of base.referents(reference)) if (!changed.has(key)) yield key;
      yield* new Set(added.get(reference));
    },
    partiesVersion: () => base.partiesVersion(),
    lastChange: (kind, name) => base.lastChange(kind, name),
  };
}
