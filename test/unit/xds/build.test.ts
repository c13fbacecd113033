import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { loadEnvoyMessages } from '../../../src/grpc/messages.ts';
import { putGrant, putNode, putService } from '../../../src/registry/commit.ts';
import type { EnvoyNode, Grant, Service } from '../../../src/registry/model.ts';
import type { Authz } from '../../../src/xds/authz-cluster.ts';
import { buildResources } from '../../../src/xds/build.ts';
import { consistencyIssues } from '../../../src/xds/consistency.ts';
import { createSnapshot, sameResources, toSnapshotResource } from '../../../src/xds/snapshot.ts';
import { aGrant, aNode, aService, createRegistryWorld } from '../../support/registry-world.ts';

const OPTIONS = { authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 250 }, asOfMs: 0 };
const RBAC = 'envoy.filters.http.rbac';
const EXT_AUTHZ = 'envoy.filters.http.ext_authz';
const messages = loadEnvoyMessages();

interface Route {
  readonly name: string;
  readonly match: JsonObject;
  readonly route?: JsonObject;
  readonly directResponse?: { readonly status: number };
  readonly typedPerFilterConfig: Readonly<Record<string, JsonObject>>;
}
interface VirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes: readonly Route[];
}

function build(
  services: Readonly<Record<string, Service>>,
  grants: Readonly<Record<string, Readonly<Record<string, Grant>>>> = {},
  listener: Partial<EnvoyNode['listener']> = {},
) {
  const world = createRegistryWorld();
  const { view } = world;
  for (const [name, service] of Object.entries(services)) world.commit(putService(view, name, service));
  for (const [service, each] of Object.entries(grants)) {
    for (const [id, grant] of Object.entries(each)) world.commit(putGrant(view, service, id, grant));
  }
  world.commit(putNode(view, 'n', aNode(Object.keys(services), listener)));
  const resources = buildResources(view, view.node('n')!, OPTIONS);
  const hosts = resources.routes[0]!['virtualHosts'] as unknown as readonly VirtualHost[];
  const route = (name: string): Route => {
    const found = hosts.flatMap(({ routes }) => routes).find((each) => each.name === name);
    if (found === undefined) throw new Error(`no route ${name}`);
    return found;
  };
  return { resources, hosts, route, position: world.position() };
}

const encoded = (resource: JsonObject) => toSnapshotResource(resource, messages.encodeResource);
const policy = (change: Partial<Service> = {}) => aService({ access: 'policy', policy: 'p', ...change });
const op = (id: string, path: string, method = 'GET') => ({ id, method, path });

describe('the override of a route', () => {
  const OPEN = {
    rules: {
      action: 'ALLOW',
      policies: { everybody: { permissions: [{ any: true }], principals: [{ any: true }] } },
    },
  };

  it('of grants: an exact map over the URI SAN, and no question', () => {
    const { route } = build({ s: aService() }, { s: { web: aGrant('spiffe://m/a') } });
    const { [RBAC]: rbac, [EXT_AUTHZ]: extAuthz } = route('s/*').typedPerFilterConfig;
    expect(rbac).toEqual({
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute',
      rbac: {
        matcher: {
          matcherTree: {
            input: {
              name: 'uri-san',
              typedConfig: {
                '@type': 'type.googleapis.com/envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput',
              },
            },
            exactMatchMap: {
              map: {
                'spiffe://m/a': {
                  action: {
                    name: 'grant:web',
                    typedConfig: {
                      '@type': 'type.googleapis.com/envoy.config.rbac.v3.Action',
                      name: 'grant:web',
                      action: 'ALLOW',
                    },
                  },
                },
              },
            },
          },
          onNoMatch: {
            action: {
              name: 'no-grant',
              typedConfig: {
                '@type': 'type.googleapis.com/envoy.config.rbac.v3.Action',
                name: 'no-grant',
                action: 'DENY',
              },
            },
          },
        },
      },
    });
    expect(extAuthz).toMatchObject({ disabled: true });
  });

  it.each(['grants', 'grants-and-policy'] as const)(
    'of %s without subjects: rules that are there, and nobody in them',
    (access) => {
      const service = access === 'grants' ? aService() : policy({ access });
      const { route } = build({ s: service });
      expect(route('s/*').typedPerFilterConfig[RBAC]!['rbac']).toEqual({
        rules: { action: 'ALLOW', policies: {} },
      });
    },
  );

  it('of policy: open by an explicit rule, and the question names service and operation', () => {
    const { route } = build({ s: policy({ operations: [op('read', '/r')] }) });
    const { [RBAC]: rbac, [EXT_AUTHZ]: extAuthz } = route('s/read').typedPerFilterConfig;
    expect(rbac!['rbac']).toEqual(OPEN);
    expect(extAuthz).toMatchObject({
      checkSettings: { contextExtensions: { service: 's', operation: 'read' } },
    });
    expect(extAuthz).not.toHaveProperty('disabled');
  });

  it('of grants-and-policy: both', () => {
    const { route } = build(
      { s: policy({ access: 'grants-and-policy' }) },
      { s: { web: aGrant('spiffe://m/a') } },
    );
    const { [RBAC]: rbac, [EXT_AUTHZ]: extAuthz } = route('s/*').typedPerFilterConfig;
    expect(rbac!['rbac']).toHaveProperty('matcher');
    expect(extAuthz).toMatchObject({ checkSettings: { contextExtensions: { operation: '*' } } });
  });

  it('holds a subject on the operations of its grants only; "*" is all of them', () => {
    const { route } = build(
      { s: aService({ operations: [op('a', '/a'), op('b', '/b'), op('c', '/c')] }) },
      { s: { one: aGrant('spiffe://m/one', ['a', 'b']), all: aGrant('spiffe://m/all') } },
    );
    const subjects = (name: string) =>
      [...JSON.stringify(route(name).typedPerFilterConfig).matchAll(/"(spiffe:[^"]+)"/g)].map(([, id]) => id);
    expect([subjects('s/a'), subjects('s/b'), subjects('s/c')]).toEqual([
      ['spiffe://m/all', 'spiffe://m/one'],
      ['spiffe://m/all', 'spiffe://m/one'],
      ['spiffe://m/all'],
    ]);
  });

  it('is there for both filters on every route of every kind, and no principal name in any', () => {
    const { hosts } = build(
      {
        a: aService({ hosts: ['a'] }),
        b: policy({ hosts: ['b', '*'], operations: [op('x', '/x/{y}')] }),
        c: policy({ hosts: ['a'], prefix: '/c', access: 'grants-and-policy' }),
      },
      { a: { g: aGrant() } },
    );
    const routes = hosts.flatMap((host) => host.routes);
    expect(routes).toHaveLength(8);
    for (const { typedPerFilterConfig } of routes) {
      expect(Object.keys(typedPerFilterConfig).sort()).toEqual([EXT_AUTHZ, RBAC]);
    }
    expect(JSON.stringify(hosts)).not.toMatch(/principalName|authenticated/);
  });

  it('opens without a question only where the answer is our own', () => {
    const { hosts } = build({ a: aService(), b: policy({ prefix: '/b' }) });
    for (const { typedPerFilterConfig, route } of hosts.flatMap((host) => host.routes)) {
      const opens = JSON.stringify(typedPerFilterConfig[RBAC]).includes('everybody');
      const asks = !('disabled' in typedPerFilterConfig[EXT_AUTHZ]!);
      if (opens && !asks) expect(route).toBeUndefined();
    }
  });
});

describe('the route table', () => {
  const names = (host: VirtualHost | undefined) => host?.routes.map(({ name }) => name);

  it('refuses unclean paths first, goes literal before templated, and ends with 404', () => {
    const { hosts, route } = build({
      s: aService({
        prefix: '/s',
        operations: [op('read', '/s/{id}'), op('list', '/s'), op('special', '/s/special')],
      }),
    });
    expect(names(hosts[0])).toEqual([
      'unclean-path',
      's/list',
      's/special',
      's/read',
      's/no-operation',
      'no-service',
    ]);
    expect(route('unclean-path').directResponse).toEqual({ status: 400 });
    expect(route('s/no-operation')).toMatchObject({
      match: { pathSeparatedPrefix: '/s' },
      directResponse: { status: 404 },
    });
    expect(route('s/special').match).toEqual({
      path: '/s/special',
      headers: [{ name: ':method', stringMatch: { exact: 'GET' } }],
    });
    expect(route('s/read').match['safeRegex']).toEqual({ regex: '/s/[^/]+' });
  });

  it('closes the longer prefix before the shorter one begins', () => {
    const { hosts } = build({
      all: policy(),
      deep: aService({ prefix: '/deep/er', operations: [op('x', '/deep/er/x')] }),
    });
    expect(names(hosts[0])).toEqual(['unclean-path', 'deep/x', 'deep/no-operation', 'all/*', 'no-service']);
  });

  it('has a virtual host per set of services, and one for all other hosts', () => {
    const { hosts } = build({
      a: aService({ hosts: ['a.example', 'b.example'] }),
      b: aService({ hosts: ['b.example', 'c.example', 'd.example'], prefix: '/b' }),
    });
    expect(hosts.map(({ domains }) => domains)).toEqual([
      ['a.example'],
      ['b.example'],
      ['c.example', 'd.example'],
      ['*'],
    ]);
    expect(names(hosts[3])).toEqual(['unclean-path', 'no-service']);
  });

  it('matches the literal parts of a template as they stand', () => {
    const { route } = build({ s: aService({ operations: [op('x', '/a.b+c/(d)/{e}/$f*')] }) });
    const { regex } = route('s/x').match['safeRegex'] as { regex: string };
    expect(new RegExp(`^(?:${regex})$`).test('/a.b+c/(d)/e/$f*')).toBe(true);
    expect(new RegExp(`^(?:${regex})$`).test('/aXb+c/(d)/e/$f*')).toBe(false);
    expect(new RegExp(`^(?:${regex})$`).test('/a.b+c/(d)//$f*')).toBe(false);
  });

  it('matches the signs of a literal percent-encoded too, so that a name beside it does not take them', () => {
    const { route, hosts } = build({
      s: aService({ prefix: '/a:b', operations: [op('x', '/a:b/c+d'), op('y', '/a:b/{e}')] }),
    });
    expect(names(hosts[0])).toEqual(['unclean-path', 's/x', 's/y', 's/no-operation', 'no-service']);
    const matches = (name: string, path: string) => {
      const { regex } = route(name).match['safeRegex'] as { regex: string };
      return new RegExp(`^(?:${regex})$`).test(path);
    };
    for (const path of ['/a:b/c+d', '/a%3Ab/c%2bd', '/a%3ab/c%2Bd']) expect(matches('s/x', path)).toBe(true);
    for (const path of ['/a:b/ccd', '/a:b/c%2d', '/a/c+d']) expect(matches('s/x', path)).toBe(false);
    for (const path of ['/a%3Ab', '/a:b/', '/a%3ab/x/y']) expect(matches('s/no-operation', path)).toBe(true);
    for (const path of ['/a:bc', '/a', '/x/a:b']) expect(matches('s/no-operation', path)).toBe(false);
  });
});

describe('the pattern of a clean path', () => {
  const { route } = build({ s: aService() });
  const [header] = route('unclean-path').match['headers'] as unknown as readonly {
    readonly invertMatch: boolean;
    readonly stringMatch: { readonly safeRegex: { readonly regex: string } };
  }[];
  const clean = new RegExp(`^(?:${header!.stringMatch.safeRegex.regex})$`);

  it('is what the first route refuses the absence of', () => {
    expect(header!.invertMatch).toBe(true);
  });
  it.each([
    '/',
    '/a/b',
    '/%20',
    '/%C3%A4',
    '/%3a',
    '/%25',
    '/%2A%2d',
    '/%5b%5D',
    '/a?b;c',
    '/?%2f%00\\',
    '/~a:b@c!',
  ])('takes %s', (path) => {
    expect(clean.test(path)).toBe(true);
  });
  it.each([
    '/a;b',
    '/;',
    '/%2f',
    '/%2F',
    '/%2e',
    '/%2E',
    '/%5c',
    '/%5C',
    '/%00',
    '/%0a',
    '/%0D',
    '/%1f',
    '/%7F',
    '/%3b',
    '/%3B',
    '/\\',
    '/%',
    '/%2',
    '/%zz',
    '/%%20',
    '/a#b',
    '/a b',
    '/ä',
    '/\u0000',
    '/\u007f',
    '/a%2fb?x',
    '/a;b?c',
  ])('refuses %s', (path) => {
    expect(clean.test(path)).toBe(false);
  });
});

describe('the listener and the clusters', () => {
  it('deny by default: RBAC that lets nobody pass, then the question, then the router', () => {
    const { resources } = build({ s: aService() });
    const text = JSON.stringify(resources.listener[0]);
    const [rbac, extAuthz, router] = JSON.parse(text).filterChains[0].filters[0].typedConfig.httpFilters;
    expect(rbac).toEqual({
      name: RBAC,
      typedConfig: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
        rules: { action: 'ALLOW', policies: {} },
      },
    });
    expect(extAuthz).toMatchObject({
      name: EXT_AUTHZ,
      typedConfig: {
        failureModeAllow: false,
        statusOnError: { code: 'ServiceUnavailable' },
        clearRouteCache: false,
        validateMutations: true,
        encodeRawHeaders: true,
        includePeerCertificate: true,
        grpcService: { timeout: '0.25s' },
      },
    });
    expect(router.name).toBe('envoy.filters.http.router');
  });

  it('name files for TLS and hold no key', () => {
    const tls = {
      certificateFile: '/tls/cert.pem',
      privateKeyFile: '/tls/key.pem',
      clientCaFile: '/tls/ca.pem',
      clientCertificate: 'optional',
    } as const;
    const { resources } = build({ s: aService() }, {}, { tls });
    const { transportSocket } = JSON.parse(JSON.stringify(resources.listener[0])).filterChains[0];
    expect(transportSocket.typedConfig).toMatchObject({
      requireClientCertificate: false,
      disableStatelessSessionResumption: true,
      commonTlsContext: {
        tlsCertificateSdsSecretConfigs: [{ name: 'listener.certificate' }],
        validationContextSdsSecretConfig: { name: 'listener.authorities' },
      },
    });
    expect(resources.secrets).toMatchObject([
      {
        name: 'listener.certificate',
        tlsCertificate: {
          certificateChain: { filename: '/tls/cert.pem' },
          privateKey: { filename: '/tls/key.pem' },
        },
      },
      { name: 'listener.authorities', validationContext: { trustedCa: { filename: '/tls/ca.pem' } } },
    ]);
    expect(JSON.stringify(resources.secrets)).not.toContain('watchedDirectory');
    const watched = build({ s: aService() }, {}, { tls: { ...tls, watchedFolder: '/tls' } }).resources;
    expect(watched.listener).toEqual(resources.listener);
    expect(JSON.stringify(watched.secrets).split('"watchedDirectory":{"path":"/tls"}')).toHaveLength(3);
  });

  it('do not change with grants: a listener that changes drains its connections', () => {
    const without = build({ s: aService() }).resources;
    const withGrant = build({ s: aService() }, { s: { g: aGrant() } }).resources;
    expect(withGrant.listener).toEqual(without.listener);
    expect(withGrant.cluster).toEqual(without.cluster);
    expect(withGrant.endpoints).toEqual(without.endpoints);
    expect(withGrant.routes).not.toEqual(without.routes);
  });

  it('cannot be taken over by the name of a service', () => {
    const { resources } = build({ 'chancery-authz': aService(), 'chancery-ads': aService({ prefix: '/x' }) });
    expect(resources.cluster.map(({ name }) => name)).toEqual([
      'chancery-authz',
      'service.chancery-ads',
      'service.chancery-authz',
    ]);
  });
});

describe('a snapshot', () => {
  const tls = {
    certificateFile: '/c',
    privateKeyFile: '/k',
    clientCaFile: '/ca',
    clientCertificate: 'required',
  } as const;
  const world = () =>
    build(
      { a: aService({ operations: [op('x', '/x/{y}')] }), b: policy({ prefix: '/b', endpoints: [] }) },
      { a: { g: aGrant('spiffe://m/a', ['x']) } },
      { tls },
    );

  it('encodes strictly and has the same versions whenever it is built', () => {
    const [one, two] = [world(), world()];
    const snapshots = [one, two].map(({ resources, position }) =>
      createSnapshot(resources, position, encoded),
    );
    expect(sameResources(snapshots[0]!, snapshots[1]!)).toBe(true);
    expect([...snapshots[0]!.types.endpoints.keys()]).toEqual(['chancery-authz', 'service.a', 'service.b']);
  });

  it('is the same in whatever order the node lists its services', () => {
    const [ab, ba] = [
      build({ a: aService(), b: aService({ prefix: '/b' }) }),
      build({ b: aService({ prefix: '/b' }), a: aService() }),
    ];
    expect(ab.resources).toEqual(ba.resources);
  });

  it('is refused when its resources contradict each other', () => {
    const { resources, position } = world();
    const routes = [{ ...resources.routes[0]!, name: 'other' }];
    const inconsistent = { ...resources, endpoints: resources.endpoints.slice(1), cluster: [], routes };
    expect(consistencyIssues(inconsistent).map(({ message }) => message)).toEqual([
      'nothing refers to endpoints "service.a"',
      'nothing refers to endpoints "service.b"',
      'routes "chancery" is missing',
      'nothing refers to routes "other"',
      'a route names the cluster "service.b", which is not there',
      'a route names the cluster "service.a", which is not there',
    ]);
    expect(() => createSnapshot(inconsistent, position, encoded)).toThrow(/snapshot_inconsistent/);
  });

  it('is refused when a name or an address is there twice', () => {
    const { resources } = world();
    const twice = { ...resources, listener: [...resources.listener, ...resources.listener] };
    expect(consistencyIssues(twice)).toHaveLength(2);
  });
});

describe('the authorizer', () => {
  const node = build({ s: aService() });
  const PLACES = [
    { address: '10.0.0.1', port: 9191 },
    { address: '10.0.0.2', port: 9191 },
  ];
  const ENVOY_TLS = { certificateFile: '/c', privateKeyFile: '/k', caFile: '/ca' };
  const of = (authz: Authz) => {
    const { view } = createRegistryWorld();
    const node = aNode([], { port: 1 });
    const record = { name: 'n', value: node, digest: `sha256:${'0'.repeat(64)}` as const, seq: 1, at: '' };
    return buildResources(view, record, { authz, asOfMs: 0 });
  };

  it('moves as endpoints alone', () => {
    const [one, two] = [PLACES.slice(0, 1), PLACES].map((places) => of({ places, timeoutMs: 100 }));
    expect(JSON.stringify(two?.endpoints[0]).match(/10\.0\.0\.\d/g)).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(two?.endpoints).not.toEqual(one?.endpoints);
    expect({ ...two, endpoints: [] }).toEqual({ ...one, endpoints: [] });
  });

  it('moves over TLS as endpoints and the names that its certificates may have', () => {
    const [one, two] = [PLACES.slice(0, 1), PLACES].map((places) =>
      of({ places, timeoutMs: 100, tls: ENVOY_TLS }),
    );
    expect({ ...two, endpoints: [], secrets: [] }).toEqual({ ...one, endpoints: [], secrets: [] });
    const [, authorities] = two?.secrets ?? [];
    expect(authorities).toMatchObject({
      name: 'authz.authorities',
      validationContext: {
        trustedCa: { filename: '/ca' },
        matchTypedSubjectAltNames: PLACES.map(({ address }) => ({
          sanType: 'IP_ADDRESS',
          matcher: { exact: address },
        })),
      },
    });
    expect(() => createSnapshot(two!, node.position, encoded)).not.toThrow();
  });

  it('has the names of its certificates in the spelling in which Envoy reads them, and never none', () => {
    const namesOf = (address: string) => {
      const built = of({ places: [{ address, port: 1 }], timeoutMs: 100, tls: ENVOY_TLS });
      const { validationContext } = built.secrets[1] as { validationContext?: object };
      return validationContext;
    };
    const names = (exact: string) => ({
      matchTypedSubjectAltNames: [{ sanType: 'IP_ADDRESS', matcher: { exact } }],
    });
    expect(namesOf('FE80:0::1')).toMatchObject(names('fe80::1'));
    expect(namesOf('unix:/run/authz.sock')).toMatchObject(names('0.0.0.0'));
  });

  it('may be a Unix socket', () => {
    const built = of({ places: [{ address: 'unix:/run/authz.sock', port: 0 }], timeoutMs: 100 });
    expect(JSON.stringify(built.endpoints[0])).toContain('"address":{"pipe":{"path":"/run/authz.sock"}}');
    expect(() => createSnapshot(built, node.position, encoded)).not.toThrow();
  });

  it('that says NOT_SERVING is never asked, not even when it is the last', () => {
    expect(node.resources.cluster[0]).toMatchObject({
      healthChecks: [{ grpcHealthCheck: {} }],
      commonLbConfig: { healthyPanicThreshold: { value: 0 } },
      ignoreHealthOnHostRemoval: true,
    });
  });
});

describe('the encoder', () => {
  it.each<[string, JsonObject, RegExp]>([
    ['an unknown field', { '@type': 'envoy.config.cluster.v3.Cluster', nam: 'x' }, /"nam" is unknown/],
    ['an unknown enum name', { '@type': 'envoy.config.cluster.v3.Cluster', type: 'NOPE' }, /NOPE/],
    ['an unknown type', { '@type': 'envoy.Nope' }, /no message definition of envoy.Nope/],
    ['no type', { name: 'x' }, /without @type/],
    [
      'an unknown field deep inside',
      {
        '@type': 'envoy.config.cluster.v3.Cluster',
        typedExtensionProtocolOptions: {
          a: {
            '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            surprise: 1,
          },
        },
      },
      /surprise/,
    ],
  ])('refuses %s instead of dropping it', (_, resource, reason) => {
    expect(() => messages.encodeResource(resource)).toThrow(reason);
  });

  it('knows the fields that are newer than the packaged definitions', () => {
    const resource = {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
      emitFilterStateStats: true,
      maxDeniedResponseBodyBytes: 4096,
      enforceResponseHeaderLimits: true,
    };
    expect(messages.decodeResource(messages.encodeResource(resource))).toEqual(resource);
  });

  it('carries delta messages there and back', () => {
    const request = {
      nodeId: 'n',
      typeUrl: 't',
      subscribe: ['a'],
      unsubscribe: ['b'],
      initialVersions: { c: '1' },
      nonce: '7',
      error: { code: 3, message: 'no' },
    };
    expect(messages.decodeDeltaRequest(messages.encodeDeltaRequest(request))).toEqual(request);
    expect(() => messages.decodeDeltaRequest(new Uint8Array([255]))).toThrow(/request_malformed/);
  });
});
