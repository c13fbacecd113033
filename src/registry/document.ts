/** The whole registry as one declarative document. What it does not describe is deleted when it is applied. */
import type { Grant, Node, NodeGroup, Service, Settings } from './model.ts';
import { keyOf, type ObjectKind, type RegistryChange, splitGrantName } from './objects.ts';
import type { App, Group, Member } from './parties.ts';
import type { RegistryView } from './view.ts';

type Named<T> = Readonly<Record<string, T>>;

export interface RegistryDocument {
  readonly settings?: Settings;
  readonly members?: Named<Member>;
  readonly apps?: Named<App>;
  readonly groups?: Named<Group>;
  readonly services?: Named<Service>;
  /** by service and id */
  readonly grants?: Named<Named<Grant>>;
  readonly nodes?: Named<Node>;
  readonly nodeGroups?: Named<NodeGroup>;
}

/** A change, and where in the document it comes from; of what is not described, where it would be. */
export interface DescribedChange {
  readonly change: RegistryChange;
  readonly path: readonly string[];
}

const MEMBERS = {
  member: 'members',
  app: 'apps',
  group: 'groups',
  service: 'services',
  grant: 'grants',
  node: 'nodes',
  'node-group': 'nodeGroups',
  settings: 'settings',
} as const satisfies Record<ObjectKind, keyof RegistryDocument>;

/** Without what is empty, so that it reads as it would be written. */
export function toDocument(view: RegistryView): RegistryDocument {
  const settings = view.settings()?.value;
  const grants: Record<string, Record<string, Grant>> = {};
  for (const [name, { value }] of view.objects('grant')) {
    const [service, id] = splitGrantName(name);
    const ofService = grants[service] ?? {};
    grants[service] = ofService;
    ofService[id] = value;
  }
  const all = {
    ...(settings !== undefined && { settings }),
    members: named(view, 'member'),
    apps: named(view, 'app'),
    groups: named(view, 'group'),
    services: named(view, 'service'),
    grants,
    nodes: named(view, 'node'),
    nodeGroups: named(view, 'node-group'),
  };
  return Object.fromEntries(Object.entries(all).filter(([, part]) => Object.keys(part).length > 0));
}

/** Everything that is described, and the deletion of everything else. */
export function changesTo(document: RegistryDocument, view: RegistryView): readonly DescribedChange[] {
  const { settings = {}, members, apps, groups, services, grants, nodes, nodeGroups } = document;
  const flat = Object.entries(grants ?? {}).flatMap(([service, ofService]) =>
    Object.entries(ofService).map(([id, grant]) => [`${service}/${id}`, grant] as const),
  );
  const puts: readonly RegistryChange[] = [
    ...entries(members).map(([name, value]): RegistryChange => ({ kind: 'member', name, value })),
    ...entries(apps).map(([name, value]): RegistryChange => ({ kind: 'app', name, value })),
    ...entries(groups).map(([name, value]): RegistryChange => ({ kind: 'group', name, value })),
    ...entries(services).map(([name, value]): RegistryChange => ({ kind: 'service', name, value })),
    ...flat.map(([name, value]): RegistryChange => ({ kind: 'grant', name, value })),
    ...entries(nodes).map(([name, value]): RegistryChange => ({ kind: 'node', name, value })),
    ...entries(nodeGroups).map(([name, value]): RegistryChange => ({ kind: 'node-group', name, value })),
    ...(view.settings() === undefined && Object.keys(settings).length === 0
      ? []
      : [{ kind: 'settings', name: 'settings', value: settings } as const]),
  ];
  const described = new Set(puts.map(({ kind, name }) => keyOf(kind, name)));
  const deletions = KINDS.flatMap((kind) =>
    view
      .objects(kind)
      .filter(([name]) => !described.has(keyOf(kind, name)))
      .map(([name]): RegistryChange => ({ kind, name, value: undefined })),
  );
  return [...puts, ...deletions].map((change) => ({ change, path: pathOf(change) }));
}

const KINDS: readonly ObjectKind[] = ['grant', 'node-group', 'node', 'service', 'group', 'app', 'member'];

function pathOf({ kind, name }: RegistryChange): readonly string[] {
  if (kind === 'settings') return [kind];
  return [MEMBERS[kind], ...(kind === 'grant' ? splitGrantName(name) : [name])];
}

function named<K extends Exclude<ObjectKind, 'grant' | 'settings'>>(view: RegistryView, kind: K): object {
  return Object.fromEntries(view.objects(kind).map(([name, { value }]) => [name, value]));
}

function entries<T>(part: Named<T> | undefined): readonly (readonly [string, T])[] {
  return Object.entries(part ?? {});
}
