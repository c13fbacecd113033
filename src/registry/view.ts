/** What is asked of the registry: one way to ask the present, and the state as it would be after some changes. */
import { isLive } from './expiry.ts';
import {
  ANY_OPERATION,
  type Grant,
  type Node,
  type NodeGroup,
  type Service,
  type Settings,
} from './model.ts';
import {
  grantPlace,
  keyOf,
  type ObjectKey,
  type ObjectKind,
  type Objects,
  type Recorded,
  type RegistryChange,
  splitKey,
} from './objects.ts';
import { overlay } from './overlay.ts';
import { type App, appOfSpiffe, type Group, type Member, memberOfApp, spiffeOfApp } from './parties.ts';
import type { Place, RegistrySource } from './records.ts';

export type ServiceStatus =
  | { readonly state: 'enabled' }
  | { readonly state: 'disabled'; readonly notice: string }
  /** its owner is not registered */
  | { readonly state: 'closed'; readonly why: string };

/** Lists are ordered by name. */
export interface RegistryView {
  /** trust domain of the SPIFFE IDs of apps */
  instance(): string;
  object<K extends ObjectKind>(kind: K, name: string): Recorded<Objects[K]> | undefined;
  /** with their names, which for grants are `<service>/<id>` */
  objects<K extends ObjectKind>(kind: K): readonly (readonly [string, Recorded<Objects[K]>])[];
  /** the same registry as it would be after these changes */
  after(changes: readonly RegistryChange[]): RegistryView;
  /** keys of the objects that name this one */
  referents(key: ObjectKey): readonly ObjectKey[];

  member(name: string): Recorded<Member> | undefined;
  members(): readonly Recorded<Member>[];
  app(name: string): Recorded<App> | undefined;
  apps(): readonly Recorded<App>[];
  spiffeOf(app: string): string;
  /** whether it is a registered app of a registered member */
  isInEffect(app: string): boolean;
  /** whether it is the ID of an app, or of a member, that is known and not registered */
  isBarred(spiffe: string): boolean;
  group(name: string): Recorded<Group> | undefined;
  groups(): readonly Recorded<Group>[];
  /** the apps of a group and of its groups, in effect or not */
  appsOf(group: string): ReadonlySet<string>;
  /** groups that have this app, directly or not */
  groupsOf(app: string): readonly string[];

  service(name: string): Recorded<Service> | undefined;
  services(): readonly Recorded<Service>[];
  serviceStatus(name: string): ServiceStatus;
  grant(service: string, id: string): Recorded<Grant> | undefined;
  grantsOf(service: string): readonly Recorded<Grant>[];
  /** whether grants let this SPIFFE ID do this operation; `*` asks for all of them */
  isGranted(service: string, spiffe: string, operation: string, atMs: number): boolean;

  node(id: string): Recorded<Node> | undefined;
  nodes(): readonly Recorded<Node>[];
  nodeGroup(name: string): Recorded<NodeGroup> | undefined;
  nodeGroups(): readonly Recorded<NodeGroup>[];
  /** ids of the nodes that have the service, by themselves or by their groups */
  nodesOfService(name: string): readonly string[];
  /** what a node has, by itself or by its groups */
  servicesOfNode(id: string): readonly string[];
  /**
   * The last entry that changed the node, a service of it beyond its endpoints, or who may call such a service: the same on
   * every process, and after a restart. An end of a grant by time is no entry. undefined: not registered
   */
  lastChangeOf(nodeId: string): Place | undefined;
  /** undefined: never put */
  settings(): Recorded<Settings> | undefined;
}

export function createView(source: RegistrySource, instance: () => string): RegistryView {
  const cached = partiesCache(source);
  const byName = <K extends ObjectKind>(kind: K): readonly Recorded<Objects[K]>[] =>
    view.objects(kind).map(([, record]) => record);
  const referentNames = (key: string, kind: ObjectKind): readonly string[] =>
    [...source.referents(key)].flatMap((each) => {
      const [found, name] = splitKey(each);
      return found === kind ? [name] : [];
    });
  const grants = (reference: string): readonly Recorded<Grant>[] =>
    referentNames(reference, 'grant').flatMap((name) => source.get('grant', name) ?? []);

  const view: RegistryView = {
    instance,
    object: (kind, name) => source.get(kind, name),
    objects: (kind) => [...source.entries(kind)].sort(([a], [b]) => compareText(a, b)),
    after: (changes) => createView(overlay(source, changes), instance),
    referents: (key) => [...source.referents(key)].sort(compareText),

    member: (name) => source.get('member', name),
    members: () => byName('member'),
    app: (name) => source.get('app', name),
    apps: () => byName('app'),
    spiffeOf: (app) => spiffeOfApp(instance(), app),
    isInEffect: (app) =>
      source.get('app', app)?.value.state === 'registered' &&
      source.get('member', memberOfApp(app))?.value.state === 'registered',
    isBarred(spiffe) {
      const named = appOfSpiffe(instance(), spiffe);
      if (named === undefined) return false;
      if (source.get('app', named.app) !== undefined) return !view.isInEffect(named.app);
      const member = source.get('member', named.member);
      return member !== undefined && member.value.state !== 'registered';
    },
    group: (name) => source.get('group', name),
    groups: () => byName('group'),
    appsOf: (group) => cached.appsOf(group),
    groupsOf: (app) => cached.groupsOf(app),

    service: (name) => source.get('service', name),
    services: () => byName('service'),
    serviceStatus: (name) => statusOf(view, name),
    grant: (service, id) => source.get('grant', `${service}/${id}`),
    grantsOf: (service) => grants(keyOf('service', service)).toSorted((a, b) => compareText(a.name, b.name)),
    isGranted(service, spiffe, operation, atMs) {
      if (view.isBarred(spiffe)) return false;
      const app = appOfSpiffe(instance(), spiffe)?.app;
      const subjects = [`spiffe/${spiffe}`];
      if (app !== undefined && source.get('app', app) !== undefined) {
        subjects.push(`app/${app}`, ...view.groupsOf(app).map((group) => `group/${group}`));
      }
      const found = subjects.flatMap((subject) => grants(grantPlace(service, subject)));
      return isAllowed(found, operation, atMs);
    },

    node: (id) => source.get('node', id),
    nodes: () => byName('node'),
    nodeGroup: (name) => source.get('node-group', name),
    nodeGroups: () => byName('node-group'),
    nodesOfService(name) {
      const key = keyOf('service', name);
      const grouped = referentNames(key, 'node-group').flatMap(
        (group) => view.nodeGroup(group)?.value.nodes ?? [],
      );
      return [...new Set([...referentNames(key, 'node'), ...grouped])].sort();
    },
    servicesOfNode(id) {
      const own = view.node(id)?.value.services ?? [];
      const grouped = referentNames(keyOf('node', id), 'node-group').flatMap(
        (group) => view.nodeGroup(group)?.value.services ?? [],
      );
      return [...new Set([...own, ...grouped])].sort();
    },
    lastChangeOf(nodeId) {
      const places = view.servicesOfNode(nodeId).map((name) => source.lastChange('service', name));
      return [source.lastChange('node', nodeId), ...places].reduce((a, b) =>
        b !== undefined && (a === undefined || b.seq > a.seq) ? b : a,
      );
    },
    settings: () => source.get('settings', 'settings'),
  };
  return view;
}

/** Whether a grant speaks of an operation. Asked for all of them, a deny of one is enough. */
export function covers({ operations, effect }: Grant, operation: string): boolean {
  if (operations.includes(ANY_OPERATION) || operations.includes(operation)) return true;
  return effect === 'deny' && operation === ANY_OPERATION;
}

/** @param grants  all of one subject, on one service */
function isAllowed(grants: readonly Recorded<Grant>[], operation: string, atMs: number): boolean {
  let allowed = false;
  for (const { value } of grants) {
    if (!covers(value, operation) || !isLive(value, atMs)) continue;
    if (value.effect === 'deny') return false;
    allowed = true;
  }
  return allowed;
}

function statusOf(view: RegistryView, name: string): ServiceStatus {
  const service = view.service(name)?.value;
  if (service === undefined) return { state: 'closed', why: 'there is no such service' };
  const { owner } = service;
  const notices = service.state === 'disabled' ? [service.notice ?? ''] : [];
  if (owner !== undefined) {
    const parties = [
      ['its owner', view.app(owner)?.value],
      ['the member of its owner', view.member(memberOfApp(owner))?.value],
    ] as const;
    for (const [who, party] of parties) {
      if (party?.state === 'disabled') notices.push(party.notice ?? '');
      else if (party?.state !== 'registered')
        return { state: 'closed', why: `${who} is ${party?.state ?? 'gone'}` };
    }
  }
  const [notice] = notices;
  return notice === undefined ? { state: 'enabled' } : { state: 'disabled', notice };
}

/** What follows from groups, kept until an app or a group changes. A cycle, which no commit lets in, ends nowhere. */
function partiesCache(source: RegistrySource): Pick<RegistryView, 'appsOf' | 'groupsOf'> {
  let version = source.partiesVersion();
  const apps = new Map<string, ReadonlySet<string>>();
  const groups = new Map<string, readonly string[]>();
  const fresh = <T>(cache: Map<string, T>, name: string, find: () => T): T => {
    if (version !== source.partiesVersion()) {
      apps.clear();
      groups.clear();
      version = source.partiesVersion();
    }
    const known = cache.get(name);
    if (known !== undefined) return known;
    const found = find();
    cache.set(name, found);
    return found;
  };
  const collectApps = (group: string): ReadonlySet<string> => {
    const found = new Set<string>();
    const seen = new Set<string>();
    const visit = (name: string): void => {
      if (seen.has(name)) return;
      seen.add(name);
      for (const each of source.get('group', name)?.value.members ?? []) {
        if ('app' in each) found.add(each.app);
        else visit(each.group);
      }
    };
    visit(group);
    return new Set([...found].sort());
  };
  const collectGroups = (app: string): readonly string[] => {
    const seen = new Set<string>();
    const visit = (key: string): void => {
      for (const each of source.referents(key)) {
        const [kind, name] = splitKey(each);
        if (kind !== 'group' || seen.has(name)) continue;
        seen.add(name);
        visit(each);
      }
    };
    visit(keyOf('app', app));
    // its owner refers to it as well
    return [...seen].filter((name) => appsOf(name).has(app)).sort();
  };
  const appsOf = (group: string): ReadonlySet<string> => fresh(apps, group, () => collectApps(group));
  return { appsOf, groupsOf: (app) => fresh(groups, app, () => collectGroups(app)) };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
