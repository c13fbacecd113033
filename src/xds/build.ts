/** State and node in, resources out: pure, deterministic, as canonical protobuf JSON. */
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { isEnvoyNode, type Node, type Service } from '../registry/model.ts';
import type { Recorded, RegistryView } from '../registry/state.ts';
import { type Authz, authzResources } from './authz-cluster.ts';
import { serviceCluster, serviceEndpoints } from './cluster.ts';
import { nodeListener } from './listener.ts';
import { proxylessResources } from './proxyless.ts';
import type { NodeResources } from './resource-types.ts';
import { type RoutedService, routeTable } from './route-table.ts';
import { listenerSecrets } from './secrets.ts';

export interface BuildOptions {
  readonly authz: Authz;
}

export type BuildResources = (view: RegistryView, node: Node, options: BuildOptions) => NodeResources;

export const buildResources: BuildResources = (view, node, options) => {
  const routed = routedServices(view, node);
  if (node.kind === 'proxyless') return proxylessResources(routed);
  if (!isEnvoyNode(node)) throw new Failure('snapshot_inconsistent', 'the node has no listener');
  const authz = authzResources(options.authz);
  return {
    cluster: [authz.cluster, ...routed.map(({ service }) => shared(service).cluster)],
    secrets: [...authz.secrets, ...listenerSecrets(node)],
    endpoints: [authz.endpoints, ...routed.map(({ service }) => shared(service).endpoints)],
    listener: [nodeListener(node, options.authz.timeoutMs)],
    routes: [routeTable(routed)],
  };
};

/** In order of name, so that the order in which a node lists its services changes nothing. */
function routedServices(view: RegistryView, node: Node): readonly RoutedService[] {
  return [...node.services].sort().flatMap((name) => {
    const service = view.service(name);
    return service === undefined ? [] : [{ service, grants: view.grantsOf(name) }];
  });
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
