/**
 * The files that an Envoy is started with while Chancery is away: what came over ADS, one resource per file (Envoy takes
 * a file of a named resource only when nothing else is in it), and each reference to ADS turned to its file.
 */
import { join } from 'node:path';
import { sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { NodeConfiguration } from '../identity/node-configuration.ts';

export interface OfflineFiles {
  readonly bootstrap: JsonObject;
  /** name below the folder → `envoy.service.discovery.v3.DiscoveryResponse` */
  readonly files: ReadonlyMap<string, JsonObject>;
}

/** Kinds that Envoy takes all of; of the others each is asked for by name. */
const WHOLE = ['cluster', 'listener'];

/**
 * @param folder  absolute
 * @throws Failure internal  when something would still ask ADS: an Envoy would wait for it for ever
 */
export function toOfflineFiles(configuration: NodeConfiguration, folder: string): OfflineFiles {
  const { bootstrap, resources } = configuration;
  const files = new Map<string, JsonObject>();
  for (const [type, each] of Object.entries(resources)) {
    const turned = each.map((resource) => turn(resource, folder));
    if (WHOLE.includes(type)) files.set(`${type}.json`, response(turned));
    else for (const resource of turned) files.set(fileOf(type, nameOf(resource)), response([resource]));
  }
  const offline = offlineBootstrap(bootstrap, folder);
  for (const each of [offline, ...files.values()]) expectNoAds(each);
  return { bootstrap: offline, files };
}

function offlineBootstrap(bootstrap: JsonObject, folder: string): JsonObject {
  const { dynamicResources: _dynamic, staticResources: _ads, layeredRuntime, ...rest } = bootstrap;
  const all = (type: string): JsonObject => fromFile(folder, `${type}.json`);
  const layers = isJsonObject(layeredRuntime) ? layeredRuntime['layers'] : undefined;
  return {
    ...rest,
    dynamicResources: { cdsConfig: all('cluster'), ldsConfig: all('listener') },
    ...(Array.isArray(layers) && {
      layeredRuntime: {
        layers: layers.filter((layer: Json) => isJsonObject(layer) && !('rtdsLayer' in layer)),
      },
    }),
  };
}

/** Who refers to what: the member with the config source, the member beside it with the name, and the kind. */
const REFERENCES = [
  { source: 'configSource', name: 'routeConfigName', type: 'routes' },
  { source: 'edsConfig', name: 'serviceName', type: 'endpoints' },
  { source: 'sdsConfig', name: 'name', type: 'secrets' },
] as const;

function turn(value: JsonObject, folder: string): JsonObject {
  const reference = REFERENCES.find(
    ({ source, name }) => isAds(value[source]) && typeof value[name] === 'string',
  );
  const turned = Object.entries(value).map(([key, member]): [string, Json] => {
    if (reference !== undefined && key === reference.source) {
      return [key, fromFile(folder, fileOf(reference.type, textOf(value[reference.name])))];
    }
    return [key, turnAny(member, folder)];
  });
  return Object.fromEntries(turned);
}

function turnAny(value: Json, folder: string): Json {
  if (Array.isArray(value)) return value.map((each: Json) => turnAny(each, folder));
  return isJsonObject(value) ? turn(value, folder) : value;
}

function isAds(source: Json | undefined): boolean {
  return isJsonObject(source) && 'ads' in source;
}

function expectNoAds(value: Json): void {
  if (Array.isArray(value)) return value.forEach(expectNoAds);
  if (!isJsonObject(value)) return;
  if ('ads' in value)
    throw new Failure('internal', 'a part of the kept configuration can only come over ADS');
  Object.values(value).forEach(expectNoAds);
}

function response(resources: readonly JsonObject[]): JsonObject {
  return { versionInfo: sha256(JSON.stringify(resources)).slice(7, 39), resources };
}

function fromFile(folder: string, name: string): JsonObject {
  return { pathConfigSource: { path: join(folder, name) }, resourceApiVersion: 'V3' };
}

/** A name may hold what no file name can. */
function fileOf(type: string, name: string): string {
  return `${type}-${sha256(name).slice(7, 39)}.json`;
}

function nameOf(resource: JsonObject): string {
  return textOf(resource['name'] ?? resource['clusterName']);
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
