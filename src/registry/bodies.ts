/** Bodies of the entries that the registry folds, schema 1, and the change that each of them says. */
import { type Static, type TSchema, Type } from 'typebox';
import { isOfForm } from '../core/compiled-check.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { FoldedEntry } from '../journal/fold.ts';
import type { Draft } from '../journal/journal.ts';
import type { EntryKind } from '../journal/kinds.ts';
import {
  grantSchema,
  nameSchema,
  nodeGroupSchema,
  nodeSchema,
  serviceSchema,
  settingsSchema,
} from './model.ts';
import { type RegistryChange, splitGrantName } from './objects.ts';
import { appNameSchema, appSchema, groupSchema, memberNameSchema, memberSchema } from './parties.ts';

export const BODIES = {
  'registry.member.put': Type.Object({ name: memberNameSchema, member: memberSchema }),
  'registry.member.delete': Type.Object({ name: memberNameSchema }),
  'registry.app.put': Type.Object({ name: appNameSchema, app: appSchema }),
  'registry.app.delete': Type.Object({ name: appNameSchema }),
  'registry.group.put': Type.Object({ name: nameSchema, group: groupSchema }),
  'registry.group.delete': Type.Object({ name: nameSchema }),
  'registry.service.put': Type.Object({ name: nameSchema, service: serviceSchema }),
  'registry.service.delete': Type.Object({ name: nameSchema }),
  'registry.grant.put': Type.Object({ service: nameSchema, id: nameSchema, grant: grantSchema }),
  'registry.grant.delete': Type.Object({ service: nameSchema, id: nameSchema }),
  'registry.node.put': Type.Object({ id: nameSchema, node: nodeSchema }),
  'registry.node.delete': Type.Object({ id: nameSchema }),
  'registry.node-group.put': Type.Object({ name: nameSchema, group: nodeGroupSchema }),
  'registry.node-group.delete': Type.Object({ name: nameSchema }),
  'settings.put': Type.Object({ settings: settingsSchema }),
} as const;

type RegistryKind = keyof typeof BODIES;

export const REGISTRY_KINDS = Object.keys(BODIES) as readonly RegistryKind[];

type FromBody<K extends RegistryKind> = (body: Static<(typeof BODIES)[K]>) => RegistryChange;

const CHANGES: { readonly [K in RegistryKind]: FromBody<K> } = {
  'registry.member.put': ({ name, member }) => ({ kind: 'member', name, value: member }),
  'registry.member.delete': ({ name }) => ({ kind: 'member', name, value: undefined }),
  'registry.app.put': ({ name, app }) => ({ kind: 'app', name, value: app }),
  'registry.app.delete': ({ name }) => ({ kind: 'app', name, value: undefined }),
  'registry.group.put': ({ name, group }) => ({ kind: 'group', name, value: group }),
  'registry.group.delete': ({ name }) => ({ kind: 'group', name, value: undefined }),
  'registry.service.put': ({ name, service }) => ({ kind: 'service', name, value: service }),
  'registry.service.delete': ({ name }) => ({ kind: 'service', name, value: undefined }),
  'registry.grant.put': ({ service, id, grant }) => ({
    kind: 'grant',
    name: `${service}/${id}`,
    value: grant,
  }),
  'registry.grant.delete': ({ service, id }) => ({
    kind: 'grant',
    name: `${service}/${id}`,
    value: undefined,
  }),
  'registry.node.put': ({ id, node }) => ({ kind: 'node', name: id, value: node }),
  'registry.node.delete': ({ id }) => ({ kind: 'node', name: id, value: undefined }),
  'registry.node-group.put': ({ name, group }) => ({ kind: 'node-group', name, value: group }),
  'registry.node-group.delete': ({ name }) => ({ kind: 'node-group', name, value: undefined }),
  'settings.put': ({ settings }) => ({ kind: 'settings', name: 'settings', value: settings }),
};

export function isRegistryKind(kind: EntryKind): kind is RegistryKind {
  return Object.hasOwn(BODIES, kind);
}

/**
 * A body that is not of its schema was written by another program: skipping it would serve another world.
 *
 * @throws Failure journal_too_new
 */
export function changeOfEntry<K extends RegistryKind>(kind: K, entry: FoldedEntry): RegistryChange {
  const schema: TSchema = BODIES[kind];
  if (isOfForm(schema, entry.body)) return CHANGES[kind](entry.body as Static<(typeof BODIES)[K]>);
  throw new Failure('journal_too_new', `entry ${entry.seq} (${kind}) has a body of unknown form`);
}

/** Settings are never deleted: without any they are `{}`. */
export function toDraft(change: RegistryChange): Draft {
  const { kind, name, value } = change;
  if (kind === 'settings') return draft('settings.put', { settings: value ?? {} });
  if (value === undefined) return draft(`registry.${kind}.delete`, nameMembers(change));
  const member = kind === 'node-group' ? 'group' : kind;
  return draft(`registry.${kind}.put`, { ...nameMembers({ kind, name }), [member]: value });
}

function nameMembers({ kind, name }: Pick<RegistryChange, 'kind' | 'name'>): JsonObject {
  if (kind === 'node') return { id: name };
  if (kind !== 'grant') return { name };
  const [service, id] = splitGrantName(name);
  return { service, id };
}

function draft(kind: EntryKind, body: object): Draft {
  return { kind, body: body as JsonObject };
}
