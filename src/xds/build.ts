/** State and node in, resources out: pure, deterministic, as canonical protobuf JSON. */
import type { JsonObject } from '../core/json.ts';
import type { Node, Service } from '../registry/model.ts';
import type { Recorded, RegistryView } from '../registry/state.ts';
import { type Authz, authzResources } from './authz-cluster.ts';
import { serviceCluster, serviceEndpoints } from './cluster.ts';
import { nodeListener } from './listener.ts';
import type { Place } from './node-status.ts';
import { probeHost } from './probe-route.ts';
import type { ResourceType } from './resource-types.ts';
import { type RoutedService, routeTable } from './route-table.ts';
import { listenerSecrets } from './secrets.ts';

export interface BuildOptions {
  readonly authz: Authz;
  /** the longest life of a stream; left out: as long as it likes */
  readonly maxStreamSeconds?: number;
  /** of the last change that concerns the node: what its probe answers; left out: it has none */
  readonly position?: Place;
}

/** Each resource carries `@type`. */
export type NodeResources = Readonly<Record<ResourceType, readonly JsonObject[]>>;

export type BuildResources = (view: RegistryView, node: Node, options: BuildOptions) => NodeResources;

export const buildResources: BuildResources = (view, node, options) => {
  const routed = routedServices(view, node);
  const { position } = options;
  const authz = authzResources(options.authz);
  return {
    cluster: [authz.cluster, ...routed.map(({ service }) => shared(service).cluster)],
    secrets: [...authz.secrets, ...listenerSecrets(node)],
    endpoints: [authz.endpoints, ...routed.map(({ service }) => shared(service).endpoints)],
    listener: [nodeListener(node, options.authz.timeoutMs, options.maxStreamSeconds)],
    routes: [routeTable(routed, position && [probeHost(position, node.listener.address)])],
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
