import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

let admin: AdminHarness;
beforeEach(async () => {
  admin = await startAdmin({ options: { maxBodyBytes: 2_048 } });
});
afterEach(() => admin.close());

const put = (raw: string | Uint8Array, headers: Record<string, string> = {}) =>
  admin.call('PUT', '/v1/services/orders', { raw, headers: { 'if-none-match': '*', ...headers } });

describe('every refusal is a problem document', () => {
  it('with all that is wrong in the body, each with its pointer', async () => {
    const answer = await put(
      JSON.stringify({
        hosts: [],
        access: 'maybe',
        endpoints: [{ address: '127.0.0.1', port: '80', zone: 'a' }],
      }),
    );
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toMatchObject({ type: 'urn:chancery:problem:request_malformed', status: 400 });
    const places = answer.body.errors.map(({ pointer, code }: { pointer: string; code: string }) => [
      pointer,
      code,
    ]);
    expect(new Set(places.map(String))).toEqual(
      new Set(
        [
          ['/prefix', 'required'],
          ['/hosts', 'minItems'],
          ['/access', 'enum'],
          ['/endpoints/0/port', 'type'],
          ['/endpoints/0/zone', 'additionalProperties'],
        ].map(String),
      ),
    );
    expect(answer.body.errors.find(({ code }: { code: string }) => code === 'enum').message).toBe(
      'must be one of grants, policy, grants-and-policy',
    );
  });

  it.each([
    ['no JSON', '{"hosts":'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
    ['half a surrogate pair', '{"hosts":["\\ud800"]}'],
    ['a number out of range', '{"hosts":[1e999]}'],
    ['a member __proto__', '{"__proto__":{"access":"grants"}}'],
    ['nested very deep', `${'['.repeat(900)}${']'.repeat(900)}`],
    ['nothing', ''],
  ])('for a body that is %s', async (_what, raw) => {
    const answer = await put(raw);
    expect(answer.status).toBe(400);
    expect(answer.body.code).toBe('request_malformed');
  });

  it('for a body that is too large', async () => {
    const answer = await put(JSON.stringify({ hosts: ['x'.repeat(3_000)] }));
    expect(answer.status).toBe(413);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it('for a path parameter that is too long, whether it is asked by somebody or by nobody', async () => {
    const path = `/v1/services/${'a'.repeat(4_000)}`;
    const answer = await admin.call('GET', path);
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([
      { code: 'pattern', message: expect.stringMatching(/^path parameter name: /) },
    ]);
    expect((await admin.call('GET', path, { token: null })).status).toBe(401);
  });

  it('for a media type that is not JSON', async () => {
    expect((await put('hosts: []', { 'content-type': 'application/yaml' })).status).toBe(415);
    expect((await put('{}', { 'content-type': 'text/plain' })).status).toBe(415);
  });

  it('for a resource that does not exist, and a method that it does not have', async () => {
    const unknown = await admin.call('GET', '/v1/nothing');
    expect(unknown.status).toBe(404);
    expect(unknown.headers.get('content-type')).toBe('application/problem+json');
    const method = await admin.call('POST', '/v1/services/orders', { body: {} });
    expect(method.status).toBe(405);
    expect(method.headers.get('allow')).toBe('GET, PUT, DELETE');
    expect((await admin.call('GET', '/v1/nothing', { token: null })).status).toBe(401);
  });

  it('for a path parameter that is no name', async () => {
    const answer = await admin.call('GET', '/v1/services/UPPER');
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0].message).toMatch(/^path parameter name: /);
    expect((await admin.call('GET', '/v1/services/%ff')).status).toBe(400);
  });

  it('for bytes that are no HTTP', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(admin.url).port), '127.0.0.1', () =>
        socket.end('NONSENSE\r\n\r\n'),
      );
      let received = '';
      socket.on('data', (chunk) => {
        received += chunk.toString('utf8');
      });
      socket.on('close', () => resolve(received));
      socket.on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('content-type: application/problem+json');
    expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      code: 'request_malformed',
      status: 400,
    });
  });

  it('that says nothing of what went wrong inside', async () => {
    const failing = await startAdmin({
      policies: (real) => ({
        ...real,
        revisions: () => {
          throw new TypeError('secret inside');
        },
      }),
    });
    const answer = await failing.call('GET', '/v1/policies/demo');
    await failing.close();
    expect(answer.status).toBe(500);
    expect(JSON.stringify(answer.body)).not.toContain('secret inside');
    expect(answer.body.instance).toMatch(/^urn:uuid:/);
    const requestId = answer.body.instance.slice('urn:uuid:'.length);
    expect(failing.logged.find((line) => line.includes(requestId))).toBeDefined();
  });
});

describe('the admin server', () => {
  it('ends when it is told to, though a client keeps its connection', async () => {
    const other = await startAdmin();
    const socket = connect(Number(new URL(other.url).port), '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write('GET /v1/services HTTP/1.1\r\nhost: x\r\n'); // never finished
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    await other.close();
    await closed;
    await expect(fetch(other.url)).rejects.toThrow();
  });
});
