/**
 * Whether going from one snapshot to another may take something away from a caller. Such a change never waits in a
 * staged roll-out: staying behind would keep open what was closed. In doubt it does.
 *
 * Only these changes of routes take nothing away: more subjects in a rule's exact map, routes of a service that had none,
 * and another answer of a route that has no upstream. Of other types, a listener or an extension that goes or changes
 * might (it may ask for certificates now); clusters and endpoints do not say who may call.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { ResourceSet, Snapshot } from './snapshot.ts';

export function takesAway({ types: before }: Snapshot, { types: after }: Snapshot): boolean {
  return (
    changesAny(before.listener, after.listener) ||
    changesAny(before.extensions, after.extensions) ||
    [...before.routes].some(([name, { version, source }]) => {
      const next = after.routes.get(name);
      if (next === undefined) return true;
      return next.version !== version && !onlyAdds(source, next.source);
    })
  );
}

function changesAny(before: ResourceSet, after: ResourceSet): boolean {
  return [...before].some(([name, { version }]) => after.get(name)?.version !== version);
}

function onlyAdds(before: JsonObject, after: JsonObject): boolean {
  const [hosts, nextHosts] = [objectsAt(before, 'virtualHosts'), objectsAt(after, 'virtualHosts')];
  const { virtualHosts: _before, ...rest } = before;
  const { virtualHosts: _after, ...nextRest } = after;
  if (!isSame(rest, nextRest)) return false;
  const nextByName = new Map(nextHosts.map((host) => [host['name'], host]));
  return (
    hosts.length === nextHosts.length &&
    hosts.every((host) => hostOnlyAdds(host, nextByName.get(host['name'] ?? '')))
  );
}

function hostOnlyAdds(before: JsonObject, after: JsonObject | undefined): boolean {
  if (after === undefined) return false;
  const { routes: _before, ...rest } = before;
  const { routes: _after, ...nextRest } = after;
  if (!isSame(rest, nextRest)) return false;
  const routes = objectsAt(before, 'routes');
  const known = new Set(routes.map(serviceOf));
  let at = 0;
  for (const next of objectsAt(after, 'routes')) {
    const route = routes[at];
    if (route !== undefined && route['name'] === next['name'] && ruleOnlyAdds(...withoutAnswers(route, next)))
      at += 1;
    else if (known.has(serviceOf(next))) return false;
  }
  return at === routes.length;
}

/** What a route without an upstream answers lets nobody pass. */
function withoutAnswers(before: JsonObject, after: JsonObject): [JsonObject, JsonObject] {
  if (!('directResponse' in before && 'directResponse' in after)) return [before, after];
  return [
    { ...before, directResponse: {} },
    { ...after, directResponse: {} },
  ];
}

/** Routes are named `service/operation`. */
function serviceOf(route: JsonObject): string {
  const { name } = route;
  return typeof name === 'string' ? (name.split('/', 1)[0] ?? '') : '';
}

/** The same but for keys that come to a `map`: subjects of an exact match map. */
function ruleOnlyAdds(before: Json, after: Json, key = ''): boolean {
  if (!isJsonObject(before) || !isJsonObject(after)) return isSame(before, after);
  const keys = Object.keys(before);
  const added = Object.entries(after).filter(([each]) => !(each in before));
  if (added.length > 0 && (key !== 'map' || JSON.stringify(added).includes('DENY'))) return false;
  return keys.every((each) => each in after && ruleOnlyAdds(before[each] ?? null, after[each] ?? null, each));
}

function isSame(a: Json, b: Json): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function objectsAt(value: JsonObject, key: string): readonly JsonObject[] {
  const list = value[key];
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}
