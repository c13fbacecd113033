import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type EnvoyMessages, loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { type AdsClient, openAdsClient, openSotwClient } from '../support/ads-client.ts';
import {
  createAuthority,
  type LeafOptions,
  type TestAuthority,
  toUrlEncodedPem,
} from '../support/certificates.ts';
import { aCheckRequest, type CheckClient, createCheckClient } from '../support/check-client.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type LogLine, recordLog } from '../support/log-lines.ts';
import { createPortFiles, type PortFiles } from '../support/tls-files.ts';

const APP = 'spiffe://example.test/app/shop';
const TOKEN = 'test-token-test-token-test-token-test-token';
const WORKLOADS_ONLY = `package envoy.authz
default allow := false
allow if input.identity.workload.spiffe == "${APP}"
`;
const HOUR_MS = 3_600_000;

let app: App;
let port: PortFiles;
let strangers: TestAuthority;
let messages: EnvoyMessages;
let lines: readonly LogLine[];
let folder = '';
const closers: (() => void)[] = [];

beforeAll(async () => {
  port = await createPortFiles();
  strangers = await createAuthority('Strangers');
  messages = loadEnvoyMessages();
  folder = await mkdtemp(join(tmpdir(), 'chancery-tls-app-'));
  await writeFile(join(folder, 'token'), TOKEN, { mode: 0o600 });
  const { clientCaFile, ...server } = port.files;
  const tls = (listener: string, files: object): string[] =>
    Object.entries(files).map(([key, file]) => `${listener}.tls.${key}=${file}`);
  const config = loadConfig({
    set: [
      ...['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`),
      ...tls('authz', { ...server, clientCaFile, trustDomain: 'example.test' }),
      ...tls('control', { ...server, clientCaFile, trustDomain: 'example.test' }),
      ...tls('admin', server),
      `admin.tokenFile=${join(folder, 'token')}`,
      'drainSeconds=0',
    ],
  });
  const log = recordLog();
  lines = log.lines;
  const source = { modules: { 'policy.rego': WORKLOADS_ONLY }, data: {}, entrypoints: ['envoy/authz/allow'] };
  app = await startApp({ config, logger: log.logger, policies: [{ name: 'workloads', source }] });
  for (const id of ['edge', 'other']) await registerNode(id);
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(async () => {
  await app.stop();
  await port.remove();
  await rm(folder, { recursive: true });
});

async function registerNode(id: string): Promise<void> {
  const node = { services: [], listener: { address: '127.0.0.1', port: 10_000 } };
  expect((await admin(`/v1/nodes/${id}`, 'PUT', node)).status).toBe(201);
}

function admin(path: string, method = 'GET', body?: object, etag?: string) {
  return sendRequest(app.ports.admin ?? 0, path, {
    method,
    headers: {
      authorization: `Bearer ${TOKEN}`,
      ...(etag && { 'if-match': etag }),
      ...(body && { 'content-type': 'application/json', 'if-none-match': '*' }),
    },
    ...(body && { body: JSON.stringify(body) }),
    tls: { ca: port.authority.certificate },
  });
}

async function tlsOf(authority: TestAuthority, options?: LeafOptions): Promise<ChannelCredentials> {
  const ca = Buffer.from(port.authority.certificate);
  if (options === undefined) return credentials.createSsl(ca);
  const { certificate, privateKey } = await authority.issue(options);
  return credentials.createSsl(ca, Buffer.from(privateKey), Buffer.from(certificate));
}

const nodeTls = (id: string): Promise<ChannelCredentials> =>
  tlsOf(port.authority, { uris: [`spiffe://example.test/node/${id}`] });

function checkClient(tls: ChannelCredentials): CheckClient {
  const client = createCheckClient(`127.0.0.1:${app.ports.authz}`, tls);
  closers.push(() => client.close());
  return client;
}

function adsClient(tls: ChannelCredentials): AdsClient {
  const client = openAdsClient(app.ports.control ?? 0, messages, tls);
  closers.push(() => client.close());
  return client;
}

/** As an Envoy asks for a client that has shown the certificate of an app. */
async function workloadCheck(): Promise<object> {
  const { certificate } = await port.authority.issue({ uris: [APP] });
  return aCheckRequest({}, { source: { principal: APP, certificate: toUrlEncodedPem(certificate) } });
}

describe('a gRPC port with client certificates', () => {
  it.each<[string, string, () => Promise<ChannelCredentials>]>([
    ['no certificate', 'no certificate', () => tlsOf(port.authority)],
    [
      'another authority',
      'the certificate is from another authority',
      () => tlsOf(strangers, { uris: [APP] }),
    ],
    [
      'an authority of the same name',
      'the certificate is from another authority of the same name',
      async () => tlsOf(await createAuthority(), { uris: [APP] }),
    ],
    [
      'an expired one',
      'the certificate has expired',
      () =>
        tlsOf(port.authority, {
          uris: ['spiffe://example.test/node/edge'],
          notBefore: new Date(Date.now() - 2 * HOUR_MS),
          notAfter: new Date(Date.now() - HOUR_MS),
        }),
    ],
    [
      'one of the future',
      'the certificate is not valid yet',
      () => tlsOf(port.authority, { notBefore: new Date(Date.now() + HOUR_MS) }),
    ],
  ])('refuses a client with %s on 9191 and on 18000, and the log says which', async (_what, reason, tls) => {
    const shown = await tls();
    const seen = lines.length;
    await expect(checkClient(shown).check(await workloadCheck())).rejects.toMatchObject({ code: 14 });
    const ads = adsClient(shown);
    ads.send('listener', { nodeId: 'edge', subscribe: ['*'] });
    expect((await ads.ended()).code).toBe(14);
    for (const role of ['authz', 'control']) {
      const isRefusal = (line: LogLine): boolean => line['role'] === role && line['reason'] === reason;
      const refusal = await eventually(`the refusal by ${role}`, () => lines.slice(seen).find(isRefusal));
      expect(refusal.level).toBe('warn');
      expect(refusal['peer']).toMatch(/^127\.0\.0\.1:\d+$/);
    }
  });

  it('counts whom it refused by why, and the connections that it has', async () => {
    const text = await app.world.metrics.render();
    for (const reason of [
      'no certificate',
      'the certificate is from another authority',
      'the certificate has expired',
    ])
      expect(text).toMatch(
        new RegExp(
          `chancery_grpc_refused_handshakes_total\\{port="(authz|control)",reason="${reason}"\\} [1-9]`,
        ),
      );
    const client = checkClient(await nodeTls('edge'));
    await client.check(await workloadCheck());
    expect(await app.world.metrics.render()).toMatch(/chancery_grpc_tls_connections\{port="authz"\} [1-9]/);
  });

  it('refuses a client that speaks without TLS', async () => {
    const plain = checkClient(credentials.createInsecure());
    await expect(plain.check(await workloadCheck())).rejects.toMatchObject({ code: 14 });
  });

  it('serves a node by its certificate, and believes what it says of clients', async () => {
    const tls = await nodeTls('edge');
    expect((await checkClient(tls).check(await workloadCheck())).status).toEqual({});
    const ads = adsClient(tls);
    ads.send('listener', { nodeId: 'edge', subscribe: ['*'] });
    expect((await ads.next()).resources.length).toBeGreaterThan(0);
  });

  it.each([
    ['delta', openAdsClient],
    ['state-of-the-world', openSotwClient],
  ])(
    'refuses a node that shows the certificate of another (%s), and the log says which',
    async (_what, open) => {
      const ads = open(app.ports.control ?? 0, messages, await nodeTls('other'));
      closers.push(() => ads.close());
      const seen = lines.length;
      ads.send('listener', { nodeId: 'edge' });
      expect(await ads.ended()).toEqual({ code: 7, details: 'this peer may not be node "edge"' });
      expect(ads.waiting()).toBe(0);
      expect(lines.slice(seen).find((line) => line['claimed'] === 'edge')).toMatchObject({
        role: 'control',
        certificate: 'other',
        level: 'warn',
      });
    },
  );

  it('cuts a connection when its certificate has expired, and the log says so', async () => {
    const uris = ['spiffe://example.test/node/edge'];
    const tls = await tlsOf(port.authority, { uris, notAfter: new Date(Date.now() + 3_000) });
    const ads = adsClient(tls);
    ads.send('listener', { nodeId: 'edge', subscribe: ['*'] });
    expect((await ads.next()).resources.length).toBeGreaterThan(0);
    const seen = lines.length;
    expect((await ads.ended()).code).toBe(14);
    expect(lines.slice(seen)).toContainEqual(
      expect.objectContaining({
        role: 'control',
        names: 'URI:spiffe://example.test/node/edge',
        reason: 'the certificate has expired',
        message: 'a connection was cut',
      }),
    );
  });

  it('takes the word of the node whose certificate is shown on 9191, on open connections too', async () => {
    const request = await workloadCheck();
    const [edge, other] = [checkClient(await nodeTls('edge')), checkClient(await nodeTls('other'))];
    const believed = async (client: CheckClient): Promise<boolean> =>
      (await client.check(request)).status?.code !== 7;
    expect([await believed(edge), await believed(other)]).toEqual([true, true]);
    const seen = lines.length;
    const { headers } = await admin('/v1/nodes/other');
    expect((await admin('/v1/nodes/other', 'DELETE', undefined, headers.etag)).status).toBe(204);
    await eventually('the node is nobody', async () => !(await believed(other)));
    expect([await believed(edge), await believed(other)]).toEqual([true, false]);
    expect(
      lines.slice(seen).filter((line) => line['node'] === 'other' && line['role'] === 'authz'),
    ).toMatchObject([{ level: 'warn', message: expect.stringMatching(/is of no registered node/) }]);
    await registerNode('other');
    await eventually('the node is back', () => believed(other));
  });

  it.each([
    ['an app', [APP]],
    ['a node that is not registered', ['spiffe://example.test/node/stolen']],
    ['a node of another trust domain', ['spiffe://example.org/node/edge']],
    ['two nodes', ['spiffe://example.test/node/edge', 'spiffe://example.test/node/other']],
  ])('lets %s connect, but not say who its clients are, nor be a node', async (_what, uris) => {
    const tls = await tlsOf(port.authority, { uris });
    expect((await checkClient(tls).check(await workloadCheck())).status).toEqual({ code: 7 });
    for (const nodeId of ['edge', 'stolen']) {
      const ads = adsClient(tls);
      ads.send('listener', { nodeId, subscribe: ['*'] });
      expect((await ads.ended()).code).toBe(7);
    }
  });

  it('shows new certificates to new connections while calls go on, and none of them fails', async () => {
    const tls = await nodeTls('edge');
    const request = await workloadCheck();
    const steady = checkClient(tls);
    const stream = adsClient(tls);
    stream.send('listener', { nodeId: 'edge', subscribe: ['*'] });
    await stream.next();
    const failures: unknown[] = [];
    let answered = 0;
    const ask = async (client: CheckClient): Promise<void> => {
      try {
        expect((await client.check(request)).status).toEqual({});
        answered += 1;
      } catch (error) {
        failures.push(error);
      }
    };
    let isRunning = true;
    const load = [0, 1].map(async (lane) => {
      while (isRunning) {
        const client = lane === 0 ? steady : createCheckClient(`127.0.0.1:${app.ports.authz}`, tls);
        await ask(client);
        if (client !== steady) client.close();
      }
    });
    const reread = (): number => lines.filter(({ message }) => message.includes('was read again')).length;
    for (let round = 1; round <= 3; round += 1) {
      const before = { reread: reread(), answered };
      const next = await port.issueServer();
      await port.replace('certificateFile', next.certificate);
      await port.replace('privateKeyFile', next.privateKey);
      await eventually('three ports have it', () => reread() >= before.reread + 3);
      await eventually('calls go on', () => answered > before.answered + 10);
    }
    // a new authority: the next connection needs it, the open ones live on
    const renewed = await createAuthority('Renewed');
    const before = reread();
    await port.replace('clientCaFile', renewed.certificate);
    isRunning = false;
    await Promise.all(load);
    await eventually('both gRPC ports have it', () => reread() >= before + 2);
    await ask(steady);
    expect(failures).toEqual([]);
    await expect(checkClient(await nodeTls('other')).check(request)).rejects.toMatchObject({ code: 14 });
    const byRenewed = await tlsOf(renewed, { uris: ['spiffe://example.test/node/edge'] });
    expect((await checkClient(byRenewed).check(request)).status).toEqual({});
    await port.replace('clientCaFile', port.authority.certificate);
    await eventually('the first authority is back', () => reread() >= before + 4);
  });
});

describe('REST over TLS', () => {
  it('answers a client that trusts the authority, and no plain one', async () => {
    const answer = await admin('/v1/nodes/edge');
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([200, { services: [] }]);
    await expect(sendRequest(app.ports.admin ?? 0, '/v1/nodes/edge')).rejects.toThrow();
    const stranger = { tls: { ca: strangers.certificate } };
    await expect(sendRequest(app.ports.admin ?? 0, '/v1/nodes/edge', stranger)).rejects.toThrow(
      /certificate/,
    );
  });
});
