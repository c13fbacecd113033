import { X509Certificate } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { components } from '../../src/client/schema.d.ts';
import { createAuthority, type Leaf, type TestAuthority } from '../support/certificates.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { startOpenLoop } from '../support/open-loop.ts';
import { createRotatedFolder, type RotatedFolder } from '../support/rotated-folder.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';
import { createStackAdmin, withFreeAdminPort } from '../support/stack.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const READ_ONLY = `package envoy.authz
default allow := {"allowed": false, "http_status": 403}
allow := true if input.attributes.request.http.method == "GET"
`;
const PER_SECOND = 200;
const SECONDS = 15;
/** connections are made anew, again and again */
const CONNECTION_AGE = 2;

type Listener = 'authz' | 'control';

type Rollout = components['schemas']['Rollout'];

describe('under 200 requests a second', () => {
  let authority: TestAuthority;
  let instance: Instance;
  let node: RotatedFolder;
  let upstream: Upstream;
  let all: ServeProcess;
  let authzOnly: ServeProcess;
  let envoy: EnvoyProcess;
  let listener: number;
  /** the replicas that answer Checks, as a roll-out names them */
  let authorizers: () => Promise<readonly string[]>;

  beforeAll(async () => {
    authority = await createAuthority();
    instance = await initInstance();
    upstream = await startUpstream();
    const folder = join(instance.folder, 'node');
    await mkdir(folder);
    node = await createRotatedFolder(folder, await issueNode(), authority.certificate);
    await rotateServer('127.0.0.1');
    await rotateServer('127.0.0.2');
    const start = async (...config: Parameters<typeof configFile>) =>
      startServe(['--config', await configFile(...config), '--set', 'drainSeconds=3']);
    all = await start('127.0.0.1', ['admin', 'authz', 'control']);
    authzOnly = await start('127.0.0.2', ['authz']);

    const { client } = await exchangeToken(all, instance.oneTimeToken);
    const admin = createStackAdmin(client, upstream);
    authorizers = async () => {
      const { data } = await client.GET('/v1/journal/{seq}/rollout', { params: { path: { seq: '1' } } });
      return (data as Rollout).replicas.filter(({ role }) => role === 'authz').map(({ id }) => id);
    };
    await admin.publishAndRelease('read-only', READ_ONLY);
    await admin.putService('asked', { access: 'policy', policy: 'read-only' });
    listener = await freePort();
    await admin.putNode('edge', {
      services: ['asked'],
      listener: { address: '127.0.0.1', port: listener, tls: node.listener },
    });
    const { data } = await client.GET('/v1/nodes/{id}/bootstrap', { params: { path: { id: 'edge' } } });
    envoy = await startEnvoy(withFreeAdminPort(data as object));
    const tls = { ca: authority.certificate };
    await eventually(
      'a request is allowed',
      async () => (await sendRequest(listener, '/asked', { tls })).status === 200,
    );
    await eventually('both authorizers are healthy', async () => (await healthy()) === 2);
    await eventually('a roll-out names both processes', async () => new Set(await authorizers()).size === 2);
  });
  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([all?.stop(), authzOnly?.stop()]);
    await upstream?.close();
    await instance?.remove();
  });

  const issueNode = (): Promise<Leaf> =>
    authority.issue({ uris: ['spiffe://example.test/node/edge'], ipAddresses: ['127.0.0.1'] });
  const serverFiles = (address: string) => ({
    certificateFile: join(instance.folder, `${address}.pem`),
    privateKeyFile: join(instance.folder, `${address}.key`),
    clientCaFile: join(instance.folder, 'nodes.pem'),
  });

  async function configFile(address: string, roles: readonly string[]): Promise<string> {
    const { storeFile, keyFile, genesis } = instance;
    const tls = serverFiles(address);
    const port = { address, tls, maxConnectionAgeSeconds: CONNECTION_AGE };
    await writeFile(tls.clientCaFile, authority.certificate);
    const file = join(instance.folder, `${address}.yaml`);
    const config = {
      roles,
      store: { sqlite: { path: storeFile } },
      journal: { genesis, ...(roles.includes('admin') && { signingKeyFile: keyFile }) },
      authz: port,
      // what a busy machine delays is not what fails here
      control: { ...port, envoyTls: node.envoyTls, checkTimeoutMs: 5_000 },
    };
    await writeFile(file, JSON.stringify(config));
    return file;
  }

  async function rotateServer(address: string): Promise<Leaf> {
    const leaf = await authority.issue({ ipAddresses: [address] });
    const { certificateFile, privateKeyFile } = serverFiles(address);
    await writeFile(privateKeyFile, leaf.privateKey, { mode: 0o600 });
    await writeFile(certificateFile, leaf.certificate);
    return leaf;
  }

  const healthy = async (): Promise<number> => envoy.stat('cluster.chancery-authz.membership_healthy');
  const checks = async ({ ports }: ServeProcess): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${ports.ops}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith('chancery_checks_total{'));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  /** of the certificate that a port shows in a new handshake */
  const serialAt = (address: string, port: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: address, port, rejectUnauthorized: false, timeout: 5_000 }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once('error', reject);
    });
  /** of the certificates that Envoy shows, to callers and to Chancery */
  const shownByEnvoy = async (): Promise<readonly string[]> => {
    const { certificates } = (await envoy.json('/certs')) as {
      certificates: readonly { cert_chain: readonly { serial_number: string }[] }[];
    };
    return certificates.flatMap(({ cert_chain }) => cert_chain.map(({ serial_number }) => serial_number));
  };

  /** New certificates everywhere, and each side shows them. */
  async function rotateAll(): Promise<void> {
    const leaf = await issueNode();
    await node.rotate(leaf);
    const servers = [
      { address: '127.0.0.1', process: all, listeners: ['authz', 'control'] },
      { address: '127.0.0.2', process: authzOnly, listeners: ['authz'] },
    ] satisfies { address: string; process: ServeProcess; listeners: Listener[] }[];
    for (const { address, process, listeners } of servers) {
      const wanted = serialOf(await rotateServer(address));
      for (const name of listeners) {
        const port = process.ports[name];
        await eventually(
          `${name} of ${address} shows it`,
          async () => (await serialAt(address, port)) === wanted,
        );
      }
    }
    const wanted = serialOf(leaf);
    await eventually(
      'Envoy shows it to callers',
      async () => (await serialAt('127.0.0.1', listener)) === wanted,
    );
    await eventually('Envoy shows nothing else', async () =>
      (await shownByEnvoy()).every((serial) => `${serial}`.toUpperCase() === wanted),
    );
  }

  it('certificates are rotated and an authorizer is drained, and no request fails', async () => {
    const load = startOpenLoop({
      port: listener,
      path: '/asked',
      ca: authority.certificate,
      perSecond: PER_SECOND,
      next: (index) => (index % 4 === 3 ? { method: 'DELETE', status: 403 } : { method: 'GET', status: 200 }),
    });
    const endsAt = Date.now() + SECONDS * 1_000;
    const before = { all: await checks(all), authzOnly: await checks(authzOnly) };
    await eventually('both are asked', async () =>
      Promise.all([checks(all), checks(authzOnly)]).then(
        ([one, two]) => one > before.all + 100 && two > before.authzOnly + 100,
      ),
    );
    await rotateAll();
    const exitCode = await authzOnly.stop();
    const afterDrain = await checks(all);
    await eventually('the load has lasted', () => Date.now() > endsAt);
    const counts = await load.stop();
    const end = { all: await checks(all), healthy: await healthy() };
    const handshakes = await envoy.stat('cluster.chancery-authz.ssl.handshake');
    process.stdout.write(`${JSON.stringify({ case: 'rotation-drain', ...counts, handshakes, ...end })}\n`);

    expect(counts.others).toEqual({});
    expect(counts.expected).toBe(counts.sent);
    expect(counts.sent).toBeGreaterThan(PER_SECOND * SECONDS * 0.9);
    expect(exitCode).toBe(0);
    expect(end.all).toBeGreaterThan(afterDrain);
    expect(end.healthy).toBe(1);
    expect(await authorizers()).toEqual([expect.stringMatching(new RegExp(`:${all.pid}$`))]);
    expect(await envoy.stat('cluster.chancery-authz.membership_total')).toBe(1);
    expect(await envoy.stat('cluster_manager.cluster_modified')).toBe(0);
    expect(await envoy.stat('listener_manager.listener_modified')).toBe(0);
    expect(handshakes).toBeGreaterThan(2);
  });
});

function serialOf({ certificate }: Leaf): string {
  return new X509Certificate(certificate).serialNumber;
}
