/**
 * What must hold between the resources of a snapshot before any of it is sent: each name once, each reference met,
 * each address bound once. Envoy would wait for ever, or answer 503, where it does not.
 */
import type { FailureIssue } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { type NodeResources, RESOURCE_TYPES } from './resource-types.ts';

export function consistencyIssues(resources: NodeResources): readonly FailureIssue[] {
  const clusters = new Set(resources.cluster.map((cluster) => textAt(cluster, 'name')));
  const edsNames = resources.cluster
    .filter((cluster) => cluster['type'] === 'EDS')
    .map((cluster) => textAt(cluster, 'edsClusterConfig', 'serviceName'));
  const problems = [
    ...RESOURCE_TYPES.flatMap((type) => duplicates(type, resources[type] ?? [])),
    ...difference('endpoints', edsNames, names(resources.endpoints, 'clusterName')),
    ...missingSecrets(resources),
    ...missingFilters(resources),
    ...difference('routes', routeNames(resources.listener), names(resources.routes, 'name')),
    ...routedClusters(resources.routes)
      .filter((name) => !clusters.has(name))
      .map((name) => `a route names the cluster "${name}", which is not there`),
    ...duplicateAddresses(resources.listener),
  ];
  return problems.map((message) => ({ message }));
}

function duplicates(type: string, resources: readonly JsonObject[]): readonly string[] {
  const seen = new Set<string>();
  return resources.flatMap((resource) => {
    const name = textAt(resource, 'name') || textAt(resource, 'clusterName');
    if (name === '') return [`a resource of type ${type} has no name`];
    if (seen.has(name)) return [`${type} "${name}" is there twice`];
    seen.add(name);
    return [];
  });
}

function difference(type: string, wanted: readonly string[], present: readonly string[]): readonly string[] {
  return [
    ...wanted.filter((name) => !present.includes(name)).map((name) => `${type} "${name}" is missing`),
    ...present.filter((name) => !wanted.includes(name)).map((name) => `nothing refers to ${type} "${name}"`),
  ];
}

function names(resources: readonly JsonObject[], field: string): readonly string[] {
  return resources.map((resource) => textAt(resource, field));
}

function routeNames(listeners: readonly JsonObject[]): readonly string[] {
  return [...new Set(valuesOf(listeners, 'routeConfigName'))];
}

/** What a socket asks for over this stream, and would wait for. */
function missingSecrets({ cluster, listener, secrets }: NodeResources): readonly string[] {
  const isReference = (key: string): boolean => /SdsSecretConfigs?$/.test(key);
  const references = membersOf([...cluster, ...listener], isReference).filter(isJsonObject);
  const present = names(secrets, 'name');
  return [...new Set(references.map((reference) => textAt(reference, 'name')))]
    .filter((name) => !present.includes(name))
    .map((name) => `secret "${name}" is missing`);
}

/** A filter that comes by discovery has the name of its resource; without it the listener answers 500. */
function missingFilters({ listener, extensions = [] }: NodeResources): readonly string[] {
  const filters = membersOf(listener, (key) => key === 'httpFilters').filter(isJsonObject);
  const present = names(extensions, 'name');
  return filters
    .filter((filter) => 'configDiscovery' in filter && !present.includes(textAt(filter, 'name')))
    .map((filter) => `extensions "${textAt(filter, 'name')}" is missing`);
}

function routedClusters(routes: readonly JsonObject[]): readonly string[] {
  return [...new Set(valuesOf(routes, 'cluster'))];
}

function duplicateAddresses(listeners: readonly JsonObject[]): readonly string[] {
  const seen = new Set<string>();
  // the listener of a gRPC client binds none
  return listeners
    .filter((listener) => 'address' in listener)
    .flatMap((listener) => {
      const address = JSON.stringify(listener['address'] ?? null);
      if (seen.has(address)) return [`two listeners have the address ${address}`];
      seen.add(address);
      return [];
    });
}

/** Every text under a key of this name, at any depth. */
function valuesOf(value: Json | readonly JsonObject[], key: string): readonly string[] {
  return membersOf(value, (name) => name === key).filter((member) => typeof member === 'string');
}

function membersOf(value: Json | readonly JsonObject[], isWanted: (key: string) => boolean): readonly Json[] {
  if (Array.isArray(value)) return value.flatMap((item: Json) => membersOf(item, isWanted));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    isWanted(key) ? [member].flat() : membersOf(member, isWanted),
  );
}

function textAt(resource: JsonObject, ...path: readonly string[]): string {
  let value: Json | undefined = resource;
  for (const step of path) value = isJsonObject(value) ? value[step] : undefined;
  return typeof value === 'string' ? value : '';
}
