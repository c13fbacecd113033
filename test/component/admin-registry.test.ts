import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

const CREATE = { 'if-none-match': '*' };
const service = (prefix: string, change: object = {}) => ({
  hosts: ['*'],
  prefix,
  access: 'grants',
  endpoints: [{ address: '127.0.0.1', port: 8080 }],
  ...change,
});
const node = (services: readonly string[]) => ({ services, listener: { address: '127.0.0.1', port: 10000 } });
const registered = { state: 'registered' };
const put = (kind: string, name: string, value: unknown, ifMatch?: string) => ({
  action: 'put',
  kind,
  name,
  value,
  ...(ifMatch !== undefined && { ifMatch }),
});
const remove = (kind: string, name: string) => ({ action: 'delete', kind, name });

/** Two services on a node, an app in a group that is granted the first. */
const WORLD = [
  put('node', 'edge', node(['births', 'deaths'])),
  put('grant', 'births/g1', { subject: { group: 'consumers' }, operations: ['read'] }),
  put('group', 'consumers', { members: [{ app: 'GOV/SIA/Benefits' }] }),
  put('app', 'GOV/SIA/Benefits', registered),
  put('member', 'GOV/SIA', { ...registered, name: 'Social Insurance' }),
  put(
    'service',
    'births',
    service('/births', { operations: [{ id: 'read', method: 'GET', path: '/births/{id}' }] }),
  ),
  put('service', 'deaths', service('/deaths')),
];

let admin: AdminHarness;
beforeEach(async () => {
  admin = await startAdmin();
});
afterEach(() => admin.close());

const change = (changes: readonly object[], query = '', headers: Record<string, string> = {}) =>
  admin.call('POST', `/v1/registry/changes${query}`, { body: { changes }, headers });
const DRY = '?dryRun=true';

describe('a set of changes', () => {
  it('is one commit, whatever the order in which its parts refer to each other', async () => {
    const before = await admin.length();
    const answer = await change(WORLD);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('chancery-position')).toBe(`1.${before + WORLD.length}`);
    expect(answer.body.committed).toBe(true);
    expect(answer.body.diff.changes).toEqual(
      WORLD.map(({ kind, name }) => ({ kind, name, action: 'create' })),
    );
    expect(answer.body.diff.nodes).toEqual(['edge']);
    expect(answer.body.diff.routes).toContainEqual({ route: 'births/read', change: 'added' });
    expect((await admin.call('GET', '/v1/apps/GOV/SIA/Benefits/identity')).body).toEqual({
      spiffe: 'spiffe://test/app/GOV/SIA/Benefits',
      counts: true,
      why: 'the app is registered, its member is registered',
      groups: ['consumers'],
    });
  });

  it('is told without being made, down to the routes and nodes that are concerned', async () => {
    await change(WORLD);
    const before = await admin.length();
    const dry = await change([put('app', 'GOV/SIA/Benefits', { state: 'suspended' })], DRY);
    expect(dry.status).toBe(200);
    expect(dry.body).toEqual({
      committed: false,
      diff: {
        changes: [{ kind: 'app', name: 'GOV/SIA/Benefits', action: 'replace' }],
        routes: [{ route: 'births/read', change: 'changed' }],
        nodes: ['edge'],
      },
    });
    expect(await admin.length()).toBe(before);
    expect((await admin.call('GET', '/v1/apps/GOV/SIA/Benefits')).body).toEqual(registered);
  });

  it('is refused as a whole, with everything that is wrong and where', async () => {
    const before = await admin.length();
    const answer = await change([
      ...WORLD,
      put('service', 'bad', service('/x/', { state: 'disabled' })),
      put('grant', 'births/g2', { subject: { app: 'GOV/NO/App' }, operations: ['none'] }),
    ]);
    expect(answer.status).toBe(422);
    expect(answer.body.code).toBe('registry_rejected');
    expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/changes/7/value/prefix',
      '/changes/7/value/notice',
      '/changes/8/value/subject/app',
      '/changes/8/value/operations/0',
    ]);
    expect(await admin.length()).toBe(before);
  });

  it('deletes together what could not be deleted alone', async () => {
    await change(WORLD);
    const alone = await change([remove('group', 'consumers')]);
    expect(alone.status).toBe(422);
    expect(alone.body.errors[0].message).toBe('grants name this group: births/g1');
    const together = await change([remove('group', 'consumers'), remove('grant', 'births/g1')]);
    expect(together.status).toBe(201);
    expect(together.body.diff.routes).toEqual([{ route: 'births/read', change: 'changed' }]);
    expect((await change([remove('group', 'consumers')])).status).toBe(404);
  });

  it('holds each object to the ETag that its reader had', async () => {
    await change(WORLD);
    const { etag } = await admin.call('GET', '/v1/groups/consumers');
    const empty = { members: [] };
    const stale = await change([put('group', 'consumers', empty, '"other"'), remove('node', 'edge')]);
    expect(stale.status).toBe(412);
    expect(stale.body.errors[0].pointer).toBe('/changes/0/ifMatch');
    expect((await admin.call('GET', '/v1/nodes/edge')).status).toBe(200);
    expect((await change([put('group', 'consumers', empty, etag)])).status).toBe(201);
    expect((await change([put('group', 'consumers', empty, etag)])).status).toBe(412);
  });

  it('that changes nothing is no commit', async () => {
    await change(WORLD);
    const before = await admin.length();
    const again = await change(WORLD);
    expect([again.status, again.body.committed, again.body.diff.changes]).toEqual([200, false, []]);
    expect(await admin.length()).toBe(before);
  });

  it('is made once with one Idempotency-Key, also where it is a long one', async () => {
    const key = { 'idempotency-key': 'once' };
    const first = await change(WORLD, '', key);
    const before = await admin.length();
    const second = await change(WORLD, '', key);
    expect([second.status, second.body]).toEqual([201, { committed: true }]);
    expect(second.headers.get('chancery-position')).toBe(first.headers.get('chancery-position'));
    expect((await change(WORLD.slice(1), '', key)).body.code).toBe('idempotency_key_reused');
    expect(await admin.length()).toBe(before);
  });

  it.each([
    ['a put without a value', [{ action: 'put', kind: 'group', name: 'g' }]],
    ['a delete with one', [{ ...remove('group', 'g'), value: {} }]],
    ['the end of the settings', [remove('settings', 'settings')]],
    ['an object twice', [put('group', 'g', { members: [] }), put('group', 'g', { members: [] })]],
    [
      'a policy that nobody published',
      [put('service', 's', service('/s', { access: 'policy', policy: 'no' }))],
    ],
    ['a name that is none', [put('group', 'G', { members: [] })]],
  ])('is refused with %s', async (_, changes) => {
    expect((await change(changes)).status).toBe(422);
  });
});

describe('the document of everything', () => {
  const get = () => admin.call('GET', '/v1/config');
  const apply = (body: unknown, etag: string, query = '') =>
    admin.call('PUT', `/v1/config${query}`, { body, headers: { 'if-match': etag } });

  it('comes back as it was given, and changes nothing when it is given back', async () => {
    await change(WORLD);
    const { body, etag } = await get();
    expect(body).toEqual({
      members: { 'GOV/SIA': { state: 'registered', name: 'Social Insurance' } },
      apps: { 'GOV/SIA/Benefits': registered },
      groups: { consumers: { members: [{ app: 'GOV/SIA/Benefits' }] } },
      services: Object.fromEntries(
        WORLD.filter(({ kind }) => kind === 'service').map(({ name, value }) => [name, value]),
      ),
      grants: { births: { g1: { subject: { group: 'consumers' }, operations: ['read'] } } },
      nodes: { edge: node(['births', 'deaths']) },
    });
    const same = await apply(body, etag);
    expect([same.status, same.body.committed, same.body.diff.changes]).toEqual([200, false, []]);
    const before = await admin.length();
    const plan = await admin.call('PUT', `/v1/config${DRY}`, { body: {} });
    expect(plan.body.diff.changes).toHaveLength(WORLD.length);
    expect(await admin.length()).toBe(before);
    expect((await apply({}, etag)).body.committed).toBe(true);
    expect((await get()).body).toEqual({});
    expect((await apply(body, (await get()).etag)).body.committed).toBe(true);
    expect((await get()).body).toEqual(body);
  });

  it('deletes what it does not describe, and refuses to leave a name behind', async () => {
    await change(WORLD);
    const { body, etag } = await get();
    const { groups: _groups, ...without } = body;
    const refused = await apply(without, etag);
    expect(refused.status).toBe(422);
    expect(refused.body.errors[0]).toMatchObject({
      pointer: '/groups/consumers',
      message: 'grants name this group: births/g1',
    });
    const { grants: _grants, ...fine } = without;
    const planned = await apply(fine, etag, DRY);
    expect(planned.body.diff.changes).toEqual([
      { kind: 'grant', name: 'births/g1', action: 'delete' },
      { kind: 'group', name: 'consumers', action: 'delete' },
    ]);
    expect((await apply(fine, etag)).body.diff).toEqual(planned.body.diff);
  });

  it('is refused when the journal has gone on since it was read', async () => {
    const { etag } = await get();
    await change(WORLD);
    expect((await apply({}, etag)).status).toBe(412);
    expect((await admin.call('PUT', '/v1/config', { body: {} })).status).toBe(428);
    expect((await apply({}, '*')).status).toBe(200);
  });

  it('is applied once with one Idempotency-Key', async () => {
    const { etag } = await get();
    const headers = { 'if-match': etag, 'idempotency-key': 'document' };
    const body = { groups: { g: { members: [] } } };
    const first = await admin.call('PUT', '/v1/config', { body, headers });
    const before = await admin.length();
    const again = await admin.call('PUT', '/v1/config', { body, headers });
    expect([again.status, again.body]).toEqual([200, { committed: true }]);
    expect(again.headers.get('chancery-position')).toBe(first.headers.get('chancery-position'));
    const reused = await admin.call('PUT', '/v1/config', { body: {}, headers });
    expect(reused.body.code).toBe('idempotency_key_reused');
    expect(await admin.length()).toBe(before);
  });

  it('points at what is wrong by the names in it', async () => {
    const document = { members: { 'GOV/A': { state: 'disabled' } }, services: { s: service('/s/') } };
    const answer = await apply(document, '*');
    expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/members/GOV~1A/notice',
      '/services/s/prefix',
    ]);
  });

  it('is spoken in YAML as well', async () => {
    await change(WORLD);
    const json = await get();
    const url = `${admin.url}/v1/config`;
    const headers = { authorization: `Bearer ${admin.token}` };
    const yaml = await fetch(url, { headers: { ...headers, accept: 'application/yaml' } });
    const text = await yaml.text();
    expect(yaml.headers.get('content-type')).toBe('application/yaml');
    expect(parse(text)).toEqual(json.body);
    const write = (body: string, query = '') =>
      fetch(`${url}${query}`, {
        method: 'PUT',
        body,
        headers: { ...headers, 'content-type': 'application/yaml', 'if-match': json.etag },
      });
    const same = await write(text);
    expect([same.status, ((await same.json()) as { committed: boolean }).committed]).toEqual([200, false]);
    for (const bad of ['a: [', 'a: &x {}\nb: *x', '- 1', 'services: {}\nservices: {}', 'x: !!binary aGk=']) {
      expect([bad, (await write(bad)).status]).toEqual([bad, 400]);
    }
    const elsewhere = await fetch(`${admin.url}/v1/services/s`, {
      method: 'PUT',
      body: 'a: 1',
      headers: { ...headers, ...CREATE, 'content-type': 'application/yaml' },
    });
    expect(elsewhere.status).toBe(415);
  });
});

describe('grants', () => {
  it('are found by service, by app through any of its names, and by group', async () => {
    await change([
      ...WORLD,
      put('grant', 'births/g2', {
        subject: { spiffe: 'spiffe://test/app/GOV/SIA/Benefits' },
        operations: ['*'],
      }),
      put('grant', 'deaths/g3', { subject: { app: 'GOV/SIA/Benefits' }, operations: ['*'] }),
      put('grant', 'deaths/g4', { subject: { spiffe: 'spiffe://test/other' }, operations: ['*'] }),
    ]);
    const names = async (query: string) => {
      const { body } = await admin.call('GET', `/v1/grants${query}`);
      return body.items.map(({ name }: { name: string }) => name);
    };
    expect(await names('')).toEqual(['births/g1', 'births/g2', 'deaths/g3', 'deaths/g4']);
    expect(await names('?service=deaths')).toEqual(['deaths/g3', 'deaths/g4']);
    expect(await names('?app=GOV/SIA/Benefits')).toEqual(['births/g1', 'births/g2', 'deaths/g3']);
    expect(await names('?group=consumers')).toEqual(['births/g1']);
    expect(await names('?app=GOV/SIA/Benefits&service=deaths')).toEqual(['deaths/g3']);
    const first = await admin.call('GET', '/v1/grants?limit=1&service=deaths');
    expect(first.body.items).toHaveLength(1);
    const next = await admin.call('GET', `/v1/grants?limit=1&service=deaths&cursor=${first.body.next}`);
    expect(next.body.items[0].name).toBe('deaths/g4');
  });
});

describe('the tier of an operation', () => {
  const tier = async (path: string) => (await admin.call('GET', `/v1/services/${path}`)).body;

  it('is told with the reason, and what the state of the service makes of it', async () => {
    await change([...WORLD, put('service', 'owned', service('/owned', { owner: 'GOV/SIA/Benefits' }))]);
    expect(await tier('births/operations/read')).toEqual({
      tiers: [1],
      why: ['access is "grants"', 'the route names its 1 callers: nobody is asked about them'],
      state: 'enabled',
      callers: 1,
      nodes: ['edge'],
    });
    expect(await tier('deaths/operations/*')).toMatchObject({ tiers: [1], callers: 0 });
    expect((await admin.call('GET', '/v1/services/births/operations/write')).status).toBe(404);
    await change([put('member', 'GOV/SIA', { state: 'suspended' })]);
    expect(await tier('births/operations/read')).toMatchObject({ tiers: [1], callers: 0 });
    expect(await tier('owned/operations/*')).toEqual({
      tiers: [],
      why: ['the member of its owner is suspended: the answer is 404'],
      state: 'closed',
      nodes: [],
    });
  });
});
