/** The resource types that we serve, in the order in which changes are pushed (xDS protocol, "Eventual consistency"). */
export const RESOURCE_TYPES = ['cluster', 'secrets', 'endpoints', 'listener', 'routes'] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];

export const TYPE_URLS: Readonly<Record<ResourceType, string>> = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  secrets: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  routes: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
};

/** `@type` of a message inside an `Any`. */
export function typeUrl(messageName: string): string {
  return `type.googleapis.com/${messageName}`;
}

export function resourceTypeOf(url: string): ResourceType | undefined {
  return RESOURCE_TYPES.find((type) => TYPE_URLS[type] === url);
}
