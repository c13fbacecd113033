import { beforeAll, describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../../../src/core/authorization-request.ts';
import { createWorkloadProver } from '../../../src/identity/workload.ts';
import {
  createAuthority,
  type LeafOptions,
  type TestAuthority,
  toUrlEncodedPem,
} from '../../support/certificates.ts';

const APP_A = 'spiffe://mesh/app/a';
const APP_B = 'spiffe://mesh/app/b';
const NOW_MS = Date.now();

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createAuthority();
});

function request(sourceCertificate: string, sourcePrincipal: string): AuthorizationRequest {
  return {
    sourceCertificate,
    sourcePrincipal,
    contextExtension: () => undefined,
    headerValues: () => [],
    writeInput: () => new Uint8Array(),
  };
}
async function prove(options: LeafOptions, principal: string, nowMs = NOW_MS) {
  const { certificate } = await authority.issue(options);
  return createWorkloadProver({ nowMs: () => nowMs })(request(toUrlEncodedPem(certificate), principal));
}
const PROVEN = { kind: 'proven', workload: { spiffe: APP_A } };
const INVALID = { kind: 'refused', failure: { code: 'credential_invalid' } };

describe('a workload', () => {
  it('is proven by a certificate with exactly one URI SAN that the proxy names too', async () => {
    expect(await prove({ uris: [APP_A] }, APP_A)).toEqual(PROVEN);
    expect(await prove({ uris: [APP_A], dnsNames: ['a.test'], ipAddresses: ['10.0.0.1'] }, APP_A)).toEqual(
      PROVEN,
    );
  });

  it.each<[string, LeafOptions, string]>([
    ['no name at all', {}, 'CN=leaf'],
    ['the granted name as a DNS SAN', { dnsNames: [APP_A] }, APP_A],
    ['a DNS SAN that looks like two names', { dnsNames: [`x, URI:${APP_A}`] }, APP_A],
    ['the granted name second of two URI SANs', { uris: [APP_B, APP_A] }, APP_A],
    ['the granted name first of two URI SANs', { uris: [APP_A, APP_B] }, APP_A],
    ['the granted name twice', { uris: [APP_A, APP_A] }, APP_A],
    ['a URI SAN that is no SPIFFE ID', { uris: ['https://mesh/app/a'] }, 'https://mesh/app/a'],
    ['a trust domain alone', { uris: ['spiffe://mesh'] }, 'spiffe://mesh'],
    ['a SPIFFE ID with a query', { uris: [`${APP_A}?x`] }, `${APP_A}?x`],
    ['a SPIFFE ID with a comma', { uris: [`${APP_A},x`] }, `${APP_A},x`],
    ['a SPIFFE ID with a NUL', { uris: [`${APP_A}\0x`] }, APP_A],
  ])('is not proven by a certificate with %s', async (_title, options, principal) => {
    expect(await prove(options, principal)).toMatchObject(INVALID);
  });

  it('is refused as a mismatch when certificate and principal disagree', async () => {
    expect(await prove({ uris: [APP_A] }, APP_B)).toMatchObject({
      kind: 'refused',
      failure: { code: 'peer_mismatch' },
    });
    expect(await prove({ uris: [APP_A] }, '')).toMatchObject({
      kind: 'refused',
      failure: { code: 'peer_mismatch' },
    });
  });

  it('is refused when the certificate has expired in the meantime', async () => {
    const notAfter = new Date(NOW_MS + 3_600_000);
    expect(await prove({ uris: [APP_A], notAfter }, APP_A)).toEqual(PROVEN);
    expect(await prove({ uris: [APP_A], notAfter }, APP_A, NOW_MS + 3_700_000)).toMatchObject({
      failure: { code: 'credential_expired' },
    });
  });

  it('is neither proven nor refused without a certificate, whatever the proxy says', () => {
    expect(createWorkloadProver({ nowMs: () => NOW_MS })(request('', APP_A))).toEqual({ kind: 'none' });
  });

  it('is refused when the certificate cannot be read, or is not one', async () => {
    const { certificate } = await authority.issue({ uris: [APP_A] });
    const prover = createWorkloadProver({ nowMs: () => NOW_MS });
    for (const text of ['%', 'hello', encodeURIComponent(certificate + certificate), 'a'.repeat(70_000)]) {
      expect(prover(request(text, APP_A))).toMatchObject(INVALID);
    }
  });
});
