import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../../src/core/authorization-request.ts';
import { ZERO_DIGEST } from '../../src/core/digest.ts';
import { Failure } from '../../src/core/failure.ts';
import type { AuthenticateMode } from '../../src/core/principal.ts';
import { type Authenticate, createAuthenticator } from '../../src/identity/authenticate.ts';
import type { IdentityOptions } from '../../src/identity/options.ts';
import { createIssuers, type Issuers } from '../../src/identity/state.ts';
import { createAuthority, toUrlEncodedPem } from '../support/certificates.ts';
import { identityOptions } from '../support/identity-options.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';

const APP_A = 'spiffe://mesh/app/a';
let idp: TestIssuer;
let certificate: string;
let badCertificate: string;
let nowMs: number;
let issuers: Issuers;
let seq = 0;
let authenticate: Authenticate;

beforeAll(async () => {
  const authority = await createAuthority();
  certificate = toUrlEncodedPem((await authority.issue({ uris: [APP_A] })).certificate);
  badCertificate = toUrlEncodedPem((await authority.issue({ dnsNames: [APP_A] })).certificate);
  idp = await createTestIssuer();
});
afterAll(() => idp.close());
beforeEach(() => {
  nowMs = Date.now();
  idp.answerWith(200);
  start();
});

function start(changes: Partial<IdentityOptions> = {}): void {
  issuers = createIssuers();
  putIssuer();
  authenticate = createAuthenticator({
    issuers: issuers.view,
    options: identityOptions(changes),
    clock: { nowMs: () => nowMs },
  });
}
function putIssuer(changes: object = {}): void {
  seq += 1;
  const issuer = {
    issuer: idp.issuer,
    jwksUri: idp.jwksUri,
    audiences: [idp.audience],
    algorithms: ['RS256'],
    ...changes,
  };
  issuers.reducer.apply({
    seq,
    epoch: 1,
    digest: ZERO_DIGEST,
    at: '',
    actor: '',
    commitId: '',
    kind: 'issuer.put',
    body: { name: 'idp', issuer },
  });
}

interface Shown {
  readonly authorization?: string | readonly string[] | undefined;
  readonly certificate?: string;
  readonly principal?: string;
}
/** The principal, the deny reason, or the code of the Failure. */
async function outcome(mode: AuthenticateMode, shown: Shown): Promise<unknown> {
  const request: AuthorizationRequest = {
    contextExtension: () => undefined,
    headerValues: (name) =>
      name === 'authorization' && shown.authorization !== undefined ? [shown.authorization].flat() : [],
    sourceCertificate: shown.certificate ?? '',
    sourcePrincipal: shown.principal ?? (shown.certificate === undefined ? '' : APP_A),
    writeInput: () => new Uint8Array(),
  };
  try {
    return await authenticate(request, mode, () => AbortSignal.timeout(10_000));
  } catch (thrown) {
    return thrown instanceof Failure ? thrown.code : thrown;
  }
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const userOf = (subject = 'alice') => ({
  issuer: idp.issuer,
  subject,
  claims: expect.objectContaining({ sub: subject }),
});
const WORKLOAD = { spiffe: APP_A };

describe('a token', () => {
  it('of a registered issuer, for this audience, proves its user', async () => {
    expect(await outcome('jwt', bearer(await idp.sign({ claims: { groups: ['ops'] } })))).toEqual({
      user: { ...userOf(), claims: expect.objectContaining({ groups: ['ops'], aud: 'orders' }) },
    });
    expect(await outcome('jwt', { authorization: `bEARER  ${await idp.sign()}` })).toEqual({
      user: userOf(),
    });
  });

  it.each<[string, () => Promise<string> | string, string]>([
    ['expired', () => idp.expired(), 'credential_expired'],
    ['of an unknown issuer', () => idp.sign({ issuer: 'https://elsewhere.test' }), 'issuer_unknown'],
    ['for another audience', () => idp.sign({ audience: 'billing' }), 'credential_invalid'],
    ['with alg none', () => idp.algNone(), 'credential_invalid'],
    ['by another key', () => idp.wrongKey(), 'credential_invalid'],
    ['by HS256 with the public key as secret', () => idp.hs256WithPublicKey(), 'credential_invalid'],
    ['without exp', () => idp.sign({ claims: { exp: undefined as never } }), 'credential_invalid'],
    ['without sub', () => idp.sign({ claims: { sub: undefined as never } }), 'credential_invalid'],
    [
      'not valid yet',
      () => idp.sign({ claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }),
      'credential_invalid',
    ],
    [
      'with claims nested deeply',
      () => idp.sign({ claims: { deep: JSON.parse('['.repeat(40) + ']'.repeat(40)) } }),
      'credential_invalid',
    ],
    ['that is no JWT', () => 'hello', 'credential_invalid'],
    ['that is too long', () => idp.sign({ claims: { pad: 'x'.repeat(20_000) } }), 'credential_invalid'],
  ])('%s is refused', async (_title, token, code) => {
    expect(await outcome('jwt', bearer(await token()))).toBe(code);
    expect(await outcome('either', { ...bearer(await token()), certificate })).toBe(code);
  });

  it('cannot be verified while the keys cannot be read, and the issuer is not asked again at once', async () => {
    idp.answerWith(500);
    const before = idp.reads();
    const token = await idp.sign();
    expect(await outcome('jwt', bearer(token))).toBe('issuer_unavailable');
    expect(await outcome('jwt', bearer(token))).toBe('issuer_unavailable');
    expect(idp.reads() - before).toBe(1);
    idp.answerWith(200);
    nowMs += 6000;
    expect(await outcome('jwt', bearer(token))).toEqual({ user: userOf() });
  });

  it('is verified once while it is fresh, and never lives beyond its end or its issuer', async () => {
    const token = await idp.sign({ expiresInSeconds: 30 });
    expect(await outcome('jwt', bearer(token))).toEqual({ user: userOf() });
    expect(await outcome('jwt', bearer(token))).toEqual({ user: userOf() });
    nowMs += 40_000;
    expect(await outcome('jwt', bearer(token))).toBe('credential_expired');
    nowMs -= 40_000;
    putIssuer({ audiences: ['another'] });
    expect(await outcome('jwt', bearer(token))).toBe('credential_invalid');
  });

  it('has to come before the deadline', async () => {
    const request = {
      headerValues: () => [`Bearer ${token}`],
      sourceCertificate: '',
      sourcePrincipal: '',
      contextExtension: () => undefined,
      writeInput: () => new Uint8Array(),
    };
    const token = await idp.sign();
    await expect(authenticate(request, 'jwt', () => AbortSignal.abort())).rejects.toMatchObject({
      code: 'deadline_exceeded',
    });
  });
});

describe('Authorization', () => {
  it.each<[string, string | readonly string[], string]>([
    ['twice', ['Bearer a.b.c', 'Bearer a.b.c'], 'credential_ambiguous'],
    ['twice, of two schemes', ['Basic YTpi', 'Bearer a.b.c'], 'credential_ambiguous'],
    ['twice in one value', 'Bearer a.b.c,Bearer d.e.f', 'credential_ambiguous'],
    ['twice in one value, of two schemes', 'Basic YTpi, Bearer d.e.f', 'credential_ambiguous'],
    ['of another scheme', 'Basic YTpi', 'credential_invalid'],
    ['without a token', 'Bearer', 'credential_invalid'],
    ['with two words', 'Bearer a b', 'credential_invalid'],
    ['that is empty', '', 'credential_invalid'],
  ])('%s is never taken, and never counts as none', async (_title, authorization, code) => {
    expect(await outcome('jwt', { authorization })).toBe(code);
    expect(await outcome('either', { authorization, certificate })).toBe(code);
    expect(await outcome('none', { authorization })).toEqual({});
  });
});

describe('each mode', () => {
  it.each<[AuthenticateMode, unknown]>([
    ['none', {}],
    ['jwt', 'authentication_required'],
    ['mtls', 'authentication_required'],
    ['either', 'authentication_required'],
  ])('%s without any credential', async (mode, expected) => {
    expect(await outcome(mode, {})).toEqual(expected);
  });

  it.each<[AuthenticateMode, unknown]>([
    ['none', { workload: WORKLOAD }],
    ['jwt', 'authentication_required'],
    ['mtls', { workload: WORKLOAD }],
    ['either', { workload: WORKLOAD }],
  ])('%s with a certificate only', async (mode, expected) => {
    expect(await outcome(mode, { certificate })).toEqual(expected);
  });

  it.each<[AuthenticateMode, (user: unknown) => unknown]>([
    ['none', () => ({ workload: WORKLOAD })],
    ['jwt', (user) => ({ workload: WORKLOAD, user })],
    ['mtls', () => ({ workload: WORKLOAD })],
    ['either', (user) => ({ workload: WORKLOAD, user })],
  ])('%s with a certificate and a token', async (mode, expected) => {
    expect(await outcome(mode, { certificate, ...bearer(await idp.sign()) })).toEqual(expected(userOf()));
  });

  it.each<[AuthenticateMode, (user: unknown) => unknown]>([
    ['none', () => ({})],
    ['jwt', (user) => ({ user })],
    ['mtls', () => 'credential_invalid'],
    ['either', () => 'credential_invalid'],
  ])('%s with a certificate that names no workload and a good token', async (mode, expected) => {
    expect(await outcome(mode, { certificate: badCertificate, ...bearer(await idp.sign()) })).toEqual(
      expected(userOf()),
    );
  });

  it.each<[AuthenticateMode, unknown]>([
    ['none', {}],
    ['mtls', 'peer_mismatch'],
    ['either', 'peer_mismatch'],
  ])('%s with a certificate of somebody else', async (mode, expected) => {
    expect(await outcome(mode, { certificate, principal: 'spiffe://mesh/app/b' })).toEqual(expected);
  });

  it('mtls with the word of the proxy alone proves nobody', async () => {
    expect(await outcome('mtls', { principal: APP_A })).toBe('authentication_required');
  });
});
