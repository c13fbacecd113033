import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packBundle } from '../../src/policy/bundle-archive.ts';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

const CREATE = { 'if-none-match': '*' };
const TYPES = ['application/gzip', 'application/vnd.openpolicyagent.bundles'];
const source = {
  modules: {
    'policy.rego': 'package envoy.authz\n\nallow if data.limits.open\n',
    'policy_test.rego': 'package envoy.authz_test\n\ntest_open if data.envoy.authz.allow\n',
  },
  data: { limits: { open: true } },
  entrypoints: ['envoy/authz/allow'],
  smoke: [{ input: {}, result: true }],
};

describe('a policy as an OPA bundle', () => {
  let admin: AdminHarness;
  let revision: string;
  const read = (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${admin.url}${path}`, { headers: { authorization: `Bearer ${admin.token}`, ...headers } });
  const bytesOf = async (path: string): Promise<Buffer> =>
    Buffer.from(await (await read(path)).arrayBuffer());
  const put = (name: string, type: string, raw: Uint8Array) =>
    admin.call('PUT', `/v1/policies/${name}`, { raw, headers: { ...CREATE, 'content-type': type } });

  beforeAll(async () => {
    admin = await startAdmin();
    revision = (await admin.call('PUT', '/v1/policies/demo', { body: source, headers: CREATE })).body
      .revision;
  });
  afterAll(() => admin.close());

  it('is answered for a revision, always as the same bytes, and published again as the same revision', async () => {
    const path = `/v1/policies/demo/revisions/${revision}/bundle`;
    const answer = await read(path);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/gzip']);
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect(gunzipSync(bytes).toString('latin1')).toContain(revision);
    expect(await bytesOf(path)).toEqual(bytes);
    for (const [at, type] of TYPES.entries()) {
      const again = await put(`copy-${at}`, type, bytes);
      expect([again.status, again.body.revision]).toEqual([201, revision]);
      expect((await admin.call('GET', `/v1/policies/copy-${at}`)).body).toMatchObject(source);
    }
  });

  it('has a strong entity tag, and is not sent to who has it', async () => {
    const path = `/v1/policies/demo/revisions/${revision}/bundle`;
    const etag = (await read(path)).headers.get('etag') ?? '';
    expect(etag).toMatch(/^"sha256:[0-9a-f]{64}"$/);
    const again = await read(path, { 'if-none-match': etag });
    expect([again.status, again.headers.get('etag'), await again.text()]).toEqual([304, etag, '']);
    expect((await read(path, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('is the live revision below /v1/bundles, and changes with each release', async () => {
    expect((await read('/v1/bundles/demo')).status).toBe(404);
    await admin.call('POST', '/v1/releases', { body: { policy: 'demo', revision } });
    const first = await read('/v1/bundles/demo');
    expect(Buffer.from(await first.arrayBuffer())).toEqual(
      await bytesOf(`/v1/policies/demo/revisions/${revision}/bundle`),
    );
    const { etag } = await admin.call('GET', '/v1/policies/demo');
    const changed = { ...source, smoke: [] };
    const next = await admin.call('PUT', '/v1/policies/demo', {
      body: changed,
      headers: { 'if-match': etag },
    });
    const tag = { 'if-none-match': first.headers.get('etag') ?? '' };
    expect((await read('/v1/bundles/demo', tag)).status).toBe(304);
    await admin.call('POST', '/v1/releases', { body: { policy: 'demo', revision: next.body.revision } });
    expect((await read('/v1/bundles/demo', tag)).status).toBe(200);
  });

  it('is refused with the file that is wrong, by the bundle or by the compiler', async () => {
    const noGzip = await put('bad', 'application/gzip', Buffer.from('no gzip'));
    expect([noGzip.status, noGzip.body.code]).toEqual([400, 'request_malformed']);
    const bytes = await bytesOf(`/v1/policies/demo/revisions/${revision}/bundle`);
    const cut = await put('bad', 'application/gzip', bytes.subarray(0, -9));
    expect(cut.status).toBe(400);
    expect((await admin.call('GET', '/v1/policies/bad')).status).toBe(404);
  });

  it.each([
    ['half of a surrogate pair', '{"a":"\\ud800"}'],
    ['more levels than a JSON body may have', `${'{"a":'.repeat(101)}1${'}'.repeat(101)}`],
  ])('that holds %s is refused as the same JSON is, also when its key was used before', async (_, data) => {
    const bundle = (text: string): Promise<Uint8Array> =>
      packBundle(
        new Map([
          ['a.rego', Buffer.from(source.modules['policy.rego'])],
          ['data.json', Buffer.from(text)],
        ]),
      );
    const headers = {
      ...CREATE,
      'content-type': 'application/gzip',
      'idempotency-key': `keyed-${data.length}`,
    };
    const name = `/v1/policies/keyed-${data.length}`;
    expect((await admin.call('PUT', name, { raw: await bundle('{}'), headers })).status).toBe(201);
    const refused = await admin.call('PUT', name, { raw: await bundle(data), headers });
    expect([refused.status, refused.body.code]).toEqual([400, 'request_malformed']);
    expect(refused.body.errors[0]).toMatchObject({ code: 'not_portable' });
  });

  it('is taken by no other resource', async () => {
    const bytes = await bytesOf(`/v1/policies/demo/revisions/${revision}/bundle`);
    for (const type of TYPES) {
      const answer = await admin.call('PUT', '/v1/services/orders', {
        raw: bytes,
        headers: { ...CREATE, 'content-type': type },
      });
      expect(answer.status).toBe(415);
    }
  });
});
