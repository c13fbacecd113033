/** The registry in a checkpoint: one record per object. */
import { Type } from 'typebox';
import type { JsonObject } from '../core/json.ts';
import { expectRecord, placeMembers } from '../journal/section.ts';
import {
  type Grant,
  grantSchema,
  type Node,
  nameSchema,
  nodeSchema,
  type Service,
  serviceSchema,
  settingsSchema,
} from './model.ts';
import { type Recorded, RegistryRecords } from './records.ts';

export const REGISTRY_SECTION = { name: 'registry', version: 2 } as const;

const serviceRecord = Type.Object({ name: nameSchema, value: serviceSchema, ...placeMembers });
const grantRecord = Type.Object({ name: nameSchema, value: grantSchema, ...placeMembers });
const nodeRecord = Type.Object({ name: nameSchema, value: nodeSchema, ...placeMembers });
const settingsRecord = Type.Object({
  name: Type.Literal('settings'),
  value: settingsSchema,
  ...placeMembers,
});

const typeOnly = Type.Object({ type: Type.Enum(['service', 'grant', 'node', 'settings', 'change']) });
const anyService = Type.Object({ record: serviceRecord });
const anyGrant = Type.Object({ service: nameSchema, record: grantRecord });
const anyNode = Type.Object({ record: nodeRecord });
const anySettings = Type.Object({ record: settingsRecord });
const anyChange = Type.Object({
  of: Type.String(),
  epoch: Type.Integer({ minimum: 0 }),
  seq: Type.Integer({ minimum: 1 }),
});

/** Settings, services, nodes, then grants by service, then what changed when; each in order of seq. */
export function captureRegistry({
  settings,
  services,
  nodes,
  grants,
  changes,
}: RegistryRecords): Iterable<JsonObject> {
  const present = {
    settings,
    services: [...services.values()],
    nodes: [...nodes.values()],
    changes: [...changes],
  };
  // a map of maps has an order of its own that tells of grants which are gone
  const names = [...grants.keys()].sort();
  return toRecords({
    ...present,
    grants: names.map((name) => [name, [...(grants.get(name)?.values() ?? [])]]),
  });
}

interface Captured {
  readonly settings: RegistryRecords['settings'];
  readonly services: readonly Recorded<Service>[];
  readonly nodes: readonly Recorded<Node>[];
  readonly grants: readonly (readonly [string, readonly Recorded<Grant>[]])[];
  readonly changes: readonly (readonly [string, { readonly epoch: number; readonly seq: number }])[];
}

function* toRecords({ settings, services, nodes, grants, changes }: Captured): Generator<JsonObject> {
  if (settings !== undefined) yield { type: 'settings', record: settings };
  for (const record of services) yield { type: 'service', record };
  for (const record of nodes) yield { type: 'node', record };
  for (const [service, ofService] of grants) {
    for (const record of ofService) yield { type: 'grant', service, record };
  }
  for (const [of, place] of changes) yield { type: 'change', of, ...place };
}

/** @throws Failure store_mismatch */
export function restoreRegistry(captured: readonly JsonObject[]): RegistryRecords {
  const records = new RegistryRecords();
  for (const one of captured) restoreOne(one, records);
  return records;
}

function restoreOne(captured: JsonObject, records: RegistryRecords): void {
  const { name } = REGISTRY_SECTION;
  const { type: objectType } = expectRecord(typeOnly, captured, name);
  switch (objectType) {
    case 'service':
      records.putService(expectRecord(anyService, captured, name).record);
      return;
    case 'grant': {
      const { service, record } = expectRecord(anyGrant, captured, name);
      records.putGrant(service, record);
      return;
    }
    case 'node':
      records.putNode(expectRecord(anyNode, captured, name).record);
      return;
    case 'change': {
      const { of, epoch, seq } = expectRecord(anyChange, captured, name);
      records.changes.set(of, { epoch, seq });
      return;
    }
    case 'settings':
      records.settings = expectRecord(anySettings, captured, name).record;
      return;
    default:
      objectType satisfies never;
  }
}
