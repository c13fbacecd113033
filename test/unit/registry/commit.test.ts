import { describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import {
  deleteGrant,
  deleteNode,
  deleteService,
  putGrant,
  putNode,
  putService,
  putSettings,
} from '../../../src/registry/commit.ts';
import type { Service } from '../../../src/registry/model.ts';
import { aGrant, aNode, aService, createRegistryWorld } from '../../support/registry-world.ts';

const { policy, grants } = {
  policy: (change: Partial<Service> = {}) => aService({ access: 'policy', policy: 'p', ...change }),
  grants: aService,
};
const op = (id: string, path: string, method = 'GET') => ({ id, method, path });

/** `[pointer, message]` of each issue */
function refusal(change: () => unknown): { code: string; issues: (readonly [string | undefined, string])[] } {
  try {
    change();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { code: error.code, issues: error.issues.map((issue) => [issue.pointer, issue.message]) };
  }
  throw new Error('the change was accepted');
}
const pointers = (change: () => unknown) => refusal(change).issues.map(([pointer]) => pointer);

describe('a change of a service', () => {
  const { view } = createRegistryWorld();
  const put = (service: Service) => () => putService(view, 's', service);

  it('that is fine is one draft with the service as it was given', () => {
    const service = policy({ operations: [op('a', '/a/{id}')] });
    expect(put(service)()).toEqual({ kind: 'registry.service.put', body: { name: 's', service } });
  });

  it.each<[string, Service, string[]]>([
    ['policy is required when the policy decides', aService({ access: 'policy' }), ['/policy']],
    ['policy is required when both decide', aService({ access: 'grants-and-policy' }), ['/policy']],
    ['policy is refused when only grants decide', grants({ policy: 'p' }), ['/policy']],
    ['authenticate is refused on grants', grants({ authenticate: 'mtls' }), ['/authenticate']],
    ['even "none"', grants({ authenticate: 'none' }), ['/authenticate']],
    ['entrypoint is refused on grants', grants({ entrypoint: 'a/b' }), ['/entrypoint']],
    ['a host has no port', grants({ hosts: ['a.example:80'] }), ['/hosts/0']],
    ['a host is in lower case', grants({ hosts: ['ok', 'A.example'] }), ['/hosts/1']],
    ['a host has no wildcard inside', grants({ hosts: ['*.example'] }), ['/hosts/0']],
    ['a host is there once', grants({ hosts: ['a', 'a'] }), ['/hosts/1']],
    ['a prefix ends at a segment', grants({ prefix: '/a/' }), ['/prefix']],
    ['a prefix is literal', grants({ prefix: '/a/{x}' }), ['/prefix']],
    ['a prefix has no dots', grants({ prefix: '/a/..' }), ['/prefix']],
    [
      'an endpoint is an IP address',
      grants({ endpoints: [{ address: 'db.example', port: 1 }] }),
      ['/endpoints/0/address'],
    ],
    [
      'an endpoint has no zone',
      grants({ endpoints: [{ address: 'fe80::1%eth0', port: 1 }] }),
      ['/endpoints/0/address'],
    ],
    [
      'an endpoint is there once',
      grants({
        endpoints: [
          { address: '::1', port: 1 },
          { address: '::1', port: 1 },
        ],
      }),
      ['/endpoints/1'],
    ],
    [
      'operation ids are unique',
      grants({ operations: [op('a', '/a'), op('a', '/b')] }),
      ['/operations/1/id'],
    ],
    [
      'templates of one shape are one path',
      grants({ operations: [op('a', '/a/{x}'), op('b', '/a/{y}')] }),
      ['/operations/1/path'],
    ],
    [
      'an operation lies below the prefix',
      grants({ prefix: '/a', operations: [op('a', '/ab')] }),
      ['/operations/0/path'],
    ],
    ['unknown fields are told', { ...grants(), secret: 1 } as Service, ['/secret']],
    ['the schema speaks first', grants({ prefix: 'x', hosts: [] }), ['/hosts', '/prefix']],
  ])('%s', (_, service, expected) => {
    expect(pointers(put(service))).toEqual(expected);
  });

  it('tells everything that is wrong at once', () => {
    const service = grants({
      policy: 'p',
      authenticate: 'jwt',
      hosts: ['A'],
      operations: [op('a', '/a//b')],
    });
    expect(pointers(put(service))).toEqual(['/policy', '/authenticate', '/hosts/0', '/operations/0/path']);
  });

  it('may use one template for two methods', () => {
    expect(put(grants({ operations: [op('a', '/x/{id}'), op('b', '/x/{id}', 'PUT')] }))).not.toThrow();
  });

  it.each(['S', '', 'a/b', '-a', 'a'.repeat(64)])('is refused under the name "%s"', (name) => {
    expect(refusal(() => putService(view, name, grants())).code).toBe('registry_rejected');
  });
});

describe('a service that others rely on', () => {
  const world = createRegistryWorld();
  const { view } = world;
  world.commit(
    putService(view, 's', grants({ prefix: '/s', operations: [op('read', '/s/r'), op('write', '/s/w')] })),
  );
  world.commit(putService(view, 'other', policy({ prefix: '/other' })));
  world.commit(putGrant(view, 's', 'web', aGrant('spiffe://m/web', ['read'])));
  world.commit(putGrant(view, 's', 'all', aGrant('spiffe://m/all')));
  world.commit(putNode(view, 'edge', aNode(['s', 'other'])));

  it('does not become a policy service while it has grants, and the grants are named', () => {
    const { code, issues } = refusal(() =>
      putService(view, 's', policy({ prefix: '/s', operations: [op('read', '/s/r')] })),
    );
    expect(code).toBe('registry_rejected');
    expect(issues).toEqual([['/access', '"policy" takes no grants, and this service has: all, web']]);
  });

  it('keeps the operations that its grants name', () => {
    const without = grants({ prefix: '/s', operations: [op('write', '/s/w')] });
    const { issues } = refusal(() => putService(view, 's', without));
    expect(issues).toEqual([['/operations', 'grant "web" names the operation "read", which would be gone']]);
  });

  it('changes between grants and grants-and-policy', () => {
    const both = { ...view.service('s')!.value, access: 'grants-and-policy', policy: 'p' } as const;
    expect(putService(view, 's', both).kind).toBe('registry.service.put');
  });

  it('does not move onto the place of another service of a node', () => {
    const { issues } = refusal(() => putService(view, 'other', policy({ prefix: '/s' })));
    expect(issues).toEqual([['/prefix', 'service "s" is at host "*", prefix "/s" on node "edge" already']]);
  });

  it('is not deleted, and who needs it is named', () => {
    expect(refusal(() => deleteService(view, 's')).issues).toEqual([
      ['', 'nodes name this service: edge'],
      ['', 'this service has grants: all, web'],
    ]);
  });
});

describe('a grant', () => {
  const world = createRegistryWorld();
  const { view } = world;
  world.commit(putService(view, 's', grants({ operations: [op('read', '/r')] })));
  world.commit(putService(view, 'whole', grants()));
  world.commit(putService(view, 'p', policy()));
  const put =
    (service: string, grant = aGrant()) =>
    () =>
      putGrant(view, service, 'g', grant);

  it('names a subject and operations', () => {
    const grant = aGrant('spiffe://m/a', ['read']);
    expect(put('s', grant)()).toEqual({
      kind: 'registry.grant.put',
      body: { service: 's', id: 'g', grant },
    });
  });
  it('covers a service without operations by "*" only', () => {
    expect(put('whole')).not.toThrow();
    expect(pointers(put('whole', aGrant('spiffe://m/a', ['read'])))).toEqual(['/operations/0']);
  });
  it('names operations that exist, or "*" alone', () => {
    expect(pointers(put('s', aGrant('spiffe://m/a', ['read', 'nope'])))).toEqual(['/operations/1']);
    expect(pointers(put('s', aGrant('spiffe://m/a', ['*', 'read'])))).toEqual(['/operations']);
  });
  it('is refused where the policy decides', () => {
    expect(refusal(put('p')).issues[0]?.[1]).toMatch(/takes no grants/);
  });
  it('needs the SPIFFE ID of a workload', () => {
    expect(pointers(put('s', aGrant('spiffe://m/a/../b')))).toEqual(['/subject/spiffe']);
    expect(pointers(put('s', aGrant('spiffe://m')))).toEqual(['/subject/spiffe']);
  });
  it('needs a service', () => {
    expect(refusal(put('nope')).code).toBe('not_found');
    expect(refusal(() => deleteGrant(view, 's', 'nope')).code).toBe('not_found');
  });
});

describe('a node', () => {
  const world = createRegistryWorld();
  const { view } = world;
  world.commit(putService(view, 'a', grants({ hosts: ['one', 'two'] })));
  world.commit(putService(view, 'b', grants({ hosts: ['two'] })));
  world.commit(putService(view, 'c', grants({ hosts: ['two'], prefix: '/c' })));

  it('names services that exist', () => {
    expect(refusal(() => putNode(view, 'n', aNode(['a', 'x']))).issues).toEqual([
      ['/services/1', 'there is no service "x"'],
    ]);
  });
  it('has no two services at one host and prefix', () => {
    expect(refusal(() => putNode(view, 'n', aNode(['a', 'b']))).issues).toEqual([
      ['/services/1', '"b" and "a" are both at host "two", prefix "/"'],
    ]);
    expect(putNode(view, 'n', aNode(['a', 'c'])).kind).toBe('registry.node.put');
  });
  it('listens on an IP address, which another node may have too', () => {
    expect(pointers(() => putNode(view, 'n', aNode([], { address: 'localhost' })))).toEqual([
      '/listener/address',
    ]);
    world.commit(putNode(view, 'n1', aNode([])));
    expect(putNode(view, 'n2', aNode([])).kind).toBe('registry.node.put');
  });
  it('that is not there cannot be deleted', () => {
    expect(refusal(() => deleteNode(view, 'nope')).code).toBe('not_found');
    expect(refusal(() => deleteService(view, 'nope')).code).toBe('not_found');
  });
});

describe('settings', () => {
  const { view } = createRegistryWorld();
  it('are put as a whole and take only what is known', () => {
    expect(putSettings(view, { defaultPolicy: 'p' })).toEqual({
      kind: 'settings.put',
      body: { settings: { defaultPolicy: 'p' } },
    });
    expect(pointers(() => putSettings(view, { authenticate: 'x' } as never))).toEqual(['/authenticate']);
  });
});
