/** The registry in a checkpoint: one record per object. */
import { type TObject, Type } from 'typebox';
import type { JsonObject } from '../core/json.ts';
import { expectRecord, placeMembers } from '../journal/section.ts';
import { nameSchema } from './model.ts';
import {
  OBJECT_KINDS,
  type ObjectKey,
  type ObjectKind,
  type Objects,
  type Recorded,
  SCHEMAS,
  splitGrantName,
  splitKey,
} from './objects.ts';
import { appNameSchema, memberNameSchema } from './parties.ts';
import { type Place, RegistryRecords } from './records.ts';

export const REGISTRY_SECTION = { name: 'registry', version: 2 } as const;

const NAMES = {
  member: memberNameSchema,
  app: appNameSchema,
  group: nameSchema,
  service: nameSchema,
  grant: nameSchema,
  node: nameSchema,
  'node-group': nameSchema,
  settings: Type.Literal('settings'),
} as const;

const CHANGE = 'change';
const typeOnly = Type.Object({ type: Type.Enum([...OBJECT_KINDS, CHANGE]) });
const changeForm = Type.Object({
  of: Type.Enum(['node', 'service']),
  name: nameSchema,
  epoch: Type.Integer({ minimum: 0 }),
  seq: Type.Integer({ minimum: 1 }),
});

const FORMS = Object.fromEntries(
  OBJECT_KINDS.map((kind) => [
    kind,
    Type.Object({
      ...(kind === 'grant' && { service: nameSchema }),
      record: Type.Object({ name: NAMES[kind], value: SCHEMAS[kind], ...placeMembers }),
    }),
  ]),
) as unknown as Readonly<Record<ObjectKind, TObject>>;

/** Objects of one kind together, each kind in order of seq; then what changed when, in this order, too. */
const ORDER = ['settings', 'member', 'app', 'group', 'service', 'node', 'node-group', 'grant'] as const;

/** References only: what is folded afterwards does not show in it. */
export function captureRegistry(records: RegistryRecords): Iterable<JsonObject> {
  const objects = ORDER.map((kind) => [kind, [...records.entries(kind)]] as const);
  return toRecords(objects, [...records.changes()]);
}

type Captured = readonly (readonly [string, Recorded<Objects[ObjectKind]>])[];

function* toRecords(
  kinds: readonly (readonly [ObjectKind, Captured])[],
  changes: readonly (readonly [string, Place])[],
): Generator<JsonObject> {
  for (const [type, entries] of kinds) {
    for (const [name, record] of entries) {
      if (type === 'grant') yield { type, service: splitGrantName(name)[0], record };
      else yield { type, record };
    }
  }
  for (const [key, place] of changes) {
    const [of, name] = splitKey(key as ObjectKey);
    yield { type: CHANGE, of, name, ...place };
  }
}

/** @throws Failure store_mismatch */
export function restoreRegistry(captured: readonly JsonObject[], partiesVersion: number): RegistryRecords {
  const records = new RegistryRecords(partiesVersion);
  for (const one of captured) restoreOne(one, records);
  return records;
}

function restoreOne<K extends ObjectKind>(captured: JsonObject, records: RegistryRecords): void {
  const { type } = expectRecord(typeOnly, captured, REGISTRY_SECTION.name);
  if (type === CHANGE) {
    const { of, name, ...place } = expectRecord(changeForm, captured, REGISTRY_SECTION.name);
    records.noteChange(of, name, place);
    return;
  }
  const kind = type as K;
  const { service, record } = expectRecord(FORMS[kind], captured, REGISTRY_SECTION.name) as unknown as {
    readonly service?: string;
    readonly record: Recorded<Objects[K]>;
  };
  records.put(kind, service === undefined ? record.name : `${service}/${record.name}`, record);
}
