import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeApi } from '../../src/admin/openapi-document.ts';
import type { OpenApiDocument } from '../support/admin-contract.ts';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

const CREATE = { 'if-none-match': '*' };
const service = (prefix: string) => ({
  hosts: ['once.example'],
  prefix,
  access: 'grants',
  endpoints: [{ address: '127.0.0.1', port: 9 }],
});
const policy = (rule: string) => ({ modules: { 'p.rego': `package envoy.authz\n\nallow := ${rule}\n` } });
const node = (port: number) => ({ services: [], listener: { address: '127.0.0.1', port } });
const grant = (who: string) => ({ subject: { spiffe: `spiffe://example/${who}` }, operations: ['*'] });
const issuer = (name: string) => ({
  issuer: `https://${name}.example`,
  jwksUri: `https://${name}.example/jwks`,
  audiences: ['api'],
  algorithms: ['ES256'],
});
const settings = (value: string) => ({ defaultPolicy: value });

/** Each PUT of the API with two bodies; what comes later may rely on what came before. */
const PUTS: readonly (readonly [id: string, path: string, body: object, other: object])[] = [
  ['putPolicy', '/v1/policies/once', policy('true'), policy('false')],
  ['putMember', '/v1/members/GOV/once', { state: 'registered' }, { state: 'suspended' }],
  ['putApp', '/v1/apps/GOV/once/x', { state: 'pending' }, { state: 'approved' }],
  ['putGroup', '/v1/groups/once', { members: [] }, { members: [], name: 'Once' }],
  ['putService', '/v1/services/once', service('/once'), service('/other')],
  ['putGrant', '/v1/services/once/grants/web', grant('web'), grant('app')],
  ['putNode', '/v1/nodes/once', node(10_000), node(10_001)],
  [
    'putNodeGroup',
    '/v1/node-groups/once',
    { nodes: [], services: ['once'] },
    { nodes: ['once'], services: [] },
  ],
  ['putIssuer', '/v1/issuers/once', issuer('one'), issuer('two')],
  ['putSettings', '/v1/settings', settings('once'), {}],
];

describe('an Idempotency-Key', () => {
  let admin: AdminHarness;
  beforeAll(async () => {
    admin = await startAdmin();
  });
  afterAll(() => admin.close());

  it('is taken by every call that changes something, and the cases here are all of the PUTs', async () => {
    const document = JSON.parse(JSON.stringify(await describeApi())) as OpenApiDocument;
    const writing = Object.values(document.paths)
      .flatMap((methods) => Object.entries(methods))
      .filter(([method, operation]) => method !== 'get' && 'x-required-scope' in operation);
    expect(writing.length).toBeGreaterThan(10);
    for (const [, operation] of writing) {
      const { parameters = [] } = operation as { readonly parameters?: readonly { readonly name: string }[] };
      expect(parameters.map(({ name }) => name.toLowerCase())).toContain('idempotency-key');
    }
    const puts = writing.filter(([method]) => method === 'put').map(([, { operationId }]) => operationId);
    // the document of everything is no object: see admin-registry.test.ts
    expect([...PUTS.map(([id]) => id), 'putConfig'].toSorted()).toEqual(puts.toSorted());
  });

  it.each(PUTS)('makes %s once, and answers it again as it was answered', async (id, path, body, other) => {
    const headers = { ...CREATE, 'idempotency-key': `${id}-1` };
    const first = await admin.call('PUT', path, { body, headers });
    expect(first.status).toBe(201);
    const length = await admin.length();
    const again = await admin.call('PUT', path, { body, headers });
    expect([again.status, again.etag, again.body]).toEqual([201, first.etag, first.body]);
    expect(again.headers.get('chancery-position')).toBe(first.headers.get('chancery-position'));
    const reused = await admin.call('PUT', path, { body: other, headers });
    expect([reused.status, reused.body.code]).toEqual([422, 'idempotency_key_reused']);
    expect(await admin.length()).toBe(length);

    const replaced = { 'if-match': first.etag, 'idempotency-key': `${id}-2` };
    const second = await admin.call('PUT', path, { body: other, headers: replaced });
    expect(second.status).toBe(200);
    const late = await admin.call('PUT', path, { body: other, headers: replaced });
    expect([late.status, late.etag, late.body]).toEqual([200, second.etag, second.body]);
    // the first answer still stands, though it is no longer what is there
    expect((await admin.call('PUT', path, { body, headers })).etag).toBe(first.etag);
    expect((await admin.call('GET', path)).etag).toBe(second.etag);
    expect(await admin.length()).toBe(length + 1);
  });

  it('makes eight equal PUTs at the same time one entry with one answer', async () => {
    const length = await admin.length();
    const headers = { ...CREATE, 'idempotency-key': 'at-once' };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        admin.call('PUT', '/v1/nodes/at-once', { body: node(10_002), headers }),
      ),
    );
    expect(new Set(answers.map(({ status, etag }) => `${status} ${etag}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(201);
    expect(await admin.length()).toBe(length + 1);
  });

  it('makes a DELETE once: repeated it is done, where without it there is nothing any more', async () => {
    const { etag } = await admin.call('PUT', '/v1/nodes/gone', { body: node(10_003), headers: CREATE });
    const headers = { 'if-match': etag, 'idempotency-key': 'delete-1' };
    const first = await admin.call('DELETE', '/v1/nodes/gone', { headers });
    const length = await admin.length();
    const again = await admin.call('DELETE', '/v1/nodes/gone', { headers });
    expect([first.status, again.status]).toEqual([204, 204]);
    expect(again.headers.get('chancery-position')).toBe(first.headers.get('chancery-position'));
    expect((await admin.call('DELETE', '/v1/nodes/gone', { headers: { 'if-match': etag } })).status).toBe(
      404,
    );
    expect(await admin.length()).toBe(length);
  });

  it('makes the revocation of a token once', async () => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const { body } = await admin.call('POST', '/v1/tokens', { body: { name: 'short', expiresAt } });
    const headers = { 'idempotency-key': 'revoke-1' };
    for (const _ of [1, 2]) {
      expect((await admin.call('DELETE', `/v1/tokens/${body.id}`, { headers })).status).toBe(204);
    }
    const { entries } = (await admin.call('GET', '/v1/journal?limit=1000')).body;
    const revocations = entries.filter(({ kind }: { kind: string }) => kind === 'token.revoke');
    expect(revocations).toHaveLength(1);
  });

  it('stands for one object and one operation: the same key elsewhere is another call', async () => {
    const headers = { ...CREATE, 'idempotency-key': 'shared' };
    const first = await admin.call('PUT', '/v1/nodes/left', { body: node(10_004), headers });
    const second = await admin.call('PUT', '/v1/nodes/right', { body: node(10_005), headers });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.etag).not.toBe(first.etag);
  });

  it('stands for one operation on it: with the key of the PUT, a DELETE deletes', async () => {
    const key = { 'idempotency-key': 'both' };
    const { etag } = await admin.call('PUT', '/v1/nodes/both', {
      body: node(10_007),
      headers: { ...CREATE, ...key },
    });
    const headers = { 'if-match': etag, ...key };
    expect((await admin.call('DELETE', '/v1/nodes/both', { headers })).status).toBe(204);
    expect((await admin.call('GET', '/v1/nodes/both')).status).toBe(404);
  });

  it('stands for one token: with the key of another, the same call is another one', async () => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const { body } = await admin.call('POST', '/v1/tokens', { body: { name: 'other', expiresAt } });
    const call = { body: node(10_008), headers: { ...CREATE, 'idempotency-key': 'mine' } };
    expect((await admin.call('PUT', '/v1/nodes/mine', call)).status).toBe(201);
    expect((await admin.call('PUT', '/v1/nodes/mine', { ...call, token: body.token })).status).toBe(412);
    expect((await admin.call('PUT', '/v1/nodes/mine', call)).status).toBe(201);
  });

  it('of a call that was refused stands for nothing: the call may be made again, changed', async () => {
    const headers = { ...CREATE, 'idempotency-key': 'refused' };
    expect((await admin.call('PUT', '/v1/nodes/late', { body: {}, headers })).status).toBe(400);
    const missing = await admin.call('PUT', '/v1/nodes/late', {
      body: { ...node(10_006), services: ['nobody'] },
      headers,
    });
    expect(missing.status).toBe(422);
    expect((await admin.call('PUT', '/v1/nodes/late', { body: node(10_006), headers })).status).toBe(201);
  });
});
