/** How far a change reaches: from an object over those that name it to services, and from there to nodes. */
import { namedMemberPlace, type ObjectKey, splitGrantName, splitKey } from './objects.ts';
import type { RegistryView } from './view.ts';

/** Services whose routes may have become others by a change of the object. */
export function servicesReached(view: RegistryView, key: ObjectKey): readonly string[] {
  const services = new Set<string>();
  const seen = new Set<ObjectKey>();
  const visit = (each: ObjectKey): void => {
    if (seen.has(each)) return;
    seen.add(each);
    const [kind, name] = splitKey(each);
    if (kind === 'service') services.add(name);
    else if (kind === 'grant') services.add(splitGrantName(name)[0]);
    else if (kind === 'member' || kind === 'app' || kind === 'group') {
      for (const referent of view.referents(each)) visit(referent);
    }
    // a SPIFFE ID names an app, or one of a member, without being a reference
    if (kind === 'app') for (const grant of view.referents(`spiffe/${view.spiffeOf(name)}`)) visit(grant);
    if (kind === 'member') for (const grant of view.referents(namedMemberPlace(name))) visit(grant);
  };
  visit(key);
  return [...services].sort();
}

/** Nodes that may have to run something else after a change of the object. */
export function nodesReached(view: RegistryView, key: ObjectKey): readonly string[] {
  const [kind, name] = splitKey(key);
  if (kind === 'node') return [name];
  if (kind === 'node-group') return view.nodeGroup(name)?.value.nodes ?? [];
  const nodes = servicesReached(view, key).flatMap((service) => view.nodesOfService(service));
  return [...new Set(nodes)].sort();
}
