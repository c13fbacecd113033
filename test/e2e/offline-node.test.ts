import { cp, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { createTlsFetch } from '../../src/client/tls-fetch.ts';
import { type EnrolledEdge, startEnrolledEdge } from '../support/enrolled-edge.ts';
import { freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type ClientTls, sendRequest } from '../support/http-request.ts';
import { runChancery, type Started } from '../support/serve-process.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';

const ALLOW_ALL = 'package envoy.authz\n\nallow := true\n';
const ALICE = 'spiffe://mesh.example/client/alice';
const BOB = 'spiffe://mesh.example/client/bob';
const OPERATIONS = [
  { id: 'read', method: 'GET', path: '/births/{id}' },
  { id: 'stats', method: 'GET', path: '/births/stats' },
  { id: 'record', method: 'POST', path: '/births' },
];

describe('a node that is run by `chancery node run`', () => {
  let edge: EnrolledEdge;
  let files: TlsFiles;
  let port = 0;
  let out = '';
  let clients: Readonly<Record<string, ClientTls>>;
  const runs: Started[] = [];

  beforeAll(async () => {
    [edge, files, port] = await Promise.all([startEnrolledEdge(), createTlsFiles(), freePort()]);
    clients = {
      alice: await files.client({ uris: [ALICE] }),
      bob: await files.client({ uris: [BOB] }),
      both: await files.client({ uris: [ALICE, BOB] }),
      nobody: await files.client(),
    };
    const { admin } = edge;
    await admin.publishAndRelease('open', ALLOW_ALL);
    await admin.putService('births', { operations: OPERATIONS });
    await admin.putService('asked', { access: 'policy', policy: 'open' });
    await admin.putGrant('births', 'alice', ALICE, ['read', 'record']);
    await admin.putGrant('births', 'bob', BOB, ['stats']);
    const listener = { address: '127.0.0.1', port, tls: files.listener };
    await admin.putNode('edge', { services: ['births', 'asked'], listener });
    await admin.putNode('other', {
      services: ['births'],
      listener: { address: '127.0.0.1', port: await freePort() },
    });
    out = await edge.enrol('edge');
    await edge.enrol('other');
  });
  afterAll(async () => {
    for (const { child } of runs) child.kill('SIGTERM');
    await Promise.all(runs.map(({ finished }) => finished));
    await edge?.close();
    await files?.remove();
  });

  const run = (id = 'edge'): Started => {
    const started = edge.run(id);
    runs.push(started);
    return started;
  };
  const end = async ({ child, finished }: Started): Promise<number | null> => {
    child.kill('SIGTERM');
    return (await finished).code;
  };
  const statusOf = async (client: string, method: string, path: string): Promise<number> =>
    (await sendRequest(port, path, { method, ...(clients[client] && { tls: clients[client] }) })).status;

  /** Whoever asks for whatever: what the rules in the proxy say, and how many requests have got through. */
  const tier1Table = async (): Promise<Readonly<Record<string, string>>> => {
    const table: Record<string, string> = {};
    for (const client of ['alice', 'bob', 'both', 'nobody']) {
      for (const request of [
        'GET /births/7',
        'GET /births/stats',
        'POST /births',
        'GET /births',
        'GET /births/7;x',
      ]) {
        const [method = '', path = ''] = request.split(' ');
        const before = edge.upstream.count();
        const status = await statusOf(client, method, path);
        table[`${client} ${request}`] = `${status}, ${edge.upstream.count() - before} through`;
      }
    }
    return table;
  };
  const answers = (path: string, status: number) =>
    eventually(`${path} is ${status}`, async () => (await statusOf('alice', 'GET', path)) === status);
  const says = (started: Started, what: string) =>
    eventually(`it says: ${what}`, () => {
      if (started.child.exitCode !== null) throw new Error(`it has ended: ${started.output()}`);
      return started.output().includes(what);
    });
  const keptFile = () => join(out, 'configuration.json');
  const keptPosition = async (): Promise<string> =>
    (JSON.parse(await readFile(keptFile(), 'utf8')) as { position: string }).position;
  const rollout = async (seq: number) => {
    const { data } = await edge.client.GET('/v1/journal/{seq}/rollout', {
      params: { path: { seq: `${seq}` } },
    });
    if (data === undefined || typeof data === 'string') throw new Error('there is no rollout');
    return data;
  };

  let agent: Started;
  let expected: Readonly<Record<string, string>>;

  it('is proven to enforce an entry once its listener has answered with it, and not before', async () => {
    agent = run();
    await answers('/births/7', 200);
    const { head } = await rollout(1);
    const proven = await eventually('the roll-out is proven', async () => {
      const { nodes } = await rollout(head);
      return nodes.find(({ id, proven: isProven }) => id === 'edge' && isProven);
    });
    expect(proven).toMatchObject({
      state: 'applied',
      proof: { position: expect.stringMatching(/^1\.\d+$/) },
    });
    const other = (await rollout(head)).nodes.find(({ id }) => id === 'other');
    expect(other).toMatchObject({ state: 'disconnected', proven: false });
    expect((await rollout(head)).proven).toBe(false);
  });

  it('keeps its position when something changes that is not its own', async () => {
    const { head } = await rollout(1);
    const before = (await rollout(head)).nodes.find(({ id }) => id === 'edge');
    await edge.admin.putService('elsewhere', {});
    const after = await eventually('the newer entry is proven too', async () => {
      const { nodes } = await rollout(head + 1);
      return nodes.find(({ id, proven }) => id === 'edge' && proven);
    });
    expect(after.proof?.position).toBe(before?.proof?.position);
    await edge.admin.putGrant('births', 'carol', 'spiffe://mesh.example/client/carol', ['read']);
    await eventually('its own change moves it', async () => {
      const { nodes } = await rollout(head + 2);
      return nodes.find(
        ({ id, proven, proof }) => id === 'edge' && proven && proof?.position === `1.${head + 2}`,
      );
    });
    const probed = await runChancery(['node', 'probe', '--port', `${port}`, '--tls', '--out', out]);
    expect(probed).toEqual({ code: 0, stdout: `1.${head + 2}\n`, stderr: '' });
  });

  it('keeps what it has accepted, signed, for itself alone, and no key in it', async () => {
    const { head } = await rollout(1);
    await eventually(
      'the kept position is the enforced one',
      async () => (await keptPosition()) === `1.${head}`,
    );
    expect((await stat(keptFile())).mode & 0o777).toBe(0o600);
    expect(await readFile(keptFile(), 'utf8')).not.toContain('PRIVATE KEY');
  });

  it('is told and believed nothing of another node', async () => {
    const [certificate, privateKey, ca] = await Promise.all(
      ['certificate', 'private-key', 'authorities'].map((name) =>
        readFile(join(out, 'current', `${name}.pem`), 'utf8'),
      ),
    );
    if (certificate === undefined || privateKey === undefined || ca === undefined)
      throw new Error('no files');
    const baseUrl = `https://127.0.0.1:${edge.serve().ports.admin}`;
    const own = createClient({
      baseUrl,
      fetch: createTlsFetch({ certificate, privateKey, ca }),
      maxAttempts: 1,
    });
    const params = { path: { id: 'other' } };
    const refused = { status: 403, code: 'permission_denied' };
    await expect(own.GET('/v1/nodes/{id}/configuration', { params })).rejects.toMatchObject(refused);
    const body = { position: '1.999' };
    await expect(own.POST('/v1/nodes/{id}/proof', { params, body })).rejects.toMatchObject(refused);
    const { head } = await rollout(1);
    expect((await rollout(head)).nodes.find(({ id }) => id === 'other')).not.toHaveProperty('proof');
  });

  it('enforces the same rules with everything of Chancery stopped, and what it must ask about is a 503', async () => {
    await answers('/asked/x', 200);
    expected = await tier1Table();
    expect(expected).toMatchObject({
      'alice GET /births/7': '200, 1 through',
      'bob GET /births/7': '403, 0 through',
      'alice GET /births/stats': '403, 0 through',
      'bob GET /births/stats': '200, 1 through',
      'both GET /births/7': '403, 0 through',
      'alice GET /births': '404, 0 through',
      'alice GET /births/7;x': '400, 0 through',
    });
    await edge.stopServing();
    await answers('/asked/x', 503);
    expect(await tier1Table()).toEqual(expected);
  });

  it('starts without Chancery from what it has kept: the same rules, and again 503', async () => {
    expect(await end(agent)).toBe(0);
    agent = run();
    await says(agent, 'from what this node has kept');
    await answers('/births/7', 200);
    expect(await tier1Table()).toEqual(expected);
    await answers('/asked/x', 503);
  });

  it('is restarted once when Chancery is back, says so, and follows it again', async () => {
    await edge.restart();
    await says(agent, 'Chancery is back: Envoy is restarted once, on purpose');
    await answers('/asked/x', 200);
    await edge.admin.deleteGrant('births', 'carol');
    const { head } = await rollout(1);
    await eventually('the change is proven', async () =>
      (await rollout(head)).nodes.some(({ id, proven }) => id === 'edge' && proven),
    );
    expect(await tier1Table()).toEqual(expected);
    expect(agent.output().match(/restarted once/g)).toHaveLength(1);
    await eventually('it is kept', async () => (await keptPosition()) === `1.${head}`);
  });

  it('refuses to start from one changed byte, and from what is another node’s', async () => {
    expect(await end(agent)).toBe(0);
    await edge.stopServing();
    const good = await readFile(keptFile());
    // of the text in between `node-configuration.test.ts` changes each
    for (const at of [good.indexOf('alice'), good.length - 3]) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      await writeFile(keptFile(), bad);
      const { code, stderr } = await run().finished;
      expect([at, code]).toEqual([at, 1]);
      expect(stderr).toMatch(/\((credential_invalid|request_malformed)\)\n$/);
    }
    await writeFile(keptFile(), good);
    await cp(keptFile(), join(edge.folder, 'other', 'configuration.json'));
    const other = await run('other').finished;
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining('the kept configuration is that of node "edge" (peer_mismatch)'),
    ]);
    await expect(statusOf('alice', 'GET', '/births/7')).rejects.toThrow();
  });

  it('is warned, then stopped, when Chancery is away for too long, and starts no more from what has expired', async () => {
    await edge.restart('tier1.maxOfflineSeconds=8');
    agent = run();
    await answers('/births/7', 200);
    const life = async (): Promise<number> => {
      const { notBefore, expiresAt } = JSON.parse(await readFile(keptFile(), 'utf8')) as Record<
        string,
        string
      >;
      return Date.parse(expiresAt ?? '') - Date.parse(notBefore ?? '');
    };
    await eventually('a short one is kept', async () => (await life()) < 100_000);
    await edge.stopServing();
    const { code, stdout, stderr } = await agent.finished;
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/warning: Envoy is stopped in \d+ s unless Chancery is back/);
    expect(stderr).toContain('Envoy is stopped: Chancery has been away for longer');
    await expect(statusOf('alice', 'GET', '/births/7')).rejects.toThrow();
    const again = await run().finished;
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringMatching(/has expired at .* \(credential_expired\)/),
    ]);
  });
});
