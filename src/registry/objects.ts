/** The kinds of objects of the registry, and what each of them refers to. */
import type { TSchema } from 'typebox';
import type { Digest } from '../core/digest.ts';
import {
  type Grant,
  grantSchema,
  type Node,
  type NodeGroup,
  nodeGroupSchema,
  nodeSchema,
  type Service,
  type Settings,
  serviceSchema,
  settingsSchema,
} from './model.ts';
import {
  type App,
  appSchema,
  type Group,
  groupSchema,
  type Member,
  memberInSpiffe,
  memberOfApp,
  memberSchema,
} from './parties.ts';

export interface Objects {
  readonly member: Member;
  readonly app: App;
  readonly group: Group;
  readonly service: Service;
  /** its name is `<service>/<id>` */
  readonly grant: Grant;
  readonly node: Node;
  readonly 'node-group': NodeGroup;
  /** its name is `settings` */
  readonly settings: Settings;
}
export type ObjectKind = keyof Objects;

export const SCHEMAS = {
  member: memberSchema,
  app: appSchema,
  group: groupSchema,
  service: serviceSchema,
  grant: grantSchema,
  node: nodeSchema,
  'node-group': nodeGroupSchema,
  settings: settingsSchema,
} as const satisfies Record<ObjectKind, TSchema>;

export const OBJECT_KINDS = Object.keys(SCHEMAS) as readonly ObjectKind[];

/** An object that is put, or deleted. */
export type RegistryChange = {
  [K in ObjectKind]: {
    readonly kind: K;
    readonly name: string;
    /** undefined: it is deleted */
    readonly value: Objects[K] | undefined;
  };
}[ObjectKind];

/**
 * An object as it stands, and the entry that made it so. Replaced as a whole, never changed. A type, since an
 * interface is no JsonObject.
 */
export type Recorded<T> = {
  /** name of a service; id of a grant or node; `settings` */
  readonly name: string;
  readonly value: T;
  /** of the entry; serves as ETag */
  readonly digest: Digest;
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
};

/** `service/orders`, `grant/orders/web`; also what a journal's listener is told. */
export type ObjectKey = string;

export function keyOf(kind: ObjectKind, name: string): ObjectKey {
  return kind === 'settings' ? kind : `${kind}/${name}`;
}

/** `grant/orders/web` → `['grant', 'orders/web']` */
export function splitKey(key: ObjectKey): readonly [kind: string, name: string] {
  const at = key.indexOf('/');
  return at === -1 ? [key, key] : [key.slice(0, at), key.slice(at + 1)];
}

/** `orders/web` → `['orders', 'web']` */
export function splitGrantName(name: string): readonly [service: string, id: string] {
  const at = name.indexOf('/');
  return [name.slice(0, at), name.slice(at + 1)];
}

type Subject = Grant['subject'];

/** `app/…`, `group/…` or `spiffe/…` */
export function subjectKey(subject: Subject): string {
  if ('app' in subject) return `app/${subject.app}`;
  return 'group' in subject ? `group/${subject.group}` : `spiffe/${subject.spiffe}`;
}

/** Grants of one service to one subject, so that asking for them costs nothing however many others there are. */
export function grantPlace(service: string, subject: string): string {
  return `granted/${service} ${subject}`;
}

/** Grants that name a workload of a member by a SPIFFE ID. */
export function namedMemberPlace(member: string): string {
  return `named-member/${member}`;
}

/** What the reverse index finds an object by. */
export function referencesOf({ kind, name, value }: RegistryChange): readonly string[] {
  if (value === undefined) return [];
  switch (kind) {
    case 'member':
    case 'settings':
      return [];
    case 'app':
      return [`member/${memberOfApp(name)}`];
    case 'group':
      return [
        ...value.members.map((each) => ('app' in each ? `app/${each.app}` : `group/${each.group}`)),
        ...ownerKeys(value),
      ];
    case 'service':
      return ownerKeys(value);
    case 'grant': {
      const [service] = splitGrantName(name);
      const subject = subjectKey(value.subject);
      const member = 'spiffe' in value.subject ? memberInSpiffe(value.subject.spiffe) : undefined;
      return [
        `service/${service}`,
        subject,
        grantPlace(service, subject),
        ...(member === undefined ? [] : [namedMemberPlace(member)]),
      ];
    }
    case 'node':
      return value.services.map((service) => `service/${service}`);
    case 'node-group':
      return [
        ...value.nodes.map((node) => `node/${node}`),
        ...value.services.map((service) => `service/${service}`),
      ];
    default:
      return kind satisfies never;
  }
}

function ownerKeys({ owner }: { readonly owner?: string | undefined }): readonly string[] {
  return owner === undefined ? [] : [`app/${owner}`];
}
