/** What a node must be beyond its schema, and how services of one node get in each other's way. */
import type { FailureIssue } from '../core/failure.ts';
import type { Node, Service } from './model.ts';
import { isPlainIp } from './service-rules.ts';

export function nodeIssues(
  node: Node,
  serviceOf: (name: string) => Service | undefined,
): readonly FailureIssue[] {
  const issues: FailureIssue[] = [];
  issues.push(...listenerIssues(node));
  const owners = new Map<string, string>();
  for (const [index, name] of node.services.entries()) {
    const pointer = `/services/${index}`;
    const service = serviceOf(name);
    if (service === undefined) issues.push({ pointer, message: `there is no service "${name}"` });
    for (const place of service === undefined ? [] : placesOf(service)) {
      const owner = owners.get(place);
      if (owner !== undefined) {
        issues.push({ pointer, message: `"${name}" and "${owner}" are both at ${place}` });
      } else {
        owners.set(place, name);
      }
    }
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

/** Two services of a node at one host and prefix: which of them answers would be chance. */
export function overlapIssues(
  service: Service,
  otherName: string,
  other: Service,
  nodeId: string,
): readonly FailureIssue[] {
  const taken = new Set(placesOf(other));
  return placesOf(service)
    .filter((place) => taken.has(place))
    .map((place) => ({
      pointer: '/prefix',
      message: `service "${otherName}" is at ${place} on node "${nodeId}" already`,
    }));
}

function placesOf({ hosts, prefix }: Service): readonly string[] {
  return hosts.map((host) => `host "${host}", prefix "${prefix}"`);
}
