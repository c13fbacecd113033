/** The world of a story: names and editions in, resources that hang together out. */
import type { JsonObject } from '../../../src/core/json.ts';
import type { NodeResources } from '../../../src/xds/resource-types.ts';
import { STORY_TYPES, type StoryType } from './client.ts';

type WorldType = Exclude<StoryType, '' | 'unserved'>;

/** type → name → what is written after `=`: the edition, and for listeners and routes `:` and what they refer to. */
export type StoryWorld = Readonly<Partial<Record<WorldType, Readonly<Record<string, string>>>>>;

/** Secrets that the runner asks for to hear that nothing else was said. */
export const MAX_PROBES = 60;

/**
 * `cluster a=1 b=2; listener l=1:r; routes r=1:a`. Endpoints of a cluster that names none have edition 1. A listener
 * refers to the route configurations after `:` (default all), routes to a cluster.
 */
export function parseWorld(text: string, before: StoryWorld = {}): StoryWorld {
  const world: Record<string, Record<string, string>> = {};
  for (const [type, entries] of Object.entries(before)) world[type] = { ...entries };
  for (const section of text.split(';').map((each) => each.trim())) {
    const [type = '', ...entries] = section.split(/\s+/);
    world[type] = Object.fromEntries(entries.map((entry) => entry.split('=', 2) as [string, string]));
  }
  return world;
}

export function resourcesOf(world: StoryWorld, pad: number): NodeResources {
  const clusters = world.cluster ?? {};
  const endpoints = world.endpoints ?? {};
  const routes = world.routes ?? {};
  const listeners = Object.entries(world.listener ?? {});
  return {
    cluster: Object.entries(clusters).map(([name, edition]) => cluster(name, edition, pad)),
    endpoints: Object.keys(clusters).map((name) => assignment(name, endpoints[name] ?? '1')),
    secrets: [
      ...Object.entries(world.secrets ?? {}),
      ...Array.from({ length: MAX_PROBES }, (_, index) => [`probe.${index}`, '1'] as const),
    ].map(([name, edition]) => secret(name, edition)),
    extensions: Object.entries(world.extensions ?? {}).map(([name, edition]) => extension(name, edition)),
    runtime: Object.entries(world.runtime ?? {}).map(([name, edition]) => ({
      '@type': STORY_TYPES.runtime,
      name,
      layer: { said: mark(edition) },
    })),
    listener: listeners.map(([name, said], index) => {
      const [edition = '', refs = Object.keys(routes).join()] = said.split(':');
      return listener(name, edition, refs.split(',').filter(Boolean), 10_000 + index);
    }),
    routes: Object.entries(routes).map(([name, said]) => {
      const [edition = '', target] = said.split(':');
      return routeConfiguration(name, edition, target);
    }),
  };
}

const mark = (edition: string): string => `edition-${edition}`;

function cluster(name: string, edition: string, pad: number): JsonObject {
  return {
    '@type': STORY_TYPES.cluster,
    name,
    type: 'EDS',
    edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V3' }, serviceName: name },
    altStatName: mark(edition) + '.'.repeat(pad),
  };
}

function assignment(clusterName: string, edition: string): JsonObject {
  return { '@type': STORY_TYPES.endpoints, clusterName, endpoints: [{ locality: { zone: mark(edition) } }] };
}

function secret(name: string, edition: string): JsonObject {
  return { '@type': STORY_TYPES.secrets, name, genericSecret: { secret: { filename: `/${mark(edition)}` } } };
}

function extension(name: string, edition: string): JsonObject {
  return {
    '@type': STORY_TYPES.extensions,
    name,
    typedConfig: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
      rulesStatPrefix: mark(edition),
      rules: {},
    },
  };
}

function listener(name: string, edition: string, refs: readonly string[], portValue: number): JsonObject {
  return {
    '@type': STORY_TYPES.listener,
    name,
    address: { socketAddress: { address: '127.0.0.1', portValue } },
    statPrefix: mark(edition),
    filterChains: refs.map((routeConfigName) => ({
      name: routeConfigName,
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typedConfig: {
            '@type':
              'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            statPrefix: 'story',
            rds: { routeConfigName, configSource: { ads: {}, resourceApiVersion: 'V3' } },
          },
        },
      ],
    })),
  };
}

function routeConfiguration(name: string, edition: string, target: string | undefined): JsonObject {
  const action = target === undefined ? { directResponse: { status: 200 } } : { route: { cluster: target } };
  return {
    '@type': STORY_TYPES.routes,
    name,
    virtualHosts: [{ name: mark(edition), domains: ['*'], routes: [{ match: { prefix: '/' }, ...action }] }],
  };
}
