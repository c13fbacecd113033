import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { aCheckRequest, encodeCheckRequest } from '../../support/check-client.ts';
import { aRecord, eventOf, type LineOptions, lineOf } from '../../support/decision-record.ts';

const JWT = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2ln';
/** must never be in a line, in any encoding that we know */
const SECRET = 's3cret-value-7';

const request = (http: object, attributes: object = {}) =>
  aRecord({ request: encodeCheckRequest(aCheckRequest(http, attributes)) });
const raw = (headers: Readonly<Record<string, string>>): object => ({
  header_map: {
    headers: Object.entries(headers).map(([key, value]) => ({ key, raw_value: Buffer.from(value) })),
  },
});
const at = (event: Json | undefined, ...path: readonly string[]): Json | undefined =>
  path.reduce<Json | undefined>((node, key) => (node as JsonObject | undefined)?.[key], event);

function expectHidden(line: string, secret: string): void {
  expect(line).not.toContain(secret);
  expect(line).not.toContain(Buffer.from(secret).toString('base64').replaceAll('=', '').slice(1, -2));
  // three alignments of base64: whatever text it stands in
  for (const texts of line.matchAll(/"([A-Za-z0-9+/]{8,}={0,2})"/g))
    expect(Buffer.from(texts[1] ?? '', 'base64').toString('latin1')).not.toContain(secret);
}

describe('redaction by default', () => {
  it.each([
    'authorization',
    'proxy-authorization',
    'cookie',
    'set-cookie',
    'x-api-key',
    'X-Api-Key',
    'x-auth-token',
  ])('takes out the header %s in both forms, and says so', (name) => {
    const plain = lineOf(request({ headers: { [name]: SECRET, accept: 'text/plain' } })) ?? '';
    expectHidden(plain, SECRET);
    expect(plain).toContain('text/plain');
    expect(JSON.parse(plain).erased).toEqual([`/input/attributes/request/http/headers/${name}`]);
    const rawForm = lineOf(request(raw({ [name]: SECRET, accept: 'text/plain' }))) ?? '';
    expectHidden(rawForm, SECRET);
    expect(JSON.parse(rawForm).erased).toContain(
      '/input/attributes/request/http/headerMap/headers/0/rawValue',
    );
  });

  it('takes out headers, parameters and members that the configuration names', () => {
    const record = request({
      path: `/a?tenant-key=${SECRET}`,
      headers: { 'x-tenant-key': SECRET, 'content-type': 'application/json' },
      body: JSON.stringify({ deep: [{ TenantKey: SECRET }] }),
    });
    expect(lineOf(record)).toContain(SECRET);
    expectHidden(lineOf(record, { names: ['x-tenant-key', 'tenant_key'] }) ?? '', SECRET);
  });

  it.each<[string, object]>([
    ['a parameter of the query', { path: `/a?access_token=${SECRET}&b=1` }],
    ['a parameter that is spelled with escapes', { path: `/a?acce%73s_token=${SECRET}` }],
    ['a parameter in the fragment-like end', { path: `/a?x=1&Client-Secret=${SECRET}#token=${SECRET}` }],
    ['a one-time code of OAuth', { path: `/callback?code=${SECRET}&state=x` }],
    ['a signature of a signed URL', { path: `/a?X-Amz-Signature=${SECRET}` }],
    ['a token in the referer', { headers: { referer: `https://a.test/x?token=${SECRET}` } }],
    ['user and password of a URL in a header', { headers: { origin: `https://me:${SECRET}@a.test/` } }],
    ['a scheme with a credential in any header', { headers: { 'x-forwarded-authz': `Bearer ${SECRET}` } }],
  ])('takes out %s, in both forms of headers', (_title, http) => {
    const { path = '/', headers = {} } = http as { path?: string; headers?: Record<string, string> };
    for (const form of [
      { path, headers: { ':path': path, ...headers } },
      { path, ...raw({ ':path': path, ...headers }) },
    ]) {
      const line = lineOf(request(form)) ?? '';
      expectHidden(line, SECRET);
      expect([...(JSON.parse(line).erased ?? []), ...(JSON.parse(line).masked ?? [])]).not.toEqual([]);
    }
  });

  it.each<[string, object]>([
    ['a segment of the path', { path: `/reset/${JWT}/now` }],
    ['a parameter with a harmless name', { path: `/a?next=${JWT}` }],
    ['a header with a harmless name', { headers: { 'x-state': `v=${JWT}` } }],
    [
      'a member of a body with a harmless name',
      { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ note: JWT }) },
    ],
  ])('takes a JWT out of %s', (_title, http) => {
    expectHidden(lineOf(request(http)) ?? '', 'eyJzdWIiOiJhbGljZSJ9');
  });

  it('leaves the rest of a path with a secret in it', () => {
    const event = eventOf(
      request({ path: `/a/b?token=${SECRET}&page=2`, headers: { ':path': `/a/b?token=${SECRET}` } }),
    );
    expect(at(event, 'input', 'attributes', 'request', 'http', 'path')).toBe('/a/b?token=redacted&page=2');
    expect(at(event, 'input', 'parsed_query')).toEqual({ page: ['2'] });
    expect(event['masked']).toEqual([
      '/input/attributes/request/http/headers/:path',
      '/input/attributes/request/http/path',
    ]);
    expect(event['erased']).toEqual(['/input/parsed_query/token']);
  });

  it('takes out raw bodies, and keeps the parsed one without its secrets', () => {
    const body = JSON.stringify({ user: 'alice', password: SECRET, list: [{ apiKey: SECRET }] });
    const headers = { 'content-type': 'application/json' };
    for (const http of [
      { headers, body },
      { headers, raw_body: Buffer.from(body) },
    ]) {
      const event = eventOf(request(http));
      expectHidden(JSON.stringify(event), SECRET);
      expect(at(event, 'input', 'parsed_body')).toEqual({ user: 'alice', list: [{}] });
      expect(at(event, 'input', 'attributes', 'request', 'http', 'body')).toBeUndefined();
    }
    expect(
      at(
        eventOf(request({ body: 'plain' }), { bodies: true }),
        'input',
        'attributes',
        'request',
        'http',
        'body',
      ),
    ).toBe('plain');
  });

  it('keeps raw bodies, where that is wanted, only of what held no secret, and finds a JWT in bytes', () => {
    const headers = { 'content-type': 'application/json' };
    const secret = JSON.stringify({ user: 'alice', password: SECRET });
    for (const form of [{ body: secret }, { raw_body: Buffer.from(secret) }]) {
      const line = lineOf(request({ headers, ...form }), { bodies: true }) ?? '';
      expectHidden(line, SECRET);
      expect(line).toContain('"parsed_body":{"user":"alice"}');
    }
    const plain = lineOf(request({ headers, body: '{"user":"alice"}' }), { bodies: true }) ?? '';
    expect(JSON.parse(plain).input.attributes.request.http.body).toBe('{"user":"alice"}');
    const bytes = lineOf(request({ raw_body: Buffer.from(`note ${JWT} \xff`) }), { bodies: true }) ?? '';
    expectHidden(bytes, 'eyJzdWIiOiJhbGljZSJ9');
    expect(bytes).toContain(Buffer.from('note redacted').toString('base64').slice(0, 12));
    expect(JSON.parse(bytes).masked).toEqual(['/input/attributes/request/http/rawBody']);
  });

  it.each<[string, LineOptions['claims'], JsonObject]>([
    ['none', [], {}],
    ['the named ones', ['roles'], { roles: ['reader'] }],
    ['all', ['*'], { roles: ['reader'], email: 'a@b.test' }],
  ])('keeps claims as configured: %s', (_title, claims, expected) => {
    const user = { issuer: 'idp', subject: 'alice', claims: { roles: ['reader'], email: 'a@b.test' } };
    const event = eventOf(aRecord({ identity: { user } }), { claims: claims ?? [] });
    expect(at(event, 'input', 'identity', 'user', 'claims')).toEqual(expected);
    expect(at(event, 'chancery', 'principal')).toEqual({ user: { issuer: 'idp', subject: 'alice' } });
  });

  it('takes out the claims that the proxy has left in its metadata', () => {
    const payload = { fields: { email: { stringValue: SECRET } } };
    const metadata = { 'envoy.filters.http.jwt_authn': payload, 'envoy.other': { fields: {} } };
    const line = lineOf(request({}, { metadata_context: { filter_metadata: metadata } })) ?? '';
    expectHidden(line, SECRET);
    expect(line).toContain('envoy.other');
  });

  it('takes secrets out of what the policy answered, and out of calls that it made', () => {
    const record = aRecord({
      resultText: JSON.stringify({ allowed: true, headers: { Authorization: SECRET, 'x-user': 'alice' } }),
      ndCalls: [
        { name: 'http.send', args: [`{"headers": {"x": "${SECRET}"}}`], text: '{"status": 200}' },
        { name: 'io.jwt.encode_sign', args: ['{}', '{}', `{"k": "${SECRET}"}`], text: `"${SECRET}"` },
        { name: 'rand.intn', args: [`"Bearer ${SECRET}"`, '5'], text: '3' },
        { name: 'time.now_ns', args: [], text: '1764403333123456789' },
      ],
    });
    const event = eventOf(record);
    expectHidden(JSON.stringify(event), SECRET);
    expect(event['result']).toEqual({ allowed: true, headers: { 'x-user': 'alice' } });
    expect(lineOf(record)).toContain('"nd_builtin_cache":{"time.now_ns":{"[]":1764403333123456789}}');
    expect(event['erased']).toEqual([
      '/nd_builtin_cache/http.send',
      '/nd_builtin_cache/io.jwt.encode_sign',
      '/nd_builtin_cache/rand.intn',
      '/result/headers/Authorization',
    ]);
  });

  it('says nothing of erased members where nothing was a secret', () => {
    const event = eventOf(aRecord());
    expect(Object.keys(event)).not.toContain('erased');
    expect(Object.keys(event)).not.toContain('masked');
  });
});
