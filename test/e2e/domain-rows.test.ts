/** Rows of the domain's acceptance table on real Envoys: each prints its id, and one that is missing fails the run. */
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { untilEnforced } from '../support/enforced.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type Http2Connection } from '../support/http-connection.ts';
import type { ClientTls } from '../support/http-request.ts';
import { startOpenLoop } from '../support/open-loop.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const HOSPITAL = 'spiffe://mesh.example/app/GOV/MOH/hospital';
const BANK = 'spiffe://mesh.example/app/COM/BANK/loans';
const OPERATIONS = [
  { id: 'record', method: 'POST', path: '/v1/births' },
  { id: 'read', method: 'GET', path: '/v1/births/{id}' },
  { id: 'stats', method: 'GET', path: '/v1/births/stats' },
];
const ALLOW_ALL = 'package envoy.authz\n\nallow := true\n';
const INTERNAL = ['births', 'deaths', 'asked', 'moving'];

/** What stands elsewhere, or waits for what is not there. */
const NOT_HERE: Readonly<Record<string, string>> = {
  E6: 'not built: headers of the domain on answers',
  C1: 'not here: needs a network namespace for the back end',
  B2: 'hundred-changes.test.ts',
};
const ROWS = ['E1', 'E2', 'E3', 'E4', 'E5', 'E6', 'E7', 'M10', 'M15', 'C1', 'C3', 'C4', 'C5', 'B1', 'B2'];

describe('the rows of the domain', () => {
  let stack: Stack;
  let files: TlsFiles;
  let cro: EnvoyProcess;
  let croExternal: EnvoyProcess;
  let moi: EnvoyProcess;
  let ports: { readonly cro: number; readonly external: number; readonly moi: number };
  let hospital: Http2Connection;
  let bank: Http2Connection;
  let hospitalTls: ClientTls;
  const more: Upstream[] = [];
  const open: Http2Connection[] = [];
  const seen = new Map<string, string>();

  beforeAll(async () => {
    [stack, files] = await Promise.all([
      startStack({ set: ['control.checkTimeoutMs=5000'] }),
      createTlsFiles(),
    ]);
    more.push(await startUpstream(), await startUpstream());
    ports = { cro: await freePort(), external: await freePort(), moi: await freePort() };
    await stack.publishAndRelease('open', ALLOW_ALL);
    await stack.putService('births', { prefix: '/v1/births', operations: OPERATIONS });
    await stack.putService('deaths', { prefix: '/v1/deaths' });
    await stack.putService('asked', { prefix: '/v1/asked', access: 'policy', policy: 'open' });
    await stack.putService('moving', { prefix: '/v1/moving', endpoints: endpoints(3) });
    await stack.putService('taxes', { prefix: '/v1/taxes' });
    await stack.putGrant('births', 'hospital', HOSPITAL, ['record', 'read']);
    await stack.putGrant('births', 'bank', BANK, ['stats']);
    await stack.putGrant('deaths', 'hospital', HOSPITAL);
    await stack.putGrant('moving', 'hospital', HOSPITAL);
    await stack.putGrant('taxes', 'bank', BANK);
    const node = (services: string[], port: number) =>
      ({ services, listener: { address: '127.0.0.1', port, tls: files.listener } }) as const;
    await stack.putNode('ss-cro', node(INTERNAL, ports.cro));
    await stack.putNode('ss-cro-ext', node(['births'], ports.external));
    await stack.putNode('ss-moi', node(['taxes'], ports.moi));
    [cro, croExternal, moi] = await Promise.all([
      stack.startNode('ss-cro'),
      stack.startNode('ss-cro-ext'),
      stack.startNode('ss-moi'),
    ]);
    hospitalTls = await files.client({ uris: [HOSPITAL] });
    hospital = await connectTo(ports.cro, hospitalTls);
    bank = await connectTo(ports.cro, await files.client({ uris: [BANK] }));
    await answers(hospital, '/v1/births/7', 200);
    await answers(bank, '/v1/births/stats', 200);
  });
  afterAll(async () => {
    const lines = ROWS.map((id) => `${id.padEnd(4)} ${seen.get(id) ?? NOT_HERE[id] ?? 'MISSING'}`);
    process.stdout.write(`${lines.join('\n')}\n`);
    for (const connection of open) connection.close();
    await stack?.stop();
    await Promise.all(more.map((each) => each.close()));
    await files?.remove();
  });

  const endpoints = (count: number) =>
    [stack.upstream, ...more].slice(0, count).map(({ port }) => ({ address: '127.0.0.1', port }));
  const connectTo = async (port: number, tls: ClientTls): Promise<Http2Connection> => {
    const connection = await eventually('the listener takes connections', () => connectHttp2(port, tls));
    open.push(connection);
    return connection;
  };
  const answers = (by: Http2Connection, path: string, status: number) =>
    eventually(`${path} is ${status}`, async () => (await by.send(path)).status === status);
  const dump = async (envoy: EnvoyProcess, resource: string): Promise<string> =>
    envoy.get(`/config_dump?resource=${resource}`);
  const routesVersion = async (envoy: EnvoyProcess): Promise<string> =>
    /"version_info": "([^"]+)"/.exec(await dump(envoy, 'dynamic_route_configs'))?.[1] ?? '';
  const isBound = (address: string, port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = createConnection({ host: address, port });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });

  /** A row counts once its case has passed. */
  const row = (id: string, title: string, check: () => Promise<string | undefined>): void =>
    it(`${id}: ${title}`, async () => {
      const figures = await check();
      seen.set(id, figures === undefined ? `ok   ${title}` : `ok   ${title} (${figures})`);
    });

  row('E1', 'HTTPS listeners made by API bind their own address only, and none is refused', async () => {
    expect(await isBound('127.0.0.1', ports.cro)).toBe(true);
    expect(await isBound('127.0.0.1', ports.external)).toBe(true);
    expect(await isBound('127.0.0.2', ports.cro)).toBe(false);
    for (const envoy of [cro, croExternal, moi]) {
      expect(await envoy.stat('listener_manager.lds.update_success')).toBeGreaterThan(0);
      expect(await envoy.stat('listener_manager.lds.update_rejected')).toBe(0);
    }
    return 'TCP listeners are not built';
  });

  row('E2', 'new routes change the target on an open connection', async () => {
    const [other] = more;
    if (other === undefined) throw new Error('no other upstream');
    await stack.putService('newer', {
      prefix: '/v2/deaths',
      endpoints: [{ address: '127.0.0.1', port: other.port }],
    });
    await stack.putGrant('newer', 'hospital', HOSPITAL);
    await putServices([...INTERNAL, 'newer']);
    await answers(hospital, '/v2/deaths/1', 200);
    const before = await expectForwarded(stack.upstream, () => hospital.send('/v1/deaths/1'));
    await stack.putService('deaths', { prefix: '/v0/deaths' });
    await stack.putService('newer', {
      prefix: '/v1/deaths',
      endpoints: [{ address: '127.0.0.1', port: other.port }],
    });
    await answers(hospital, '/v2/deaths/1', 404);
    await answers(hospital, '/v1/deaths/1', 200);
    const after = await expectForwarded(other, () => hospital.send('/v1/deaths/1'));
    expect(after.localPort).toBe(before.localPort);
    expect(hospital.isOpen()).toBe(true);
    await stack.putService('newer', {
      prefix: '/v2/deaths',
      endpoints: [{ address: '127.0.0.1', port: other.port }],
    });
    await stack.putService('deaths', { prefix: '/v1/deaths' });
    await answers(hospital, '/v2/deaths/1', 200);
    return undefined;
  });

  const putServices = (services: string[]) =>
    stack.putNode('ss-cro', {
      services,
      listener: { address: '127.0.0.1', port: ports.cro, tls: files.listener },
    });

  row('E3', 'two services on one host have clusters, breakers and counters of their own', async () => {
    const clusters = await dump(cro, 'dynamic_active_clusters');
    for (const name of ['service.births', 'service.deaths']) expect(clusters).toContain(`"name": "${name}"`);
    const counts = () =>
      Promise.all(['births', 'deaths'].map((name) => cro.stat(`cluster.service.${name}.upstream_rq_total`)));
    const before = await counts();
    await expectForwarded(stack.upstream, () => hospital.send('/v1/births/7'));
    expect(await counts()).toEqual([(before[0] ?? 0) + 1, before[1]]);
    for (const name of ['births', 'deaths'])
      expect(await cro.stat(`cluster.service.${name}.circuit_breakers.default.rq_open`)).toBe(0);
    return undefined;
  });

  row(
    'E4',
    'an endpoint that leaves under load fails no request, and gets none once that is acknowledged and enforced',
    async () => {
      const leaving = more[1];
      const { ca, certificate = '', privateKey = '' } = hospitalTls;
      const load = startOpenLoop({
        ...{ port: ports.cro, path: '/v1/moving/x', ca, certificate, privateKey, perSecond: 200 },
        next: () => ({ method: 'GET', status: 200 }),
      });
      await eventually('all three are asked', () => (leaving?.count() ?? 0) > 20);
      await stack.putService('moving', { prefix: '/v1/moving', endpoints: endpoints(2) });
      await untilEnforced(stack, 'ss-cro', { address: '127.0.0.1', port: ports.cro, tls: true });
      const hits = leaving?.count();
      const others = stack.upstream.count();
      await eventually('the others go on', () => stack.upstream.count() > others + 100);
      const counts = await load.stop();
      expect(counts).toMatchObject({ expected: counts.sent, others: {}, dropped: 0 });
      expect(leaving?.count()).toBe(hits);
      return `${counts.sent} requests`;
    },
  );

  row('E5', 'rules, then the policy, then the router; what is denied reaches no back end', async () => {
    const listener = await dump(cro, 'dynamic_listeners');
    const filters = [...listener.matchAll(/"name": "envoy\.filters\.http\.(\w+)"/g)].map(([, name]) => name);
    expect(filters).toEqual(['rbac', 'ext_authz', 'router']);
    await expectRefused(stack.upstream, () => bank.send('/v1/births/7'), 403);
    return undefined;
  });

  row('E7', 'the port selects the chain, and the external one has no internal route', async () => {
    const outside = await connectTo(ports.external, hospitalTls);
    await answers(outside, '/v1/births/7', 200);
    await expectRefused(stack.upstream, () => outside.send('/v1/deaths/1'), 404);
    await expectForwarded(stack.upstream, () => hospital.send('/v1/deaths/1'));
    expect(await dump(croExternal, 'dynamic_route_configs')).not.toContain('deaths');
    return undefined;
  });

  row(
    'M10',
    'each consumer may do what it is granted, operation by operation, and nothing else',
    async () => {
      const stranger = await connectTo(
        ports.cro,
        await files.client({ uris: ['spiffe://mesh.example/app/x'] }),
      );
      const nobody = await connectTo(ports.cro, await files.client());
      const table = [
        [hospital, 'POST', '/v1/births', 200],
        [hospital, 'GET', '/v1/births/7', 200],
        [hospital, 'GET', '/v1/births/stats', 403],
        [bank, 'POST', '/v1/births', 403],
        [bank, 'GET', '/v1/births/7', 403],
        [bank, 'GET', '/v1/births/stats', 200],
        ...[stranger, nobody].flatMap(
          (client) =>
            [
              [client, 'POST', '/v1/births', 403],
              [client, 'GET', '/v1/births/7', 403],
              [client, 'GET', '/v1/births/stats', 403],
            ] as const,
        ),
      ] as const;
      for (const [client, method, path, status] of table) {
        const send = () => client.send(path, { method });
        if (status === 200) await expectForwarded(stack.upstream, send);
        else await expectRefused(stack.upstream, send, status);
      }
      return `${table.length} cases`;
    },
  );

  row('M15', 'a new service without a grant is closed to everybody', async () => {
    await stack.putService('fresh', { prefix: '/v1/fresh' });
    await putServices([...INTERNAL, 'newer', 'fresh']);
    await answers(hospital, '/v1/fresh/x', 403);
    for (const client of [hospital, bank])
      await expectRefused(stack.upstream, () => client.send('/v1/fresh/x'), 403);
    return undefined;
  });

  row('C3', 'the internal and the external proxy of a member have views of their own', async () => {
    const clustersOf = async (envoy: EnvoyProcess) =>
      [
        ...new Set([
          ...(await dump(envoy, 'dynamic_active_clusters')).matchAll(/"name": "service\.([\w-]+)"/g),
        ]),
      ]
        .map(([, name]) => name)
        .sort();
    expect(await clustersOf(croExternal)).toEqual(['births']);
    expect((await clustersOf(cro)).length).toBe(6);
    return 'groups of nodes are not built';
  });

  row('C4', 'a security server knows nothing of other members', async () => {
    const all = await cro.get('/config_dump?include_eds');
    expect(all).toContain('service.births');
    expect(all).not.toContain('taxes');
    expect(await moi.get('/config_dump?include_eds')).not.toContain('births');
    return undefined;
  });

  row(
    'C5',
    'a change of one member reaches its proxies, drops no connection, and others are sent nothing',
    async () => {
      const neighbour = {
        version: await routesVersion(moi),
        updates: await moi.stat('http.chancery.rds.chancery.update_attempt'),
      };
      const before = await routesVersion(cro);
      const { localPort } = await hospital.send('/v1/births/7');
      const times: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        const status = round % 2 === 0 ? 200 : 403;
        const startMs = performance.now();
        await (status === 200
          ? stack.putGrant('births', 'late', HOSPITAL, ['stats'])
          : stack.deleteGrant('births', 'late'));
        await answers(hospital, '/v1/births/stats', status);
        times.push(performance.now() - startMs);
      }
      await stack.deleteGrant('births', 'late');
      await answers(hospital, '/v1/births/stats', 403);
      expect(await routesVersion(cro)).not.toBe(before);
      expect(await routesVersion(moi)).toBe(neighbour.version);
      expect(await moi.stat('http.chancery.rds.chancery.update_attempt')).toBe(neighbour.updates);
      expect((await hospital.send('/v1/births/7')).localPort).toBe(localPort);
      return `from call to effect, slowest of 5: ${Math.round(Math.max(...times))} ms`;
    },
  );

  row(
    'B1',
    'what grants decide costs no call, and is the same with everything of Chancery stopped',
    async () => {
      const asked = async () => cro.stat('cluster.chancery-authz.upstream_rq_total');
      await answers(hospital, '/v1/asked/x', 200);
      const before = await asked();
      const table = async () => {
        await expectForwarded(stack.upstream, () => hospital.send('/v1/births/7'));
        await expectRefused(stack.upstream, () => hospital.send('/v1/births/stats'), 403);
        await expectForwarded(stack.upstream, () => bank.send('/v1/births/stats'));
        await expectRefused(stack.upstream, () => bank.send('/v1/births/7'), 403);
      };
      await table();
      expect(await asked()).toBe(before);
      await stack.app.stop();
      await answers(hospital, '/v1/asked/x', 503);
      await table();
      return undefined;
    },
  );

  it('every row is there, or says why it is not', () => {
    expect([...seen.keys(), ...Object.keys(NOT_HERE)].sort()).toEqual([...ROWS].sort());
  });
});
