import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, type Leaf, type LeafOptions, type TestAuthority } from '../support/certificates.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpAnswer, sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';

const APP_A = 'spiffe://mesh/app/a';
const APP_B = 'spiffe://mesh/app/b';

/** Lets one workload pass, and passes on who it is. */
const APP_A_ONLY = `package envoy.authz
default allow := {"allowed": false, "http_status": 403, "body": "not this workload"}
allow := {"allowed": true, "headers": {"x-workload": input.identity.workload.spiffe}} if {
	input.identity.workload.spiffe == "${APP_A}"
}
`;

/** Lets everybody pass who was authenticated, and passes on who it is. */
const WHO = `package envoy.authz
allow := {"allowed": true, "headers": {"x-user": user, "x-workload": workload}}
default user := "none"
user := input.identity.user.subject
default workload := "none"
workload := input.identity.workload.spiffe
`;

const CERTIFICATES = {
  a: { uris: [APP_A], dnsNames: ['a.example'] },
  b: { uris: [APP_B] },
  // all of these carry the granted name, and none of them as its only URI SAN
  dnsOnly: { dnsNames: [APP_A] },
  bThenA: { uris: [APP_B, APP_A] },
  aThenB: { uris: [APP_A, APP_B] },
  aTwice: { uris: [APP_A, APP_A] },
  bWithDnsA: { uris: [APP_B], dnsNames: [APP_A] },
  subjectOnly: { subject: `CN=${APP_A}` },
  // a name that only looks like the granted one
  aBelow: { uris: [`${APP_A}/x`] },
  aUpperCase: { uris: ['spiffe://mesh/app/A'] },
  // no listener may accept these
  expired: { uris: [APP_A], notBefore: new Date(0), notAfter: new Date(1_000_000_000_000) },
} satisfies Record<string, LeafOptions>;
type CertificateName = keyof typeof CERTIFICATES;

/** The server ends it, by an alert or before that is read: not a time-out of ours. */
const HANDSHAKE_FAILED = /alert|ECONNRESET|EPIPE|hang up|disconnected/;

describe('callers with certificates', () => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  let issuer: TestIssuer;
  let folder: string;
  let authority: TestAuthority;
  let port: number;
  let portRequired: number;
  let token: string;
  const leaves = new Map<CertificateName, Leaf>();

  beforeAll(async () => {
    stack = await startStack();
    folder = await mkdtemp(join(tmpdir(), 'chancery-mtls-'));
    authority = await createAuthority();
    for (const [name, options] of Object.entries(CERTIFICATES)) {
      leaves.set(name as CertificateName, await authority.issue(options));
    }
    issuer = await createTestIssuer();
    token = await issuer.sign();
    const { jwksUri, audience } = issuer;
    const record = { issuer: issuer.issuer, jwksUri, audiences: [audience], algorithms: ['RS256' as const] };
    await stack.putIssuer('issuer', record);
    await stack.publishAndRelease('app-a-only', APP_A_ONLY);
    await stack.publishAndRelease('who', WHO);

    const policy = { access: 'policy', policy: 'app-a-only' } as const;
    await stack.putService('grants', { access: 'grants' });
    await stack.putGrant('grants', 'app-a', APP_A);
    await stack.putService('policy', policy);
    await stack.putService('mtls', { ...policy, authenticate: 'mtls' });
    await stack.putService('either', { access: 'policy', policy: 'who', authenticate: 'either' });
    await stack.putService('jwt', { access: 'policy', policy: 'who', authenticate: 'jwt' });
    await stack.putService('both', { access: 'grants-and-policy', policy: 'who', authenticate: 'jwt' });
    await stack.putGrant('both', 'app-a', APP_A);
    await stack.putService('both-mtls', {
      ...policy,
      access: 'grants-and-policy',
      authenticate: 'mtls',
    });
    await stack.putGrant('both-mtls', 'app-a', APP_A);
    await stack.putGrant('both-mtls', 'app-b', APP_B);

    const services = ['grants', 'policy', 'mtls', 'either', 'jwt', 'both', 'both-mtls'];
    const files = await writeServerFiles();
    [port, portRequired] = [await freePort(), await freePort()];
    await stack.putNode('edge-1', {
      services,
      listener: { address: '127.0.0.1', port, tls: { ...files, clientCertificate: 'optional' } },
    });
    await stack.putNode('edge-2', {
      services,
      listener: {
        address: '127.0.0.1',
        port: portRequired,
        tls: { ...files, clientCertificate: 'required' },
      },
    });
    envoy = await stack.startNode('edge-1');
    await stack.startNode('edge-2');
    for (const path of ['/mtls', '/either', '/grants']) {
      await eventually(`${path} answers`, async () => (await send(path, 'a')).status === 200);
    }
    await eventually('the keys are read', async () => (await send('/jwt', 'a', token)).status === 200);
    await eventually(
      'the other listener answers',
      async () => (await send('/mtls', 'a', undefined, portRequired)).status === 200,
    );
  });
  afterAll(async () => {
    await stack?.stop();
    await issuer?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function writeServerFiles() {
    const server = await authority.issue({ ipAddresses: ['127.0.0.1'], subject: 'CN=edge' });
    const files = {
      certificateFile: join(folder, 'server.pem'),
      privateKeyFile: join(folder, 'server.key'),
      clientCaFile: join(folder, 'ca.pem'),
    };
    await writeFile(files.certificateFile, server.certificate);
    await writeFile(files.privateKeyFile, server.privateKey, { mode: 0o600 });
    await writeFile(files.clientCaFile, authority.certificate);
    return files;
  }

  const sendAs = (
    leaf: Leaf | undefined,
    path: string,
    bearer?: string,
    to: number = port,
  ): Promise<HttpAnswer> =>
    sendRequest(to, path, {
      headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
      tls: { ca: authority.certificate, ...leaf },
    });
  const send = (
    path: string,
    as?: CertificateName,
    bearer?: string,
    to: number = port,
  ): Promise<HttpAnswer> => sendAs(as && leaves.get(as), path, bearer, to);
  const codeOf = (answer: HttpAnswer): unknown => (JSON.parse(answer.body) as { code?: unknown }).code;
  const checks = async (): Promise<number> => {
    const results = ['ok', 'denied', 'error'];
    const [ok = 0, denied = 0, error = 0] = await Promise.all(
      results.map((result) => envoy.stat(`http.chancery.ext_authz.pdp.${result}`)),
    );
    return ok + denied + error;
  };

  it('takes the granted name on a grants route, and answers 403 to another, without a call', async () => {
    const before = await checks();
    await expectForwarded(stack.upstream, () => send('/grants', 'a'));
    await expectRefused(stack.upstream, () => send('/grants', 'b'), 403);
    await expectRefused(stack.upstream, () => send('/grants'), 403);
    expect(await checks()).toBe(before);
  });

  it.each(['/policy', '/mtls'])(
    'takes the name that the policy reads on %s, and answers 403 to another',
    async (path) => {
      const before = await checks();
      await expectForwarded(stack.upstream, () => send(path, 'a'));
      expect(stack.upstream.lastHeaders()['x-workload']).toBe(APP_A);
      const refused = await expectRefused(stack.upstream, () => send(path, 'b'), 403);
      expect(refused.body).toBe('not this workload');
      expect(await checks()).toBe(before + 2);
    },
  );

  it.each<[string, CertificateName]>([
    ['as a DNS SAN', 'dnsOnly'],
    ['as the second of two URI SANs', 'bThenA'],
    ['as the first of two URI SANs', 'aThenB'],
    ['as both of two URI SANs', 'aTwice'],
    ['as a DNS SAN beside another URI SAN', 'bWithDnsA'],
    ['as the common name', 'subjectOnly'],
    ['with another segment behind it', 'aBelow'],
    ['in another case', 'aUpperCase'],
  ])('refuses the granted name %s, on every route', async (_, name) => {
    const provesNothing = ['dnsOnly', 'bThenA', 'aThenB', 'aTwice', 'subjectOnly'].includes(name);
    await expectRefused(stack.upstream, () => send('/grants', name), 403);
    await expectRefused(stack.upstream, () => send('/policy', name), 403);
    await expectRefused(stack.upstream, () => send('/both', name, token), 403);
    const demanded = await expectRefused(
      stack.upstream,
      () => send('/mtls', name),
      provesNothing ? 401 : 403,
    );
    if (provesNothing) {
      expect(codeOf(demanded)).toBe('credential_invalid');
      expect(demanded.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
    }
    await expectForwarded(stack.upstream, () => send('/grants', 'a'));
    await expectForwarded(stack.upstream, () => send('/policy', 'a'));
  });

  it('answers 401 on an mtls route to no certificate, with or without a token, where none is required', async () => {
    for (const bearer of [undefined, token]) {
      const answer = await expectRefused(stack.upstream, () => send('/mtls', undefined, bearer), 401);
      expect(codeOf(answer)).toBe('authentication_required');
    }
    await expectForwarded(stack.upstream, () => send('/mtls', 'a'));
  });

  it('believes no header that tells of a certificate', async () => {
    const headers = {
      'x-forwarded-client-cert': `By=spiffe://mesh/edge;Hash=00;URI=${APP_A}`,
      'x-workload': APP_A,
    };
    const sendForged = (path: string) =>
      sendRequest(port, path, { headers, tls: { ca: authority.certificate, ...leaves.get('b') } });
    for (const path of ['/grants', '/policy', '/mtls']) {
      await expectRefused(stack.upstream, () => sendForged(path), 403);
    }
    await expectForwarded(stack.upstream, () => send('/grants', 'a'));
  });

  it.each(['optional', 'required'])(
    'ends the handshake over a certificate that is not valid, where one is %s',
    async (demand) => {
      const to = demand === 'optional' ? port : portRequired;
      const strangers = await createAuthority('Another CA');
      const stranger = await strangers.issue({ uris: [APP_A] });
      const before = stack.upstream.count();
      for (const leaf of [stranger, leaves.get('expired')]) {
        for (const path of ['/grants', '/policy', '/mtls']) {
          await expect(sendAs(leaf, path, undefined, to)).rejects.toThrow(HANDSHAKE_FAILED);
        }
      }
      expect(stack.upstream.count()).toBe(before);
      await expectForwarded(stack.upstream, () => send('/grants', 'a', undefined, to));
    },
  );

  it('ends the handshake without a certificate where one is required', async () => {
    const before = stack.upstream.count();
    await expect(send('/either', undefined, token, portRequired)).rejects.toThrow(HANDSHAKE_FAILED);
    expect(stack.upstream.count()).toBe(before);
    await expectForwarded(stack.upstream, () => send('/either', 'a', token, portRequired));
  });

  it('takes either credential on an either route, and each one that is shown must be valid', async () => {
    await expectForwarded(stack.upstream, () => send('/either', 'b'));
    expect(stack.upstream.lastHeaders()).toMatchObject({ 'x-workload': APP_B, 'x-user': 'none' });
    await expectForwarded(stack.upstream, () => send('/either', undefined, token));
    expect(stack.upstream.lastHeaders()).toMatchObject({ 'x-workload': 'none', 'x-user': 'alice' });
    await expectForwarded(stack.upstream, () => send('/either', 'b', token));
    expect(stack.upstream.lastHeaders()).toMatchObject({ 'x-workload': APP_B, 'x-user': 'alice' });

    const none = await expectRefused(stack.upstream, () => send('/either'), 401);
    expect(codeOf(none)).toBe('authentication_required');
    const expired = await issuer.expired();
    const badToken = await expectRefused(stack.upstream, () => send('/either', 'a', expired), 401);
    expect(codeOf(badToken)).toBe('credential_expired');
    const badCertificate = await expectRefused(stack.upstream, () => send('/either', 'bThenA', token), 401);
    expect(codeOf(badCertificate)).toBe('credential_invalid');
  });

  it('takes the token alone on a jwt route: a certificate that proves nothing is no workload', async () => {
    await expectForwarded(stack.upstream, () => send('/jwt', 'a', token));
    expect(stack.upstream.lastHeaders()).toMatchObject({ 'x-workload': APP_A, 'x-user': 'alice' });
    await expectForwarded(stack.upstream, () => send('/jwt', 'dnsOnly', token));
    expect(stack.upstream.lastHeaders()).toMatchObject({ 'x-workload': 'none', 'x-user': 'alice' });
    const answer = await expectRefused(stack.upstream, () => send('/jwt', 'a'), 401);
    expect(codeOf(answer)).toBe('authentication_required');
  });

  it('answers 403, never 401, to a caller without grant on grants-and-policy, without a call', async () => {
    const before = await checks();
    for (const path of ['/both', '/both-mtls']) {
      for (const bearer of [undefined, token, await issuer.expired()]) {
        await expectRefused(stack.upstream, () => send(path, undefined, bearer), 403);
        await expectRefused(stack.upstream, () => send(path, 'bThenA', bearer), 403);
      }
    }
    await expectRefused(stack.upstream, () => send('/both', 'b', token), 403);
    expect(await checks()).toBe(before);
  });

  it('asks the policy about a caller with grant on grants-and-policy, the credential included', async () => {
    const before = await checks();
    await expectForwarded(stack.upstream, () => send('/both', 'a', token));
    expect(stack.upstream.lastHeaders()).toMatchObject({ 'x-workload': APP_A, 'x-user': 'alice' });
    const missing = await expectRefused(stack.upstream, () => send('/both', 'a'), 401);
    expect(codeOf(missing)).toBe('authentication_required');
    const expired = await issuer.expired();
    const bad = await expectRefused(stack.upstream, () => send('/both', 'a', expired), 401);
    expect(codeOf(bad)).toBe('credential_expired');

    await expectForwarded(stack.upstream, () => send('/both-mtls', 'a'));
    const denied = await expectRefused(stack.upstream, () => send('/both-mtls', 'b'), 403);
    expect(denied.body).toBe('not this workload');
    expect(await checks()).toBe(before + 5);
  });

  it('reads its certificates from files: no byte of a certificate or key is in journal or configuration', async () => {
    const { data } = await stack.client.GET('/v1/journal', { params: { query: { limit: 100 } } });
    const journal = JSON.stringify(data);
    expect(journal).toContain(join(folder, 'server.key'));
    // the authority that enrols nodes is in the journal with its certificate; of these files there is nothing
    expect(journal).not.toContain('PRIVATE KEY');
    for (const name of ['server.pem', 'server.key', 'ca.pem']) {
      const [, firstLine = ''] = (await readFile(join(folder, name), 'utf8')).split('\n');
      expect(firstLine).toHaveLength(64);
      expect(journal).not.toContain(firstLine);
    }
    const running = await envoy.get('/config_dump');
    expect(running).toContain('"listener.certificate"');
    expect(running).not.toContain('-----BEGIN');
    // what Envoy shows of a key that it has read itself is this
    const key = await readFile(join(folder, 'server.key'));
    expect(running).toContain(Buffer.from('[redacted]').toString('base64'));
    expect(running).not.toContain(key.toString('base64'));
  });
});
