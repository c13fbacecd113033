import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { initInstance } from '../../src/cli/init-command.ts';
import { enrolCommand } from '../../src/cli/node-enrol-command.ts';
import { ApiError } from '../../src/client/api-error.ts';
import { type AdminClient, createClient } from '../../src/client/client.ts';
import { createTlsFetch } from '../../src/client/tls-fetch.ts';
import { loadConfig } from '../../src/config/load.ts';
import { sha256, ZERO_DIGEST } from '../../src/core/digest.ts';
import { type EnvoyMessages, loadEnvoyMessages } from '../../src/grpc/messages.ts';
import {
  createCertificateRequest,
  createNodeKey,
  readCertificateRequest,
} from '../../src/identity/certificate-request.ts';
import { issueNodeCertificate } from '../../src/identity/node-authority.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { createSecrets } from '../../src/journal/secrets.ts';
import { readSecretsKeyFile } from '../../src/journal/secrets-key.ts';
import { readSigningKeyFile } from '../../src/journal/signing-key.ts';
import { createWriter } from '../../src/journal/writer.ts';
import { openNodeFolder } from '../../src/node/node-folder.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { type AdsClient, openAdsClient } from '../support/ads-client.ts';
import { createAuthority, type Leaf, type TestAuthority } from '../support/certificates.ts';
import { aCheckRequest, type CheckClient, createCheckClient } from '../support/check-client.ts';
import { freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type LogLine, recordLog } from '../support/log-lines.ts';
import { createPortFiles, type PortFiles } from '../support/tls-files.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const REVOKED = 'the certificate was revoked, or was never issued to a node';

let folder = '';
let app: App;
let port: PortFiles;
let strangers: TestAuthority;
let messages: EnvoyMessages;
let lines: readonly LogLine[];
let api: AdminClient;
const closers: (() => void)[] = [];

const file = (name: string): string => join(folder, name);
const url = (): string => `https://127.0.0.1:${app.ports.admin}`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chancery-enrolled-'));
  [port, strangers] = await Promise.all([createPortFiles(), createAuthority('Strangers')]);
  messages = loadEnvoyMessages();
  const { certificateFile, privateKeyFile } = port.files;
  const tls = (listener: string, more: string[] = []): string[] =>
    [`certificateFile=${certificateFile}`, `privateKeyFile=${privateKeyFile}`, ...more].map(
      (each) => `${listener}.tls.${each}`,
    );
  const set = [
    `store.sqlite.path=${file('journal.db')}`,
    `journal.signingKeyFile=${file('key.pem')}`,
    'drainSeconds=0',
    ...['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`),
    ...tls('authz', ['enrolledNodes=true']),
    ...tls('control', ['enrolledNodes=true']),
    ...tls('admin'),
  ];
  const { genesisDigest, token } = await initInstance(
    loadConfig({ set }, { unpinned: true }),
    false,
    silentLogger,
  );
  const log = recordLog();
  lines = log.lines;
  const config = loadConfig({ set: [...set, `journal.genesis=${genesisDigest}`] });
  app = await startApp({ config, logger: log.logger });
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const { data } = await clientOf({}, token).POST('/v1/tokens', { body: { name: 'test', expiresAt } });
  api = clientOf({}, data?.token);
  for (const id of ['edge', 'other', 'gone']) await putNode(id);
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(async () => {
  await app.stop();
  await port.remove();
  await rm(folder, { recursive: true });
});

/** A client of the admin REST that shows a certificate, a token, both or none. */
function clientOf(shown: Partial<Leaf>, token?: string): AdminClient {
  const fetch = createTlsFetch({ ca: port.authority.certificate, ...shown });
  return createClient({ baseUrl: url(), maxAttempts: 1, fetch, ...(token !== undefined && { token }) });
}

async function putNode(id: string): Promise<void> {
  const params = { path: { id }, header: { 'if-none-match': '*' } };
  const body = { services: [], listener: { address: '127.0.0.1', port: 10_000 } };
  await api.PUT('/v1/nodes/{id}', { params, body });
}

const aRequestFor = (privateKey: string): Promise<string> => createCertificateRequest(privateKey);

async function enrolled(id: string): Promise<Leaf> {
  const { data: issued } = await api.POST('/v1/nodes/{id}/enrolment-tokens', {
    params: { path: { id } },
    body: {},
  });
  const privateKey = createNodeKey();
  const body = { csr: await aRequestFor(privateKey) };
  const { data } = await clientOf({}, issued?.token).POST('/v1/enrolments', { body });
  return { certificate: data?.certificate ?? '', privateKey };
}

async function renewalOf(shown: Partial<Leaf>) {
  const csr = await aRequestFor(createNodeKey());
  try {
    const { data } = await clientOf(shown).POST('/v1/enrolments/renew', { body: { csr } });
    return data;
  } catch (error) {
    return error instanceof ApiError ? error.code : error;
  }
}

/** What only whoever has the key of the authority can make: never issued, as far as the journal knows. */
async function signedByAuthority(nodeId: string, nowMs = Date.now()): Promise<Leaf> {
  const store = await openStore({ sqlite: { path: file('journal.db') } }, silentLogger);
  try {
    const [authority] = app.world.state.enrolments.view.authorities();
    const key = readSecretsKeyFile(file('key.pem.secrets'));
    const secrets = createSecrets({ sealed: store.sealedSecrets, key, random: systemRandom });
    const signingKey = await secrets.get(`node-authority/${authority?.id}`);
    if (authority === undefined || signingKey === undefined) throw new Error('there is no authority');
    const privateKey = createNodeKey();
    const { publicKey } = await readCertificateRequest(await aRequestFor(privateKey));
    const { certificate } = await issueNodeCertificate({
      authority: { certificate: authority.certificate, privateKey: signingKey },
      trustDomain: 'chancery',
      nodeId,
      publicKey,
      clock: { nowMs: () => nowMs },
      random: systemRandom,
    });
    return { certificate, privateKey };
  } finally {
    await store.close();
  }
}

function tlsOf(shown?: Leaf) {
  const ca = Buffer.from(port.authority.certificate);
  if (shown === undefined) return credentials.createSsl(ca);
  return credentials.createSsl(ca, Buffer.from(shown.privateKey), Buffer.from(shown.certificate));
}

function checkClient(shown?: Leaf): CheckClient {
  const client = createCheckClient(`127.0.0.1:${app.ports.authz}`, tlsOf(shown));
  closers.push(() => client.close());
  return client;
}

function adsClient(shown?: Leaf): AdsClient {
  const client = openAdsClient(app.ports.control ?? 0, messages, tlsOf(shown));
  closers.push(() => client.close());
  return client;
}

describe('a port that trusts enrolled nodes', () => {
  it('serves a node with the certificate that it was issued', async () => {
    const edge = await enrolled('edge');
    expect((await checkClient(edge).check(aCheckRequest({}))).status).toMatchObject({ code: 14 });
    const ads = adsClient(edge);
    ads.send('listener', { nodeId: 'edge', subscribe: ['*'] });
    expect((await ads.next()).resources.length).toBeGreaterThan(0);
  });

  it.each<[string, string, () => Promise<Leaf | undefined>]>([
    ['no certificate', 'no certificate', async () => undefined],
    [
      'the certificate of another authority',
      'the certificate is from another authority',
      () => strangers.issue({ uris: ['spiffe://chancery/node/edge'] }),
    ],
    [
      'the certificate of the authority of the ports themselves',
      'the certificate is from another authority',
      () => port.authority.issue({ uris: ['spiffe://chancery/node/edge'] }),
    ],
    [
      'an expired one',
      'the certificate has expired',
      () => signedByAuthority('edge', Date.now() - 2 * DAY_MS),
    ],
    [
      'one that the authority has signed and the journal does not know',
      REVOKED,
      () => signedByAuthority('edge'),
    ],
  ])(
    'refuses a client with %s on 9191 and on 18000, and the log says which',
    async (_what, reason, issue) => {
      const shown = await issue();
      const seen = lines.length;
      await expect(checkClient(shown).check(aCheckRequest({}))).rejects.toMatchObject({ code: 14 });
      const ads = adsClient(shown);
      ads.send('listener', { nodeId: 'edge', subscribe: ['*'] });
      expect((await ads.ended()).code).toBe(14);
      for (const role of ['authz', 'control']) {
        const isRefusal = (line: LogLine): boolean => line['role'] === role && line['reason'] === reason;
        await eventually(`the refusal by ${role}`, () => lines.slice(seen).some(isRefusal));
      }
    },
  );

  it('refuses a node that claims to be another, and the log says which', async () => {
    const ads = adsClient(await enrolled('other'));
    ads.send('listener', { nodeId: 'edge', subscribe: ['*'] });
    expect(await ads.ended()).toMatchObject({ code: 7 });
    const claim = lines.find((line) => line['claimed'] === 'edge');
    expect(claim).toMatchObject({ certificate: 'other', level: 'warn' });
  });

  it.each<[string, (id: string) => Promise<unknown>]>([
    ['revoked', (id) => api.DELETE('/v1/nodes/{id}/certificates', { params: { path: { id } } })],
    ['deleted', deleteNode],
  ])('cuts the open connections of a node that is %s, those of others go on', async (_what, end) => {
    const [gone, other] = [await enrolled('gone'), await enrolled('other')];
    const [check, steady] = [checkClient(gone), checkClient(other)];
    const ads = [gone, other].map((shown, at) => {
      const client = adsClient(shown);
      client.send('listener', { nodeId: at === 0 ? 'gone' : 'other', subscribe: ['*'] });
      return client;
    });
    await Promise.all(ads.map((client) => client.next()));
    await check.check(aCheckRequest({}));
    await steady.check(aCheckRequest({}));
    await end('gone');
    expect((await ads[0]?.ended())?.code).not.toBe(0);
    await eventually('it is refused', () =>
      check.check(aCheckRequest({})).then(
        () => false,
        ({ code }: { code: number }) => code === 14,
      ),
    );
    expect(await renewalOf(gone)).toBe('credential_revoked');
    expect((await steady.check(aCheckRequest({}))).status).toMatchObject({ code: 14 });
    // the same name, registered again, is another node: what the former had is worth nothing
    if (app.world.state.registry.view.node('gone') === undefined) await putNode('gone');
    expect(await renewalOf(gone)).toBe('credential_revoked');
    await expect(checkClient(gone).check(aCheckRequest({}))).rejects.toMatchObject({ code: 14 });
  });
});

/** Of a node that was issued a certificate 20 hours ago, and should have renewed it. */
async function aFolderThatIsDue(node: string): Promise<{ readonly out: string; readonly serial: string }> {
  const { certificate, privateKey } = await signedByAuthority(node, Date.now() - 20 * HOUR_MS);
  const parsed = new X509Certificate(certificate);
  const signingKey = readSigningKeyFile(file('key.pem'));
  const writer = createWriter({ ...app.world, signingKey });
  const body = {
    node,
    sha256: sha256(parsed.raw),
    serial: parsed.serialNumber,
    notBefore: parsed.validFromDate.toISOString(),
    notAfter: parsed.validToDate.toISOString(),
    keySha256: ZERO_DIGEST,
    certificate,
  };
  const draft = { kind: 'node.certificate.issue', body } as const;
  const prepare = () => ({ drafts: [draft] as const, result: undefined });
  await writer.change(
    { id: `test:${parsed.serialNumber}`, actor: 'test', prepare },
    AbortSignal.timeout(10_000),
  );
  const out = await mkdtemp(file('node-'));
  openNodeFolder(out).install({
    certificate,
    privateKey,
    nodeAuthorities: certificate,
    authorities: undefined,
    configurationKey: 'PEM',
  });
  return { out, serial: parsed.serialNumber };
}

const serialIn = (out: string): string => openNodeFolder(out).current()?.parsed.serialNumber ?? '';

describe('chancery node enrol --watch', () => {
  const flags = (out: string) => ({ url: url(), caFile: file('ca.pem'), out, watch: true });
  beforeAll(() => writeFile(file('ca.pem'), port.authority.certificate));
  afterEach(() => vi.restoreAllMocks());

  it('renews a certificate that is due, needs no token for that, and waits for the next time', async () => {
    await putNode('watched');
    const { out, serial } = await aFolderThatIsDue('watched');
    const stop = new AbortController();
    const said = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const watching = enrolCommand(flags(out), stop.signal);
    await eventually('it is renewed', () => serialIn(out) !== serial);
    stop.abort();
    expect(await watching).toBe(0);
    expect(said.mock.calls.flat().join('')).toMatch(/^node watched: certificate until/);
  });

  it('looks at the clock, which may be set while it waits', async () => {
    await putNode('sleeper');
    const { out, serial } = await aFolderThatIsDue('sleeper');
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const realNow = Date.now;
    // long before it is due, and then after
    let aheadMs = -10 * HOUR_MS;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => realNow() + aheadMs);
    const stop = new AbortController();
    const watching = enrolCommand(flags(out), stop.signal, 5);
    await eventually('it waits', () => clock.mock.calls.length > 20);
    expect(serialIn(out)).toBe(serial);
    aheadMs = 0;
    await eventually('it is renewed', () => serialIn(out) !== serial);
    stop.abort();
    expect(await watching).toBe(0);
  });

  it('tries again while nobody answers', async () => {
    await putNode('patient');
    const { out, serial } = await aFolderThatIsDue('patient');
    const stop = new AbortController();
    const complaints = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const unreachable = `https://127.0.0.1:${await freePort()}`;
    const watching = enrolCommand({ ...flags(out), url: unreachable }, stop.signal);
    await eventually('it says so', () => complaints.mock.calls.length > 0);
    stop.abort();
    expect(await watching).toBe(0);
    expect(String(complaints.mock.calls[0]?.[0])).toMatch(/not renewed yet: .* \(unreachable\)/);
    expect(serialIn(out)).toBe(serial);
  });

  it('ends when its certificate was revoked: only a new token helps', async () => {
    await putNode('banned');
    const { out } = await aFolderThatIsDue('banned');
    await api.DELETE('/v1/nodes/{id}/certificates', { params: { path: { id: 'banned' } } });
    const watching = enrolCommand(flags(out), new AbortController().signal);
    await expect(watching).rejects.toMatchObject({ code: 'credential_revoked' });
  });
});

describe('renewing', () => {
  it('gives a node its next certificate, for its own name and a new key', async () => {
    const first = await enrolled('edge');
    const second = await renewalOf(first);
    expect(second).toMatchObject({ node: 'edge', certificate: expect.stringMatching(/BEGIN CERTIFICATE/) });
    // the one before is valid as long as it was
    expect(await renewalOf(first)).toMatchObject({ node: 'edge' });
  });

  it.each<[string, string, () => Promise<Partial<Leaf>>]>([
    ['no certificate', 'credential_missing', async () => ({})],
    [
      'one of another authority',
      'credential_missing',
      () => strangers.issue({ uris: ['spiffe://chancery/node/edge'] }),
    ],
    ['an expired one', 'credential_missing', () => signedByAuthority('edge', Date.now() - 2 * DAY_MS)],
    ['one that was never issued', 'credential_revoked', () => signedByAuthority('edge')],
  ])('is refused to a connection that shows %s', async (_what, code, issue) => {
    expect(await renewalOf(await issue())).toBe(code);
  });

  it('is refused once the certificate has expired, also on a connection that outlasts it', async () => {
    await putNode('late');
    const { certificate: cert, privateKey: key } = await enrolled('late');
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: port.authority.certificate, cert, key });
    closers.push(() => agent.destroy());
    const ask = (csr: string): Promise<{ readonly reused: boolean; readonly code: unknown }> =>
      new Promise((resolve, reject) => {
        const headers = { 'content-type': 'application/json' };
        const asked = request(`${url()}/v1/enrolments/renew`, { agent, method: 'POST', headers });
        asked.once('error', reject);
        asked.once('response', (answer) => {
          json(answer).then(
            (body) => resolve({ reused: asked.reusedSocket, ...(body as { code: unknown }) }),
            reject,
          );
        });
        asked.end(JSON.stringify({ csr }));
      });
    const csr = await aRequestFor(createNodeKey());
    expect(await ask(csr)).toMatchObject({ reused: false, node: 'late' });
    const realNow = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => realNow() + 25 * HOUR_MS);
    const refused = await ask(csr).finally(() => vi.restoreAllMocks());
    expect(refused).toMatchObject({ reused: true, code: 'credential_expired' });
  });

  it('is refused to a node that renews again and again', async () => {
    const shown = await enrolled('other');
    let renewals = 0;
    await eventually('it is told to wait', async () => {
      const outcome = await renewalOf(shown);
      if (typeof outcome === 'object') renewals += 1;
      return outcome === 'rate_limited';
    });
    expect(renewals).toBeLessThanOrEqual(10);
  });

  it('needs more than an API token, and a certificate of a node is none', async () => {
    const csr = await aRequestFor(createNodeKey());
    const refused = api.POST('/v1/enrolments/renew', { body: { csr } });
    await expect(refused).rejects.toMatchObject({ code: 'credential_missing' });
    const node = clientOf(await enrolled('edge'));
    await expect(node.GET('/v1/nodes')).rejects.toMatchObject({ status: 401, code: 'credential_missing' });
  });
});

async function deleteNode(id: string): Promise<void> {
  const params = { path: { id } };
  const etag = (await api.GET('/v1/nodes/{id}', { params })).response.headers.get('etag') ?? '';
  await api.DELETE('/v1/nodes/{id}', { params: { ...params, header: { 'if-match': etag } } });
}
