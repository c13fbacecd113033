/** State and node in, resources out: pure, deterministic, as canonical protobuf JSON. */
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { isEnvoyNode, type Node, type Service } from '../registry/model.ts';
import type { Recorded } from '../registry/objects.ts';
import { subjectsOf } from '../registry/subjects.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Authz, authzResources } from './authz-cluster.ts';
import { serviceCluster, serviceEndpoints } from './cluster.ts';
import { nodeListener } from './listener.ts';
import type { Place } from './node-status.ts';
import { probeHost } from './probe-route.ts';
import { proxylessResources } from './proxyless.ts';
import type { NodeResources } from './resource-types.ts';
import { type RoutedService, routeTable } from './route-table.ts';
import { listenerSecrets } from './secrets.ts';

export interface BuildOptions {
  readonly authz: Authz;
  /** the time that it is built for: what has ended by then is not in it */
  readonly asOfMs: number;
  /** the longest life of a stream; left out: as long as it likes */
  readonly maxStreamSeconds?: number;
  /** of the last change that concerns the node: what its probe answers; left out: it has none */
  readonly position?: Place;
}

export type BuildResources = (
  view: RegistryView,
  node: Recorded<Node>,
  options: BuildOptions,
) => NodeResources;

export const buildResources: BuildResources = (view, { name: id, value: node }, options) => {
  const routed = view.servicesOfNode(id).flatMap((name) => routedService(view, name, options.asOfMs));
  if (node.kind === 'proxyless')
    return proxylessResources(routed.filter(({ status }) => status.state === 'enabled'));
  if (!isEnvoyNode(node)) throw new Failure('snapshot_inconsistent', 'the node has no listener');
  // one that is disabled keeps its cluster: enabling it again is a change of routes alone
  const forwarded = routed.filter(({ status }) => status.state !== 'closed');
  const { position } = options;
  const authz = authzResources(options.authz);
  return {
    cluster: [authz.cluster, ...forwarded.map(({ service }) => shared(service).cluster)],
    secrets: [...authz.secrets, ...listenerSecrets(node)],
    endpoints: [authz.endpoints, ...forwarded.map(({ service }) => shared(service).endpoints)],
    listener: [nodeListener(node, options.authz.timeoutMs, options.maxStreamSeconds)],
    routes: [routeTable(routed, position && [probeHost(position, node.listener.address)])],
  };
};

/** @returns none where there is no such service */
export function routedService(view: RegistryView, name: string, asOfMs: number): readonly RoutedService[] {
  const service = view.service(name);
  if (service === undefined) return [];
  return [{ service, status: view.serviceStatus(name), subjects: subjectsOf(view, name, asOfMs) }];
}

interface SharedResources {
  readonly cluster: JsonObject;
  readonly endpoints: JsonObject;
}
const sharedResources = new WeakMap<Recorded<Service>, SharedResources>();

/** What all nodes of a service have in common is one object: it is encoded once, however many they are. */
function shared(service: Recorded<Service>): SharedResources {
  const known = sharedResources.get(service) ?? {
    cluster: serviceCluster(service.name),
    endpoints: serviceEndpoints(service.name, service.value),
  };
  sharedResources.set(service, known);
  return known;
}
