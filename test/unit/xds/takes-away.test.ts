import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { loadEnvoyMessages } from '../../../src/grpc/messages.ts';
import { putGrant, putNode, putService } from '../../../src/registry/commit.ts';
import type { Grant, Service } from '../../../src/registry/model.ts';
import { buildResources } from '../../../src/xds/build.ts';
import { createSnapshot, type Snapshot, toSnapshotResource } from '../../../src/xds/snapshot.ts';
import { takesAway } from '../../../src/xds/takes-away.ts';
import { aGrant, aNode, aService, createRegistryWorld } from '../../support/registry-world.ts';

const messages = loadEnvoyMessages();

/** What the node of a world with these services, and grants of `orders`, should have. */
function snapshotOf(
  services: Readonly<Record<string, Service>>,
  grants: readonly Grant[],
  port = 10_000,
): Snapshot {
  const world = createRegistryWorld();
  const { view } = world;
  for (const [name, service] of Object.entries(services)) world.commit(putService(view, name, service));
  for (const [index, grant] of grants.entries()) {
    world.commit(putGrant(view, 'orders', `g${index}`, grant));
  }
  world.commit(putNode(view, 'n', aNode(Object.keys(services), { port })));
  const resources = buildResources(view, view.node('n')!, {
    asOfMs: 0,
    authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 200 },
  });
  return createSnapshot(resources, world.position(), (each) =>
    toSnapshotResource(each, messages.encodeResource),
  );
}

const op = (id: string, path: string) => ({ id, method: 'GET', path });
const orders = (change: Partial<Service> = {}): Service =>
  aService({ prefix: '/orders', operations: [op('read', '/orders/{id}'), op('list', '/orders')], ...change });
const [a, b] = [aGrant('spiffe://mesh/a'), aGrant('spiffe://mesh/b')];
const before = snapshotOf({ orders: orders() }, [a]);

describe('what takes nothing away', () => {
  it.each([
    ['nothing at all', snapshotOf({ orders: orders() }, [a])],
    ['one more grant', snapshotOf({ orders: orders() }, [a, b])],
    [
      'another service beside it',
      snapshotOf({ orders: orders(), ledger: aService({ prefix: '/ledger' }) }, [a]),
    ],
    ['other endpoints', snapshotOf({ orders: orders({ endpoints: [] }) }, [a])],
  ])('%s', (_, after) => {
    expect(takesAway(before, after)).toBe(false);
  });
});

describe('a route without an upstream', () => {
  const withRoute = (route: JsonObject): Snapshot => {
    const routes = new Map(before.types.routes);
    const [name = '', table] = [...routes][0] ?? [];
    const source = { ...table!.source, virtualHosts: [{ name: 'x', domains: ['x'], routes: [route] }] };
    routes.set(name, { ...table!, version: JSON.stringify(route), source });
    return { ...before, types: { ...before.types, routes } };
  };
  const answer = (text: string): JsonObject => ({
    name: 'position',
    match: { path: '/position' },
    directResponse: { status: 200, body: { inlineString: text } },
  });

  it('may answer something else', () => {
    expect(takesAway(withRoute(answer('1')), withRoute(answer('2')))).toBe(false);
  });

  it('takes away what it takes the place of', () => {
    const { directResponse: _answer, ...route } = answer('1');
    expect(takesAway(withRoute({ ...route, route: { cluster: 'c' } }), withRoute(answer('2')))).toBe(true);
    expect(takesAway(withRoute(answer('1')), withRoute({ ...answer('1'), match: { path: '/other' } }))).toBe(
      true,
    );
  });
});

describe('what may take something away', () => {
  it.each([
    ['a grant that goes', snapshotOf({ orders: orders() }, [])],
    ['a grant that becomes another one', snapshotOf({ orders: orders() }, [b])],
    [
      'a grant with fewer operations',
      snapshotOf({ orders: orders() }, [aGrant('spiffe://mesh/a', ['read'])]),
    ],
    [
      'a policy that is asked now',
      snapshotOf({ orders: orders({ access: 'grants-and-policy', policy: 'p' }) }, [a]),
    ],
    [
      'an operation that goes',
      snapshotOf({ orders: orders({ operations: [op('read', '/orders/{id}')] }) }, [a]),
    ],
    [
      'an operation that comes before others of its service',
      snapshotOf({ orders: orders({ operations: [...orders().operations!, op('own', '/orders/own')] }) }, [
        a,
      ]),
    ],
    ['another prefix', snapshotOf({ orders: aService({ prefix: '/orders2' }) }, [a])],
    ['other hosts', snapshotOf({ orders: orders({ hosts: ['a.test'] }) }, [a])],
    ['a service that goes', snapshotOf({ other: aService({ prefix: '/other' }) }, [])],
    ['a listener elsewhere', snapshotOf({ orders: orders() }, [a], 10_001)],
  ])('%s', (_, after) => {
    expect(takesAway(before, after)).toBe(true);
  });
});

it('a listener that is another one now may ask for more than it did', () => {
  const listener = new Map(
    [...before.types.listener].map(([name, each]) => [name, { ...each, version: 'another' }] as const),
  );
  expect(takesAway(before, { ...before, types: { ...before.types, listener } })).toBe(true);
});
