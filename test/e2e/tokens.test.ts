import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpAnswer, sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';

/** Allows every user, and passes on who it is: a bad token that reached it as a user would be forwarded. */
const USERS = `package envoy.authz
default allow := {"allowed": false, "http_status": 403, "body": "nobody"}
allow := {
	"allowed": true,
	"headers": {
		"x-user": input.identity.user.subject,
		"x-issuer": input.identity.user.issuer,
		"x-roles": input.identity.user.claims.roles,
	},
	"response_headers_to_add": {"x-decided-by": "users"},
}
`;

/** Allows everybody, and passes on what it sees. */
const SEEN = `package envoy.authz
allow := {
	"allowed": true,
	"headers": {
		"x-saw-authorization": object.get(input.attributes.request.http.headers, "authorization", "none"),
		"x-saw-identity": concat("", ["<", concat(",", sort(object.keys(input.identity))), ">"]),
	},
}
`;

/** `undefined` is left out of the token; jose's type knows only that it may be absent. */
const NO_EXPIRY = { exp: undefined } as unknown as { exp: number };
/** An option of Node 26 that its types do not know yet. */
const REPEATED_FIELDS: object = { strictSingleValueFields: false };
const CHALLENGE = 'Bearer error="invalid_token"';

describe('a route that demands a token', () => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  let port: number;
  let errorsBefore: number;
  let issuer: TestIssuer;
  let silentIssuer: TestIssuer;
  let valid: string;

  beforeAll(async () => {
    stack = await startStack({ set: ['identity.jwksCooldownSeconds=1'] });
    [issuer, silentIssuer] = await Promise.all([createTestIssuer(), createTestIssuer()]);
    port = await freePort();
    valid = await issuer.sign({ subject: 'alice', claims: { roles: ['editor', 'reader'] } });
    for (const [name, { issuer: iss, jwksUri, audience }] of Object.entries({ issuer, silentIssuer })) {
      const record = { issuer: iss, jwksUri, audiences: [audience], algorithms: ['RS256' as const] };
      await stack.putIssuer(name.toLowerCase(), record);
    }
    await stack.publishAndRelease('users', USERS);
    await stack.publishAndRelease('seen', SEEN);
    for (const authenticate of ['jwt', 'either'] as const) {
      await stack.putService(authenticate, { access: 'policy', policy: 'users', authenticate });
    }
    await stack.putService('none', { access: 'policy', policy: 'seen', authenticate: 'none' });
    await stack.putService('default', { access: 'policy', policy: 'seen' });
    await stack.putNode('edge-1', {
      services: ['jwt', 'either', 'none', 'default'],
      listener: { address: '127.0.0.1', port },
    });
    envoy = await stack.startNode('edge-1');
    await eventually('a valid token passes', async () => (await bearer('/jwt', valid)).status === 200);
    await eventually('the other policy answers', async () => (await send('/none')).status === 200);
    errorsBefore = await envoy.stat('http.chancery.ext_authz.pdp.error');
  });
  afterAll(async () => {
    await stack?.stop();
    await issuer?.close();
    await silentIssuer?.close();
  });

  const send = (path: string, ...authorization: string[]): Promise<HttpAnswer> =>
    sendRequest(port, path, { headers: { Authorization: authorization } });
  const bearer = (path: string, token: string): Promise<HttpAnswer> => send(path, `Bearer ${token}`);
  const expectAliceForwarded = async (path: string): Promise<void> => {
    const answer = await expectForwarded(stack.upstream, () => bearer(path, valid));
    expect(answer.headers['x-decided-by']).toBe('users');
    expect(stack.upstream.lastHeaders()).toMatchObject({ 'x-user': 'alice', 'x-issuer': issuer.issuer });
    expect(stack.upstream.lastValues('x-roles').join()).toBe('editor,reader');
  };

  it.each<[string, string, () => Promise<string> | string]>([
    ['an expired one', 'credential_expired', () => issuer.expired()],
    ['one without expiry', 'credential_invalid', () => issuer.sign({ claims: NO_EXPIRY })],
    ['one of another issuer', 'issuer_unknown', () => issuer.sign({ issuer: 'https://other.example' })],
    ['one for another audience', 'credential_invalid', () => issuer.sign({ audience: 'payments' })],
    ['one with alg: none', 'credential_invalid', () => issuer.algNone()],
    ['one signed with another key', 'credential_invalid', () => issuer.wrongKey()],
    ['one signed by HS256 with the public key', 'credential_invalid', () => issuer.hs256WithPublicKey()],
    ['one whose payload was changed', 'credential_invalid', () => withSubject(valid, 'root')],
    ['what is no token', 'credential_invalid', () => 'abc'],
  ])('answers 401 to %s, forwards nothing, and then takes the valid token', async (_, code, make) => {
    const token = await make();
    for (const path of ['/jwt', '/either']) {
      const answer = await expectRefused(stack.upstream, () => bearer(path, token), 401);
      expect(answer.headers['www-authenticate']).toBe(CHALLENGE);
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(JSON.parse(answer.body)).toMatchObject({ status: 401, code });
      expect(answer.body).not.toContain(token);
      await expectAliceForwarded(path);
    }
  });

  it('answers 401 authentication_required to no token at all, and then takes the valid one', async () => {
    for (const path of ['/jwt', '/either']) {
      const answer = await expectRefused(stack.upstream, () => send(path), 401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(JSON.parse(answer.body)).toMatchObject({ status: 401, code: 'authentication_required' });
      await expectAliceForwarded(path);
    }
  });

  it.each([
    ['two valid ones', () => [`Bearer ${valid}`, `Bearer ${valid}`]],
    ['a valid one and then Basic', () => [`Bearer ${valid}`, 'Basic YTpi']],
    ['Basic and then a valid one', () => ['Basic YTpi', `Bearer ${valid}`]],
    ['two in one header', () => [`Bearer ${valid}, Bearer ${valid}`]],
  ])('answers 401 credential_ambiguous to %s', async (_, authorization) => {
    for (const path of ['/jwt', '/either']) {
      const answer = await expectRefused(stack.upstream, () => send(path, ...authorization()), 401);
      expect(answer.headers['www-authenticate']).toBe(CHALLENGE);
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'credential_ambiguous' });
    }
    await expectAliceForwarded('/jwt');
  });

  it('answers 401 credential_ambiguous to two Authorization headers over HTTP/2 too', async () => {
    const before = stack.upstream.count();
    const { status, body } = await sendHttp2(port, '/jwt', [`Bearer ${valid}`, `Bearer ${valid}`]);
    expect(status).toBe(401);
    expect(JSON.parse(body)).toMatchObject({ code: 'credential_ambiguous' });
    expect(stack.upstream.count()).toBe(before);
    expect((await sendHttp2(port, '/jwt', [`Bearer ${valid}`])).status).toBe(200);
    expect(stack.upstream.count()).toBe(before + 1);
  });

  it.each([
    ['another scheme', 'Basic YTpi'],
    ['an empty header', ''],
    ['a bare Bearer', 'Bearer'],
  ])('answers 401 to %s: bad is not absent', async (_, authorization) => {
    for (const path of ['/jwt', '/either']) {
      const answer = await expectRefused(stack.upstream, () => send(path, authorization), 401);
      expect(answer.headers['www-authenticate']).toBe(CHALLENGE);
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'credential_invalid' });
    }
  });

  it('looks for a token in one place only, and lets no header of the client stand for a user', async () => {
    await expectRefused(stack.upstream, () => send(`/jwt?access_token=${valid}`), 401);
    const headers = { 'x-user': 'root', 'proxy-authorization': `Bearer ${valid}` };
    await expectRefused(stack.upstream, () => sendRequest(port, '/jwt', { headers }), 401);

    const both = { 'x-user': 'root', authorization: `Bearer ${valid}` };
    await expectForwarded(stack.upstream, () => sendRequest(port, '/jwt', { headers: both }));
    expect(stack.upstream.lastValues('x-user')).toEqual(['alice']);
  });

  it('answers 503 while the keys of an issuer cannot be read, and takes its tokens afterwards', async () => {
    silentIssuer.answerWith(500);
    const token = await silentIssuer.sign({ subject: 'bob', claims: { roles: [] } });
    const answer = await expectRefused(stack.upstream, () => bearer('/jwt', token), 503);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'issuer_unavailable' });
    await expectAliceForwarded('/jwt');

    silentIssuer.answerWith(200);
    await eventually('the keys are read again', async () => (await bearer('/jwt', token)).status === 200);
    expect(stack.upstream.lastHeaders()['x-user']).toBe('bob');
  });

  it.each(['/none', '/default'])(
    '%s demands nothing: the policy sees the header and no user',
    async (path) => {
      for (const authorization of [`Bearer ${valid}`, `Bearer ${await issuer.expired()}`, 'Basic YTpi']) {
        await expectForwarded(stack.upstream, () => send(path, authorization));
        expect(stack.upstream.lastHeaders()).toMatchObject({
          'x-saw-authorization': authorization,
          'x-saw-identity': '<>',
        });
      }
      await expectForwarded(stack.upstream, () => send(path));
      expect(stack.upstream.lastHeaders()['x-saw-authorization']).toBe('none');
    },
  );

  it('is decided by calls that all end OK: a refusal is no error of the authorizer', async () => {
    expect(await envoy.stat('http.chancery.ext_authz.pdp.denied')).toBeGreaterThan(0);
    expect(await envoy.stat('http.chancery.ext_authz.pdp.error')).toBe(errorsBefore);
  });
});

/** The same token for another subject, with the signature of the first. */
function withSubject(token: string, sub: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  return [header, Buffer.from(JSON.stringify({ ...claims, sub })).toString('base64url'), signature].join('.');
}

async function sendHttp2(
  port: number,
  path: string,
  authorization: string[],
): Promise<{ status: number; body: string }> {
  const session = connect(`http://127.0.0.1:${port}`, REPEATED_FIELDS);
  try {
    const fields = authorization.flatMap((value) => ['authorization', value]);
    const own = [':method', 'GET', ':path', path, ':scheme', 'http', ':authority', 'test.example'];
    const stream = session.request([...own, ...fields]);
    return await new Promise((resolve, reject) => {
      let status = 0;
      let body = '';
      session.once('error', reject);
      stream.setTimeout(10_000, () => reject(new Error('no answer within 10 s')));
      stream.once('error', reject);
      stream.once('response', (headers) => {
        status = headers[':status'] ?? 0;
      });
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      stream.once('end', () => resolve({ status, body }));
      stream.end();
    });
  } finally {
    session.close();
  }
}
