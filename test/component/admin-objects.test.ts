import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

const CREATE = { 'if-none-match': '*' };
const service = {
  hosts: ['orders.test'],
  prefix: '/',
  access: 'grants',
  endpoints: [{ address: '127.0.0.1', port: 8080 }],
};
const grant = { subject: { spiffe: 'spiffe://mesh/app/web' }, operations: ['*'] };
const node = { services: ['orders'], listener: { address: '127.0.0.1', port: 10000 } };
const issuer = {
  issuer: 'https://idp.test',
  jwksUri: 'https://idp.test/jwks',
  audiences: ['orders'],
  algorithms: ['RS256'],
};

let admin: AdminHarness;
beforeEach(async () => {
  admin = await startAdmin();
});
afterEach(() => admin.close());

const create = (path: string, body: unknown) => admin.call('PUT', path, { body, headers: CREATE });

describe.each([
  {
    path: '/v1/services/orders',
    list: '/v1/services',
    value: service,
    other: { ...service, prefix: '/v2' },
    needs: [],
  },
  {
    path: '/v1/services/orders/grants/web',
    list: '/v1/services/orders/grants',
    value: grant,
    other: { ...grant, subject: { spiffe: 'spiffe://mesh/app/shop' } },
    needs: [['/v1/services/orders', service]],
  },
  {
    path: '/v1/nodes/edge',
    list: '/v1/nodes',
    value: node,
    other: { ...node, services: [] },
    needs: [['/v1/services/orders', service]],
  },
  {
    path: '/v1/members/GOV/A',
    list: '/v1/members',
    value: { state: 'registered' },
    other: { state: 'suspended' },
    needs: [],
  },
  {
    path: '/v1/apps/GOV/A/x',
    list: '/v1/apps',
    value: { state: 'pending', name: 'X' },
    other: { state: 'approved', name: 'X' },
    needs: [['/v1/members/GOV/A', { state: 'registered' }]],
  },
  {
    path: '/v1/groups/g',
    list: '/v1/groups',
    value: { members: [] },
    other: { members: [], name: 'G' },
    needs: [],
  },
  {
    path: '/v1/node-groups/edges',
    list: '/v1/node-groups',
    value: { nodes: [], services: ['orders'] },
    other: { nodes: [], services: [] },
    needs: [['/v1/services/orders', service]],
  },
  {
    path: '/v1/issuers/idp',
    list: '/v1/issuers',
    value: issuer,
    other: { ...issuer, audiences: ['a'] },
    needs: [],
  },
] as const)('$path', ({ path, list, value, other, needs }) => {
  beforeEach(async () => {
    for (const [owner, body] of needs) await create(owner, body);
  });

  it('is created, read, listed, replaced and deleted', async () => {
    expect((await admin.call('GET', path)).status).toBe(404);
    const created = await create(path, value);
    expect(created.status).toBe(201);
    expect(created.body).toEqual(value);
    expect(created.headers.get('chancery-position')).toBe(`1.${await admin.length()}`);

    const read = await admin.call('GET', path);
    expect(read.body).toEqual(value);
    expect(read.etag).toBe(created.etag);
    expect(read.etag).toMatch(/^"sha256:[0-9a-f]{64}"$/);
    const name = path.slice(list.length + 1);
    expect((await admin.call('GET', list)).body).toEqual({ items: [{ name, etag: read.etag, value }] });
    expect((await admin.call('GET', path, { headers: { 'if-none-match': read.etag } })).status).toBe(304);

    const replaced = await admin.call('PUT', path, { body: other, headers: { 'if-match': read.etag } });
    expect(replaced.status).toBe(200);
    expect(replaced.etag).not.toBe(read.etag);
    expect((await admin.call('GET', path)).body).toEqual(other);

    const deleted = await admin.call('DELETE', path, { headers: { 'if-match': replaced.etag } });
    expect(deleted.status).toBe(204);
    expect((await admin.call('GET', path)).status).toBe(404);
    expect((await admin.call('DELETE', path, { headers: { 'if-match': '*' } })).status).toBe(404);
  });

  it('changes only for who says what is changed', async () => {
    expect((await admin.call('PUT', path, { body: value })).status).toBe(428);
    const stale = { 'if-match': `"sha256:${'0'.repeat(64)}"` };
    expect((await admin.call('PUT', path, { body: value, headers: stale })).status).toBe(412);
    const { etag } = await create(path, value);
    const before = await admin.length();

    const refused = [
      await create(path, other),
      await admin.call('PUT', path, { body: other, headers: stale }),
      await admin.call('PUT', path, { body: other, headers: { 'if-match': `W/${etag}` } }),
      await admin.call('DELETE', path, { headers: stale }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([412, 412, 412, 412]);
    expect(refused.map(({ body }) => body.code)).toEqual(Array(4).fill('object_changed'));
    expect((await admin.call('DELETE', path)).body.code).toBe('precondition_required');
    expect((await admin.call('PUT', path, { body: other, headers: { 'if-match': 'x' } })).status).toBe(400);
    expect(await admin.length()).toBe(before);
    expect((await admin.call('GET', path)).body).toEqual(value);
  });

  it('stays as it is, without an entry, when it is put unchanged', async () => {
    const { etag } = await create(path, value);
    const before = await admin.length();
    const again = await admin.call('PUT', path, { body: value, headers: { 'if-match': etag } });
    expect(again.status).toBe(200);
    expect(again.etag).toBe(etag);
    expect(again.headers.get('chancery-position')).toBeNull();
    expect(await admin.length()).toBe(before);
  });

  it('has one winner when two callers change what both have read', async () => {
    const { etag } = await create(path, value);
    const before = await admin.length();
    const put = () => admin.call('PUT', path, { body: other, headers: { 'if-match': etag } });
    const remove = () => admin.call('DELETE', path, { headers: { 'if-match': etag } });
    const statuses = (await Promise.all([put(), remove(), remove()])).map(({ status }) => status);
    expect(statuses.filter((status) => status < 300)).toHaveLength(1);
    expect(
      statuses.filter((status) => status >= 300).every((status) => status === 412 || status === 404),
    ).toBe(true);
    expect(await admin.length()).toBe(before + 1);
  });

  it('refuses a member that it does not know, and says which', async () => {
    const answer = await create(path, { ...value, 'a/b~c': 1 });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([
      { pointer: '/a~1b~0c', code: 'additionalProperties', message: 'is not known' },
    ]);
    expect((await admin.call('GET', path)).status).toBe(404);
  });
});

describe('settings', () => {
  it('are put, read and guarded like every other object', async () => {
    expect((await admin.call('GET', '/v1/settings')).status).toBe(404);
    const created = await create('/v1/settings', { authenticate: 'jwt' });
    expect(created.status).toBe(201);
    const read = await admin.call('GET', '/v1/settings');
    expect(read.body).toEqual({ authenticate: 'jwt' });
    expect(read.etag).toBe(created.etag);
    expect((await admin.call('PUT', '/v1/settings', { body: {} })).status).toBe(428);
    expect((await create('/v1/settings', {})).status).toBe(412);
    const replaced = await admin.call('PUT', '/v1/settings', {
      body: {},
      headers: { 'if-match': read.etag },
    });
    expect(replaced.status).toBe(200);
  });

  it('name only policies that exist', async () => {
    const answer = await create('/v1/settings', {
      defaultPolicy: 'nobody',
      selectablePolicies: ['nobody-else'],
    });
    expect(answer.status).toBe(422);
    expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/defaultPolicy',
      '/selectablePolicies/0',
    ]);
  });
});

describe('what the registry refuses', () => {
  it('is 422 with a pointer: a policy that does not exist', async () => {
    const answer = await create('/v1/services/orders', { ...service, access: 'policy', policy: 'nobody' });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0]).toMatchObject({ pointer: '/policy', code: 'policy_unknown' });
  });

  it('is 422 with a pointer: authenticate on a service that only grants decide about', async () => {
    const answer = await create('/v1/services/orders', { ...service, authenticate: 'jwt' });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toBe('/authenticate');
  });

  it('is 422: deleting a service that has grants', async () => {
    await create('/v1/services/orders', service);
    await create('/v1/services/orders/grants/web', grant);
    const answer = await admin.call('DELETE', '/v1/services/orders', { headers: { 'if-match': '*' } });
    expect(answer.status).toBe(422);
    expect(answer.body.code).toBe('registry_rejected');
  });

  it('is 422: a second issuer of the same name in `iss`', async () => {
    await create('/v1/issuers/idp', issuer);
    const answer = await create('/v1/issuers/twin', issuer);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toBe('/issuer');
  });

  it('is 404: a grant of a service that does not exist', async () => {
    expect((await create('/v1/services/nobody/grants/web', grant)).status).toBe(404);
    expect((await admin.call('GET', '/v1/services/nobody/grants')).status).toBe(404);
  });
});

describe('lists', () => {
  it('come in pages, each saying where the next begins', async () => {
    for (const name of ['c', 'a', 'b'])
      await create(`/v1/services/${name}`, { ...service, prefix: `/${name}` });
    const answer = await admin.call('GET', '/v1/services?limit=2');
    const first = answer.body;
    expect(answer.headers.get('link')).toBe(`</v1/services?limit=2&cursor=${first.next}>; rel="next"`);
    expect(first.items.map(({ name }: { name: string }) => name)).toEqual(['a', 'b']);
    const second = (await admin.call('GET', `/v1/services?limit=2&cursor=${first.next}`)).body;
    expect(second.items.map(({ name }: { name: string }) => name)).toEqual(['c']);
    expect(second.next).toBeUndefined();
  });

  it('refuse a limit out of bounds instead of guessing', async () => {
    for (const limit of ['0', '1001', '-1', 'x', '1e3']) {
      expect((await admin.call('GET', `/v1/services?limit=${limit}`)).status).toBe(400);
    }
    expect((await admin.call('GET', '/v1/services?colour=red')).status).toBe(400);
  });
});

describe('a node', () => {
  it('has a bootstrap, and a status that says what was accepted and refused', async () => {
    expect((await admin.call('GET', '/v1/nodes/edge/bootstrap')).status).toBe(404);
    expect((await admin.call('GET', '/v1/nodes/edge/status')).status).toBe(404);
    await create('/v1/nodes/edge', { ...node, services: [] });
    expect((await admin.call('GET', '/v1/nodes/edge/bootstrap')).body).toEqual({ node: { id: 'edge' } });
    const unknown = await admin.call('GET', '/v1/nodes/edge/status');
    expect(unknown.body).toMatchObject({ connected: false, types: { routes: {} } });

    const lastNack = {
      version: 'v2',
      names: ['edge'],
      reason: 'no such cluster',
      at: '2026-01-01T00:00:00.000Z',
    };
    admin.setNodeStatus({
      connected: true,
      offeredPosition: { epoch: 1, seq: 7 },
      types: {
        cluster: {},
        secrets: {},
        extensions: {},
        runtime: {},
        endpoints: {},
        listener: {},
        routes: { sentVersion: 'v2', ackedVersion: 'v1', lastNack },
      },
    });
    const known = await admin.call('GET', '/v1/nodes/edge/status');
    expect(known.body).toMatchObject({ connected: true, offeredPosition: '1.7' });
    expect(known.body.types.routes).toEqual({ sentVersion: 'v2', ackedVersion: 'v1', lastNack });
  });
});
