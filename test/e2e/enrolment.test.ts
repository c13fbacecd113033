import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminClient, createClient } from '../../src/client/client.ts';
import { createTlsFetch } from '../../src/client/tls-fetch.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import {
  type Finished,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';
import { createStackAdmin, type StackAdmin, withFreeAdminPort } from '../support/stack.ts';
import { createPortFiles, type PortFiles } from '../support/tls-files.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const READ_ONLY = `package envoy.authz
default allow := {"allowed": false, "http_status": 403}
allow := true if input.attributes.request.http.method == "GET"
`;

describe('a node, enrolled from nothing', () => {
  let folder = '';
  let port: PortFiles;
  let instance: Instance;
  let serve: ServeProcess;
  let upstream: Upstream;
  let client: AdminClient;
  let admin: StackAdmin;
  let envoy: EnvoyProcess;
  let listener = 0;
  const out = (name: string): string => join(folder, name);
  const url = (): string => `https://127.0.0.1:${serve.ports.admin}`;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chancery-enrolment-'));
    [port, instance, upstream] = await Promise.all([createPortFiles(), initInstance(), startUpstream()]);
    const { certificateFile, privateKeyFile } = port.files;
    const server = { certificateFile, privateKeyFile };
    const edge = (file: string): string => join(out('edge'), 'current', file);
    const set = (prefix: string, values: object): string[] =>
      Object.entries(values).flatMap(([key, value]) => ['--set', `${prefix}.${key}=${value}`]);
    serve = await startServe([
      ...['--config', instance.configFile, '--set', 'drainSeconds=0'],
      ...set('authz.tls', { ...server, enrolledNodes: true }),
      ...set('control.tls', { ...server, enrolledNodes: true }),
      ...set('admin.tls', server),
      ...set('control.envoyTls', {
        certificateFile: edge('certificate.pem'),
        privateKeyFile: edge('private-key.pem'),
        caFile: edge('authorities.pem'),
        watchedFolder: out('edge'),
        secretsFolder: out('edge'),
      }),
    ]);
    const fetch = createTlsFetch({ ca: port.authority.certificate });
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const once = createClient({ baseUrl: url(), token: instance.oneTimeToken, fetch });
    const { data } = await once.POST('/v1/tokens', { body: { name: 'test', expiresAt } });
    client = createClient({ baseUrl: url(), token: data?.token ?? '', fetch });
    admin = createStackAdmin(client, upstream);
    await admin.publishAndRelease('read-only', READ_ONLY);
    await admin.putService('asked', { access: 'policy', policy: 'read-only' });
    listener = await freePort();
    await admin.putNode('edge', { services: ['asked'], listener: { address: '127.0.0.1', port: listener } });
    await writeFile(out('ca.pem'), port.authority.certificate);
  });
  afterAll(async () => {
    await envoy?.stop();
    await serve?.stop();
    await upstream.close();
    await port.remove();
    await instance.remove();
    await rm(folder, { recursive: true });
  });

  const enrol = (...args: string[]): Promise<Finished> =>
    runChancery(['node', 'enrol', '--url', url(), ...args]);
  const trust = (): string[] => ['--ca-file', out('ca.pem')];
  const requestStatus = async (method: string): Promise<number> =>
    (await sendRequest(listener, '/asked', { method })).status;

  async function issueToken(id: string): Promise<string> {
    const { data } = await client.POST('/v1/nodes/{id}/enrolment-tokens', {
      params: { path: { id } },
      body: {},
    });
    await writeFile(out(`${id}.token`), data?.token ?? '', { mode: 0o600 });
    return out(`${id}.token`);
  }
  const readCertificate = async (name: string): Promise<X509Certificate> =>
    new X509Certificate(await readFile(join(out(name), 'current', 'certificate.pem')));

  it('gets a certificate for its token, and its key is for itself alone', async () => {
    const token = await issueToken('edge');
    const done = await enrol(...trust(), '--token-file', token, '--out', out('edge'));
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(/^node edge: certificate until \S+, to be renewed after \S+\n$/);
    expect((await readCertificate('edge')).subjectAltName).toBe('URI:spiffe://chancery/node/edge');
    expect((await stat(join(out('edge'), 'current', 'private-key.pem'))).mode & 0o777).toBe(0o600);
    const again = await enrol(...trust(), '--token-file', token, '--out', out('stolen'));
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/^chancery: the enrolment token has been used.*\(credential_revoked\)\n$/);
  });

  it('runs a real Envoy from the bootstrap: its configuration and its Checks come over mTLS', async () => {
    const { data } = await client.GET('/v1/nodes/{id}/bootstrap', { params: { path: { id: 'edge' } } });
    envoy = await startEnvoy(withFreeAdminPort(data as object));
    await eventually('a request is allowed', async () => (await requestStatus('GET').catch(() => 0)) === 200);
    const hits = upstream.count();
    expect(await requestStatus('DELETE')).toBe(403);
    expect(upstream.count()).toBe(hits);
  });

  it('renews over mTLS, and Envoy connects with the new certificate, without a restart', async () => {
    const before = await readCertificate('edge');
    const link = await readlink(join(out('edge'), 'current'));
    const renewed = await enrol(...trust(), '--out', out('edge'), '--renew');
    expect(renewed).toMatchObject({ code: 0, stderr: '' });
    const after = await readCertificate('edge');
    expect(after.serialNumber).not.toBe(before.serialNumber);
    expect(after.publicKey.equals(before.publicKey)).toBe(false);
    expect(await readlink(join(out('edge'), 'current'))).not.toBe(link);
    const serials = async (): Promise<string> => await envoy.get('/certs');
    const shown = after.serialNumber.toLowerCase();
    await eventually('Envoy has read it', async () => (await serials()).includes(shown));
    expect(await requestStatus('GET')).toBe(200);
  });

  it('is refused without the right authority, and says why', async () => {
    const token = await issueToken('edge');
    const unknown = await enrol('--token-file', token, '--out', out('edge-2'));
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toMatch(/cannot be reached.*\n.*certificate/);
    const plain = await runChancery(['node', 'enrol', '--url', 'http://192.0.2.1:1', '--out', out('edge-2')]);
    expect([plain.code, plain.stderr]).toEqual([2, expect.stringContaining('--url is https')]);
    const wrongPin = ['--ca-fingerprint', `sha256:${'0'.repeat(64)}`, '--token-file', token];
    const pinned = await enrol(...wrongPin, '--out', out('edge-2'));
    expect([pinned.code, pinned.stderr]).toEqual([
      1,
      expect.stringContaining('no certificate of this fingerprint'),
    ]);
    const server = new X509Certificate(await readFile(port.files.certificateFile));
    const pin = `sha256:${server.fingerprint256.replaceAll(':', '').toLowerCase()}`;
    const done = await enrol('--ca-fingerprint', pin, '--token-file', token, '--out', out('edge-2'));
    expect(done).toMatchObject({ code: 0, stderr: '' });
  });

  it('is nobody from the moment that it is revoked: its streams end, and it cannot renew', async () => {
    const before = serve.output().length;
    await client.DELETE('/v1/nodes/{id}/certificates', { params: { path: { id: 'edge' } } });
    const newLines = (): string => serve.output().slice(before);
    await eventually('its connections are cut', () => newLines().includes('a connection was cut'));
    expect(newLines()).toContain('the certificate was revoked, or was never issued to a node');
    const isConnected = (): Promise<number> => envoy.stat('control_plane.connected_state');
    await eventually('Envoy has lost its control plane', async () => (await isConnected()) === 0);
    await eventually('and nobody decides for it', async () => (await requestStatus('GET')) === 503);
    const { data } = await client.GET('/v1/nodes/{id}/status', { params: { path: { id: 'edge' } } });
    expect(data?.connected).toBe(false);
    const renewed = await enrol(...trust(), '--out', out('edge'), '--renew');
    expect([renewed.code, renewed.stderr]).toEqual([1, expect.stringContaining('(credential_revoked)')]);
  });

  it('comes back with a new token, and Envoy goes on', async () => {
    const token = await issueToken('edge');
    const done = await enrol(...trust(), '--token-file', token, '--out', out('edge'));
    expect(done).toMatchObject({ code: 0, stderr: '' });
    await eventually('a request is allowed', async () => (await requestStatus('GET')) === 200);
  });
});
