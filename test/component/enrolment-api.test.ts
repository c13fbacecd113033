import 'reflect-metadata';
import { generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock } from '../../src/core/clock.ts';
import { createCertificateRequest, createNodeKey } from '../../src/identity/certificate-request.ts';
import { type AdminHarness, createTestToolchain, startAdmin } from '../support/admin-server.ts';

const HOUR_MS = 3_600_000;
let nowMs = Date.now();
const clock: Clock = { nowMs: () => nowMs };
const toolchain = createTestToolchain();
let admin: AdminHarness;

beforeAll(async () => {
  admin = await startAdmin({ clock, toolchain, enrolment: true });
  for (const id of ['edge', 'other']) await putNode(id);
});
afterAll(async () => {
  await admin.close();
  await toolchain.close();
});

async function putNode(id: string): Promise<string> {
  const body = { services: [], listener: { address: '127.0.0.1', port: 10_000 } };
  return (await admin.call('PUT', `/v1/nodes/${id}`, { body, headers: { 'if-none-match': '*' } })).etag;
}

async function tokenFor(node: string, body: object = {}): Promise<string> {
  const answer = await admin.call('POST', `/v1/nodes/${node}/enrolment-tokens`, { body });
  expect(answer.status).toBe(201);
  return answer.body.token;
}

const enrol = (token: string | null, csr: string) =>
  admin.call('POST', '/v1/enrolments', { token, body: { csr } });

const aRequest = async (): Promise<string> => createCertificateRequest(createNodeKey());

/** What OpenSSL or an attacker would make: names and extensions of one's own choice. */
async function requestOf(options: {
  readonly names?: string;
  readonly algorithm?: 'ed25519' | 'rsa1024' | 'p521';
}) {
  const { algorithm } = options;
  const params =
    algorithm === 'ed25519'
      ? { name: 'Ed25519' }
      : algorithm === 'rsa1024'
        ? {
            name: 'RSASSA-PKCS1-v1_5',
            hash: 'SHA-256',
            modulusLength: 1024,
            publicExponent: new Uint8Array([1, 0, 1]),
          }
        : { name: 'ECDSA', namedCurve: algorithm === 'p521' ? 'P-521' : 'P-256', hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(params, true, ['sign', 'verify'])) as CryptoKeyPair;
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: options.names ?? 'CN=x',
    keys,
    signingAlgorithm: { ...params, hash: 'SHA-256' },
  });
  return request.toString('pem');
}

describe('an enrolment token', () => {
  it('is shown once, and the journal keeps nothing that could be shown', async () => {
    const headers = { 'idempotency-key': 'one' };
    const first = await admin.call('POST', '/v1/nodes/edge/enrolment-tokens', { body: {}, headers });
    expect(first.body).toMatchObject({
      node: 'edge',
      token: expect.stringMatching(/^chn_[0-9a-f]{18}\.\S{43}$/),
    });
    expect(Date.parse(first.body.expiresAt)).toBe(nowMs + HOUR_MS);
    const again = await admin.call('POST', '/v1/nodes/edge/enrolment-tokens', { body: {}, headers });
    expect([again.status, again.body.code]).toEqual([409, 'already_exists']);
    const journal = await admin.call('GET', '/v1/journal?limit=100');
    expect(JSON.stringify(journal.body)).not.toContain(first.body.token.split('.')[1]);
    expect(admin.logged.join('\n')).not.toContain(first.body.token.split('.')[1]);
  });

  it('lives for at most a day, and is for a registered node', async () => {
    const issue = (node: string, body: object) =>
      admin.call('POST', `/v1/nodes/${node}/enrolment-tokens`, { body });
    expect((await issue('edge', { expiresInSeconds: 86_401 })).status).toBe(400);
    expect((await issue('nowhere', {})).status).toBe(404);
    expect((await issue('edge', { expiresInSeconds: 86_400 })).status).toBe(201);
  });

  it('gets one certificate, for its node and for 24 hours, whatever the request says', async () => {
    const token = await tokenFor('edge');
    const csr = await requestOf({ names: 'CN=other,O=admin' });
    const { status, body, headers } = await enrol(token, csr);
    expect(status).toBe(201);
    expect(headers.get('chancery-position')).toMatch(/^1\.\d+$/);
    expect(body.node).toBe('edge');
    const certificate = new X509Certificate(body.certificate);
    const authority = new X509Certificate(body.authorities);
    expect(certificate.subject).toBe('CN=edge');
    expect(certificate.subjectAltName).toBe('URI:spiffe://test/node/edge');
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(certificate.serialNumber).toMatch(/^[0-9A-F]{32}$/);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(authority.ca).toBe(true);
    expect(Date.parse(body.notAfter)).toBe(Math.floor((nowMs + 24 * HOUR_MS) / 1000) * 1000);
    expect(certificate.validToDate.getTime()).toBe(Date.parse(body.notAfter));
    const lifeMs = certificate.validToDate.getTime() - certificate.validFromDate.getTime();
    const renewInMs = Date.parse(body.renewAfter) - certificate.validFromDate.getTime();
    expect(renewInMs / lifeMs).toBeCloseTo(2 / 3, 4);
  });

  it('is used up: another key is refused, the same key gets the same certificate again', async () => {
    const token = await tokenFor('edge', { expiresInSeconds: 60 });
    const key = createNodeKey();
    const first = await enrol(token, await createCertificateRequest(key));
    const length = await admin.length();
    const again = await enrol(token, await createCertificateRequest(key));
    expect([again.status, again.body]).toEqual([201, first.body]);
    const thief = await enrol(token, await aRequest());
    expect([thief.status, thief.body.code]).toEqual([401, 'credential_revoked']);
    expect(await admin.length()).toBe(length);
    nowMs += 60_000;
    const late = await enrol(token, await createCertificateRequest(key));
    expect([late.status, late.body.code]).toEqual([401, 'credential_expired']);
  });

  it('is good for one key of many that come at once', async () => {
    const token = await tokenFor('edge');
    const requests = await Promise.all([1, 2, 3, 4].map(aRequest));
    const answers = await Promise.all(requests.map((csr) => enrol(token, csr)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 401, 401, 401]);
  });

  it('ends when another is issued for its node, and when its node is revoked or deleted', async () => {
    const replaced = await tokenFor('other');
    const last = await tokenFor('other');
    expect((await enrol(replaced, await aRequest())).body.code).toBe('credential_invalid');
    expect((await admin.call('DELETE', '/v1/nodes/other/certificates')).status).toBe(204);
    expect((await enrol(last, await aRequest())).body.code).toBe('credential_invalid');
    const etag = await putNode('gone');
    const gone = await tokenFor('gone');
    const deleted = await admin.call('DELETE', '/v1/nodes/gone', { headers: { 'if-match': etag } });
    expect(deleted.status).toBe(204);
    await putNode('gone');
    expect((await enrol(gone, await aRequest())).body.code).toBe('credential_invalid');
  });

  it('that is expired, missing, of another kind or made up is refused, and the security log says who', async () => {
    const expired = await tokenFor('edge', { expiresInSeconds: 1 });
    nowMs += 1_000;
    const [, id = ''] = /chn_(\w+)/.exec(expired) ?? [];
    const seen = admin.logged.length;
    const codeOf = async (token: string | null) => (await enrol(token, await aRequest())).body.code;
    expect(await codeOf(expired)).toBe('credential_expired');
    expect(await codeOf(null)).toBe('credential_missing');
    expect(await codeOf(admin.token)).toBe('credential_invalid');
    expect(await codeOf(`${(await tokenFor('edge')).slice(0, -1)}!`)).toBe('credential_invalid');
    expect(await codeOf(`chn_${'0'.repeat(18)}.${'A'.repeat(43)}`)).toBe('credential_invalid');
    const [known] = (await tokenFor('edge')).split('.');
    expect(await codeOf(`${known}.${'A'.repeat(43)}`)).toBe('credential_invalid');
    const lines = admin.logged.slice(seen).filter((line) => line.includes('"kind":"security"'));
    expect(lines.length).toBe(6);
    expect(lines[0]).toContain(`"claimedTokenId":"${id}"`);
    expect(lines.join()).toContain('/v1/enrolments');
  });

  it('is no API token', async () => {
    const { status } = await admin.call('GET', '/v1/nodes', { token: await tokenFor('edge') });
    expect(status).toBe(401);
  });
});

describe('a certificate request', () => {
  it.each([
    ['for a key that Envoy cannot show (Ed25519)', () => requestOf({ algorithm: 'ed25519' })],
    ['for a short RSA key', () => requestOf({ algorithm: 'rsa1024' })],
    ['for a curve that is not taken', () => requestOf({ algorithm: 'p521' })],
    ['that another key has signed', async () => tampered(await aRequest())],
    [
      'that is a certificate',
      async () => (await enrol(await tokenFor('edge'), await aRequest())).body.certificate,
    ],
    ['that is two requests', async () => `${await aRequest()}${await aRequest()}`],
    ['that is a private key', async () => createNodeKey()],
    ['that is deep ASN.1', async () => toPem(Buffer.alloc(11_000, Buffer.from([0x30, 0x80])))],
    ['that is no ASN.1', async () => toPem(Buffer.from('no ASN.1 at all'))],
  ])('%s is refused, and the token stays good', async (_what, make) => {
    const csr: string = await make();
    const token = await tokenFor('edge');
    const refused = await enrol(token, csr);
    expect([refused.status, refused.body.code]).toEqual([422, 'registry_rejected']);
    expect(refused.body.errors[0].pointer).toBe('/csr');
    expect((await enrol(token, await aRequest())).status).toBe(201);
  });

  it.each(['rsa', 'p384'] as const)('for %s is taken', async (kind) => {
    const { privateKey } =
      kind === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const hash = 'SHA-256';
    const params =
      kind === 'rsa' ? { name: 'RSASSA-PKCS1-v1_5', hash } : { name: 'ECDSA', namedCurve: 'P-384', hash };
    const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
    const signing = await crypto.subtle.importKey('pkcs8', pkcs8, params, true, ['sign']);
    const {
      d: _d,
      p: _p,
      q: _q,
      dp: _dp,
      dq: _dq,
      qi: _qi,
      ...jwk
    } = await crypto.subtle.exportKey('jwk', signing);
    const publicKey = await crypto.subtle.importKey('jwk', { ...jwk, key_ops: ['verify'] }, params, true, [
      'verify',
    ]);
    const request = await Pkcs10CertificateRequestGenerator.create({
      name: 'CN=x',
      keys: { privateKey: signing, publicKey },
      signingAlgorithm: params,
    });
    const { status, body } = await enrol(await tokenFor('edge'), request.toString('pem'));
    expect(status).toBe(201);
    expect(new X509Certificate(body.certificate).checkPrivateKey(privateKey)).toBe(true);
  });
});

describe('renewing without TLS', () => {
  it('is refused: there is no connection that could show a certificate', async () => {
    const answer = await admin.call('POST', '/v1/enrolments/renew', {
      token: null,
      body: { csr: await aRequest() },
    });
    expect([answer.status, answer.body.code]).toEqual([401, 'credential_missing']);
  });
});

/** The last byte is of the signature. */
function tampered(pem: string): string {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  return toPem(der);
}

function toPem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}
