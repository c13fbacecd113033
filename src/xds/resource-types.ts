/** The resource types that we serve, in the order in which changes are pushed (xDS protocol, "Eventual consistency"). */
import type { JsonObject } from '../core/json.ts';

export const RESOURCE_TYPES = [
  'cluster',
  'secrets',
  'endpoints',
  'extensions',
  'runtime',
  'listener',
  'routes',
] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];
/** Filters that a listener names, and runtime layers: a node may have none. */
export type OptionalType = 'extensions' | 'runtime';

/** Each resource carries `@type`. */
export type NodeResources = Readonly<
  Record<Exclude<ResourceType, OptionalType>, readonly JsonObject[]> &
    Partial<Record<OptionalType, readonly JsonObject[]>>
>;

export const TYPE_URLS: Readonly<Record<ResourceType, string>> = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  secrets: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  extensions: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  runtime: 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  routes: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
};

/** One value of each type. */
export function ofEachType<T>(valueOf: (type: ResourceType) => T): Readonly<Record<ResourceType, T>> {
  return Object.fromEntries(RESOURCE_TYPES.map((type) => [type, valueOf(type)])) as Record<ResourceType, T>;
}

/** `@type` of a message inside an `Any`. */
export function typeUrl(messageName: string): string {
  return `type.googleapis.com/${messageName}`;
}

export function resourceTypeOf(url: string): ResourceType | undefined {
  return RESOURCE_TYPES.find((type) => TYPE_URLS[type] === url);
}
