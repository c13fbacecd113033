/** What a node and a group of nodes must be beyond their schemas, and how services of one node get in each other's way. */
import type { FailureIssue } from '../core/failure.ts';
import type { Node, NodeGroup, Service } from './model.ts';
import { isPlainIp } from './service-rules.ts';
import type { RegistryView } from './view.ts';

/** @param after  the registry with this node in it */
export function nodeIssues(after: RegistryView, id: string, node: Node): readonly FailureIssue[] {
  const issues: FailureIssue[] = [];
  issues.push(...listenerIssues(node));
  const own = new Set(node.services);
  const owners = new Map<string, string>();
  for (const name of after.servicesOfNode(id)) {
    if (!own.has(name)) takePlaces(owners, name, after.service(name)?.value);
  }
  for (const [index, name] of node.services.entries()) {
    const pointer = `/services/${index}`;
    const service = after.service(name)?.value;
    if (service === undefined) issues.push({ pointer, message: `there is no service "${name}"` });
    for (const message of takePlaces(owners, name, service)) issues.push({ pointer, message });
  }
  return issues;
}

function listenerIssues({ kind, listener }: Node): readonly FailureIssue[] {
  const pointer = '/listener';
  if (kind === 'proxyless') {
    return listener === undefined ? [] : [{ pointer, message: 'a proxyless node has none' }];
  }
  if (listener === undefined) return [{ pointer, message: 'is missing' }];
  if (isPlainIp(listener.address)) return [];
  return [{ pointer: `${pointer}/address`, message: 'must be an IP address' }];
}

/** @param after  the registry with this group in it */
export function nodeGroupIssues(after: RegistryView, group: NodeGroup): readonly FailureIssue[] {
  const issues: FailureIssue[] = [];
  for (const [index, name] of group.services.entries()) {
    if (after.service(name) === undefined) {
      issues.push({ pointer: `/services/${index}`, message: `there is no service "${name}"` });
    }
  }
  /** nodes with the same services collide in the same places */
  const known = new Map<string, readonly string[]>();
  for (const [index, id] of group.nodes.entries()) {
    const pointer = `/nodes/${index}`;
    if (after.node(id) === undefined) issues.push({ pointer, message: `there is no node "${id}"` });
    const services = after.servicesOfNode(id);
    const set = services.join(' ');
    const collisions = known.get(set) ?? collisionsOf(after, services);
    known.set(set, collisions);
    for (const message of collisions) issues.push({ pointer, message: `node "${id}": ${message}` });
  }
  return issues;
}

/** A changed service may not collide with another one of a node that has it. */
export function serviceOverlapIssues(
  after: RegistryView,
  name: string,
  service: Service,
): readonly FailureIssue[] {
  const taken = new Set(placesOf(service));
  return after.nodesOfService(name).flatMap((id) =>
    after.servicesOfNode(id).flatMap((other) => {
      const otherService = other === name ? undefined : after.service(other)?.value;
      const places = otherService === undefined ? [] : placesOf(otherService);
      return places
        .filter((place) => taken.has(place))
        .map((place) => ({
          pointer: '/prefix',
          message: `service "${other}" is at ${place} on node "${id}" already`,
        }));
    }),
  );
}

function collisionsOf(view: RegistryView, services: readonly string[]): readonly string[] {
  const owners = new Map<string, string>();
  return services.flatMap((name) => takePlaces(owners, name, view.service(name)?.value));
}

/** Two services of a node at one host and prefix: which of them answers would be chance. */
function takePlaces(
  owners: Map<string, string>,
  name: string,
  service: Service | undefined,
): readonly string[] {
  return (service === undefined ? [] : placesOf(service)).flatMap((place) => {
    const owner = owners.get(place);
    if (owner !== undefined) return [`"${name}" and "${owner}" are both at ${place}`];
    owners.set(place, name);
    return [];
  });
}

function placesOf({ hosts, prefix }: Service): readonly string[] {
  return hosts.map((host) => `host "${host}", prefix "${prefix}"`);
}
