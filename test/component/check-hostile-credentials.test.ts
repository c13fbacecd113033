/** Tokens, key sets and certificates made by somebody who means harm. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../../src/core/authorization-request.ts';
import { ZERO_DIGEST } from '../../src/core/digest.ts';
import { Failure } from '../../src/core/failure.ts';
import type { AuthenticateMode, Principal } from '../../src/core/principal.ts';
import { type Authenticate, createAuthenticator } from '../../src/identity/authenticate.ts';
import { createIssuers } from '../../src/identity/state.ts';
import {
  createAuthority,
  type LeafOptions,
  type TestAuthority,
  toUrlEncodedPem,
} from '../support/certificates.ts';
import { identityOptions } from '../support/identity-options.ts';

const ISSUER = 'https://idp.test';
const APP_A = 'spiffe://mesh/app/a';

let key: KeyObject;
let jwks: { keys: object[] };
let reads: number;
let nowMs: number;
let answer: () => Response;
let authenticate: Authenticate;
let authority: TestAuthority;

beforeAll(async () => {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  key = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  jwks = { keys: [{ ...jwk, kid: 'k1', alg: 'RS256', use: 'sig' }] };
  authority = await createAuthority();
});

beforeEach(() => {
  reads = 0;
  nowMs = Date.now();
  answer = () => Response.json(jwks);
  const issuers = createIssuers();
  const issuer = {
    issuer: ISSUER,
    jwksUri: `${ISSUER}/keys`,
    audiences: ['orders'],
    algorithms: ['RS256'],
  };
  const place = { seq: 1, epoch: 1, digest: ZERO_DIGEST, at: '', actor: '', commitId: '' };
  issuers.reducer.apply({ ...place, kind: 'issuer.put', body: { name: 'idp', issuer } });
  authenticate = createAuthenticator({
    issuers: issuers.view,
    options: identityOptions(),
    clock: { nowMs: () => nowMs },
    fetch: async () => {
      reads += 1;
      return answer();
    },
  });
});

interface Shown {
  readonly token?: string;
  readonly certificate?: string;
  readonly principal?: string;
}
async function outcome(mode: AuthenticateMode, shown: Shown): Promise<Principal | string> {
  const request: AuthorizationRequest = {
    contextExtension: () => undefined,
    headerValues: () => (shown.token === undefined ? [] : [`Bearer ${shown.token}`]),
    sourceCertificate: shown.certificate ?? '',
    sourcePrincipal: shown.principal ?? APP_A,
    writeInput: () => new Uint8Array(),
  };
  try {
    return await authenticate(request, mode, () => AbortSignal.timeout(5000));
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown.code;
    throw thrown;
  }
}

const part = (text: string): string => Buffer.from(text).toString('base64url');
/** Any header and any payload text, rightly signed. */
function signed(payload: string, header: object = {}): string {
  const text = `${part(JSON.stringify({ alg: 'RS256', kid: 'k1', ...header }))}.${part(payload)}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}
/** JSON of good claims, with more members as text. */
function claims(more = '', changes: object = {}): string {
  const now = Math.floor(nowMs / 1000);
  const good = JSON.stringify({ iss: ISSUER, sub: 'alice', aud: 'orders', exp: now + 600, ...changes });
  return more === '' ? good : `${good.slice(0, -1)},${more}}`;
}
const subjectOf = (result: Principal | string): string =>
  typeof result === 'string' ? result : (result.user?.subject ?? '');

describe('a rightly signed token', () => {
  it.each<[string, () => string, string]>([
    ['of the usual form', () => signed(claims()), 'alice'],
    ['without a key id, where there is one key', () => signed(claims(), { kid: undefined }), 'alice'],
    ['with our audience among others', () => signed(claims('', { aud: ['billing', 'orders'] })), 'alice'],
    ['of the type of access tokens', () => signed(claims(), { typ: 'at+jwt' }), 'alice'],
    [
      'with an audience inside another',
      () => signed(claims('', { aud: [['orders']] })),
      'credential_invalid',
    ],
    [
      'with an audience that only begins so',
      () => signed(claims('', { aud: 'orders-eu' })),
      'credential_invalid',
    ],
    ['with no audience', () => signed(claims('', { aud: undefined })), 'credential_invalid'],
    ['with an empty list of audiences', () => signed(claims('', { aud: [] })), 'credential_invalid'],
    ['with a critical extension', () => signed(claims(), { crit: ['exp'], exp: 1 }), 'credential_invalid'],
    [
      'with an unknown critical extension',
      () => signed(claims(), { crit: ['x'], x: 1 }),
      'credential_invalid',
    ],
    [
      'with a payload that is not encoded',
      () => signed(claims(), { b64: false, crit: ['b64'] }),
      'credential_invalid',
    ],
    ['with another key id', () => signed(claims(), { kid: 'k2' }), 'credential_invalid'],
    [
      'with its own key in the header',
      () => signed(claims(), { kid: 'k2', jwk: jwks.keys[0] }),
      'credential_invalid',
    ],
    ['with its end as text', () => signed(claims('', { exp: '9999999999' })), 'credential_invalid'],
    ['with an end far beyond the range of time', () => signed(claims('"exp":1e400')), 'credential_invalid'],
    [
      'not yet valid',
      () => signed(claims('', { nbf: Math.floor(nowMs / 1000) + 600 })),
      'credential_invalid',
    ],
    ['with a subject that is no text', () => signed(claims('', { sub: 1 })), 'credential_invalid'],
    ['with claims that are a list', () => signed('[1]'), 'credential_invalid'],
    [
      'with an issuer said twice, the last unknown',
      () => signed(claims('"iss":"https://x.test"')),
      'issuer_unknown',
    ],
    ['with a subject said twice: the last', () => signed(claims('"sub":"bob"')), 'bob'],
  ])('%s', async (_form, token, expected) => {
    expect(subjectOf(await outcome('jwt', { token: token() }))).toBe(expected);
  });

  it('cannot reach the prototype of anything by the names of its claims', async () => {
    const result = await outcome('jwt', {
      token: signed(claims('"__proto__":{"admin":true},"constructor":1')),
    });
    expect(JSON.stringify(result)).toContain('"__proto__":{"admin":true}');
    expect((result as Principal).user?.claims['admin']).toBeUndefined();
  });

  it.each(['9007199254740993', '-9007199254740993', '1e400', '[{"a":12345678901234567890}]'])(
    'is refused for the number %s, which a policy would see as another one',
    async (number) => {
      expect(await outcome('jwt', { token: signed(claims(`"account":${number}`)) })).toBe(
        'credential_invalid',
      );
      expect(subjectOf(await outcome('jwt', { token: signed(claims('"account":9007199254740991')) }))).toBe(
        'alice',
      );
    },
  );
});

describe('the keys of an issuer', () => {
  it.each<[string, () => Response]>([
    ['text that is no JSON', () => new Response('<html>')],
    ['JSON that is no key set', () => Response.json({ error: 'x' })],
    [
      'a redirection',
      () => new Response('', { status: 302, headers: { location: 'http://169.254.169.254/' } }),
    ],
    ['an endless key set', () => new Response('x'.repeat(600_000))],
  ])('are not asked for again at once after %s', async (_what, bad) => {
    answer = bad;
    expect(await outcome('jwt', { token: signed(claims()) })).toBe('issuer_unavailable');
    expect(await outcome('jwt', { token: signed(claims()) })).toBe('issuer_unavailable');
    expect(reads).toBe(1);
    answer = () => Response.json(jwks);
    nowMs += 6000;
    expect(subjectOf(await outcome('jwt', { token: signed(claims()) }))).toBe('alice');
  });

  it('are not read for each token with an unknown key id', async () => {
    expect(subjectOf(await outcome('jwt', { token: signed(claims()) }))).toBe('alice');
    for (let index = 0; index < 20; index += 1) {
      expect(await outcome('jwt', { token: signed(claims(), { kid: `x${index}` }) })).toBe(
        'credential_invalid',
      );
    }
    expect(reads).toBe(1);
  });
});

describe('a certificate', () => {
  const leaf = async (options: LeafOptions): Promise<string> =>
    toUrlEncodedPem((await authority.issue(options)).certificate);

  it.each<[string, LeafOptions]>([
    ['that names it in a DNS name with a comma', { dnsNames: [`x, URI:${APP_A}`] }],
    ['that names it in a quoted DNS name', { dnsNames: [`x", URI:${APP_A}`] }],
    ['that names it behind a line break', { dnsNames: [`x\nURI:${APP_A}`] }],
    ['that names it in a URI with a comma', { uris: [`https://x.test/, URI:${APP_A}`] }],
    ['with a URI and NUL behind it', { uris: [`${APP_A}\0.evil.test`] }],
    ['with a second URI of any kind', { uris: [APP_A, 'https://x.test/'] }],
    ['with a user before the trust domain', { uris: ['spiffe://x@mesh/app/a'] }],
    ['with a port', { uris: ['spiffe://mesh:443/app/a'] }],
    ['with percent-encoding', { uris: ['spiffe://mesh/app/%61'] }],
    ['with a query', { uris: [`${APP_A}?x`] }],
    ['with another case of the scheme', { uris: ['SPIFFE://mesh/app/a'] }],
    ['with letters that are not ASCII', { uris: ['spiffe://m\u00e9sh/app/a'] }],
    ['with dots for segments', { uris: ['spiffe://mesh/app/x/../a'] }],
    ['with a slash at its end', { uris: [`${APP_A}/`] }],
    ['without names', {}],
  ])('%s proves no workload', async (_form, options) => {
    const certificate = await leaf(options);
    for (const principal of [APP_A, options.uris?.[0] ?? '', options.dnsNames?.[0] ?? '']) {
      expect(await outcome('none', { certificate, principal })).toEqual({});
      expect(await outcome('mtls', { certificate, principal })).toBe('credential_invalid');
    }
  });

  it('is one: two, one behind text, and one with a key prove nothing', async () => {
    const good = (await authority.issue({ uris: [APP_A] })).certificate;
    const other = (await authority.issue({ uris: ['spiffe://mesh/app/b'] })).certificate;
    expect(await outcome('mtls', { certificate: toUrlEncodedPem(good) })).toEqual({
      workload: { spiffe: APP_A },
    });
    for (const pem of [
      good + other,
      other + good,
      `x\n${good}`,
      `${good}x`,
      good.replaceAll('CERTIFICATE', 'X'),
    ]) {
      expect(await outcome('mtls', { certificate: toUrlEncodedPem(pem) })).toBe('credential_invalid');
    }
    expect(await outcome('mtls', { certificate: '%' })).toBe('credential_invalid');
    expect(await outcome('mtls', { certificate: 'A'.repeat(1_000_000) })).toBe('credential_invalid');
  });
});
