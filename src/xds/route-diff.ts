/** What a change of the registry means in proxies: which routes become others, and on which nodes. */
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { JsonObject } from '../core/json.ts';
import { keyOf, type RegistryChange } from '../registry/objects.ts';
import { nodesReached, servicesReached } from '../registry/reach.ts';
import type { RegistryView } from '../registry/view.ts';
import { routedService } from './build.ts';
import { serviceEndpoints } from './cluster.ts';
import { serviceRoutes } from './route-table.ts';
import { nameOf } from './snapshot.ts';

export interface RouteChange {
  /** `<service>/<operation>` */
  readonly route: string;
  readonly change: 'added' | 'changed' | 'removed';
}

export interface RouteDiff {
  readonly routes: readonly RouteChange[];
  /** nodes that have to run something else */
  readonly nodes: readonly string[];
}

export function diffRoutes(
  before: RegistryView,
  after: RegistryView,
  changes: readonly RegistryChange[],
  asOfMs: number,
): RouteDiff {
  const keys = changes.map(({ kind, name }) => keyOf(kind, name));
  const services = new Set(
    keys.flatMap((key) => [...servicesReached(before, key), ...servicesReached(after, key)]),
  );
  const nodes = new Set(
    changes
      .filter(({ kind }) => kind === 'node' || kind === 'node-group')
      .flatMap(({ kind, name }) => {
        const key = keyOf(kind, name);
        return [...nodesReached(before, key), ...nodesReached(after, key)];
      }),
  );
  const routes: RouteChange[] = [];
  for (const service of [...services].sort()) {
    const [old, now] = [before, after].map((view) => compiled(view, service, asOfMs));
    const found = differences(old ?? NOTHING, now ?? NOTHING);
    if (found.length === 0) continue;
    routes.push(...found.filter(({ route }) => route !== ENDPOINTS));
    for (const view of [before, after]) for (const node of view.nodesOfService(service)) nodes.add(node);
  }
  return { routes, nodes: [...nodes].sort() };
}

type Compiled = ReadonlyMap<string, string>;

const NOTHING: Compiled = new Map();
/** no route has this name */
const ENDPOINTS = '';

/** Name of each route → what it is; where its prefix and its place among others come from included. */
function compiled(view: RegistryView, service: string, asOfMs: number): Compiled {
  const [routed] = routedService(view, service, asOfMs);
  if (routed === undefined) return NOTHING;
  const { value } = routed.service;
  const place: JsonObject = { hosts: value.hosts, endpoints: serviceEndpoints(service, value) };
  return new Map([
    ...serviceRoutes(routed).map((route) => [nameOf(route), toCanonicalJson(route)] as const),
    [ENDPOINTS, toCanonicalJson(place)],
  ]);
}

function differences(before: Compiled, after: Compiled): readonly RouteChange[] {
  const removed = [...before.keys()].filter((route) => !after.has(route));
  const others = [...after].flatMap(([route, text]): readonly RouteChange[] => {
    const old = before.get(route);
    if (old === text) return [];
    return [{ route, change: old === undefined ? 'added' : 'changed' }];
  });
  return [...others, ...removed.map((route): RouteChange => ({ route, change: 'removed' }))];
}
