import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import type { AdsProtocol } from '../../src/xds/bootstrap.ts';
import { type BuildResources, buildResources } from '../../src/xds/build.ts';
import { createAuthority, type Leaf } from '../support/certificates.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type LogLine, recordLog } from '../support/log-lines.ts';
import { type Stack, startStack, withFreeAdminPort } from '../support/stack.ts';
import { issueNode, nodeFiles, type PortFiles } from '../support/tls-files.ts';

type Built = ReturnType<BuildResources>;

const READ_ONLY = `package envoy.authz
default allow := {"allowed": false, "http_status": 403}
allow := true if input.attributes.request.http.method == "GET"
`;
const HOUR_MS = 3_600_000;

/** How an Envoy may come that is not the node which it says it is. */
const STRANGERS = {
  'no certificate': {
    reason: 'no certificate',
    issue: async () => undefined,
  },
  'a certificate from another authority': {
    reason: 'the certificate is from another authority',
    issue: async () =>
      (await createAuthority('Strangers')).issue({ uris: ['spiffe://example.test/node/edge'] }),
  },
  'an expired certificate': {
    reason: 'the certificate has expired',
    issue: (port: PortFiles, id: string) =>
      issueNode(port, id, {
        notBefore: new Date(Date.now() - 2 * HOUR_MS),
        notAfter: new Date(Date.now() - HOUR_MS),
      }),
  },
} as const satisfies Record<
  string,
  { reason: string; issue: (port: PortFiles, id: string) => Promise<Leaf | undefined> }
>;
const KINDS = Object.keys(STRANGERS) as (keyof typeof STRANGERS)[];

describe('a real Envoy over mTLS', () => {
  let mtls: PortFiles;
  let stack: Stack;
  let lines: readonly LogLine[];
  /** the listener of a node that is what it says */
  let edge: number;
  /** of nodes that are not */
  const envoys: EnvoyProcess[] = [];
  /** listeners of nodes that are told to show something else on 9191: with, or without a certificate */
  const spoilt = new Map<number, 'another' | 'none'>();

  beforeAll(async () => {
    const log = recordLog();
    lines = log.lines;
    stack = await startStack({
      mtls: true,
      logger: log.logger,
      build: (view, node, options) => {
        const built = buildResources(view, node, options);
        const shown = spoilt.get(node.value.listener?.port ?? 0);
        return shown === undefined ? built : showing(built, shown);
      },
    });
    mtls = stack.mtls!;
    await stack.publishAndRelease('read-only', READ_ONLY);
    await stack.putService('asked', { access: 'policy', policy: 'read-only' });
    edge = await putNode('edge');
    await stack.startNode('edge');
    await eventually('a request is allowed', async () => (await sendRequest(edge, '/asked')).status === 200);
  });
  afterEach(async () => {
    // they would try again and again
    for (const envoy of envoys.splice(0)) await envoy.stop();
  });
  afterAll(() => stack?.stop());

  async function putNode(id: string): Promise<number> {
    const listener = { address: '127.0.0.1', port: await freePort() };
    await stack.putNode(id, { services: ['asked'], listener });
    return listener.port;
  }
  async function start(
    bootstrap: JsonObject,
    files: Readonly<Record<string, string>>,
  ): Promise<EnvoyProcess> {
    const envoy = await startEnvoy(withFreeAdminPort(bootstrap), { files });
    envoys.push(envoy);
    return envoy;
  }
  const isRefusedBy = (role: string, reason: string) => (line: LogLine) =>
    line.level === 'warn' && line['role'] === role && line['reason'] === reason;
  /** It has tried, and has nothing. */
  const expectNothing = async (id: string, listener: number, envoy: EnvoyProcess): Promise<void> => {
    expect(await envoy.stat('listener_manager.lds.update_success')).toBe(0);
    expect(await envoy.stat('cluster_manager.cds.update_success')).toBe(0);
    await expect(sendRequest(listener, '/asked')).rejects.toThrow(/ECONNREFUSED/);
    const { data } = await stack.client.GET('/v1/nodes/{id}/status', { params: { path: { id } } });
    expect(data?.connected).toBe(false);
  };

  it('gets its configuration and its decisions, from the bootstrap alone', async () => {
    const send = (method: string) => sendRequest(edge, '/asked', { method });
    await expectForwarded(stack.upstream, () => send('GET'));
    await expectRefused(stack.upstream, () => send('DELETE'), 403);
  });

  it.each(KINDS)('gets nothing from 18000 with %s, and the log says why', async (kind) => {
    const { reason, issue } = STRANGERS[kind];
    const id = `control-${KINDS.indexOf(kind)}`;
    const listener = await putNode(id);
    const bootstrap = await stack.bootstrap(id);
    const leaf = await issue(mtls, id);
    const files = nodeFiles(mtls, leaf ?? (await issueNode(mtls, id)));
    const seen = lines.length;
    const envoy = await start(leaf === undefined ? withoutCertificate(bootstrap) : bootstrap, files);
    await eventually('the refusal is logged', () => lines.slice(seen).find(isRefusedBy('control', reason)));
    await eventually(
      'it has met it',
      async () => (await envoy.stat('cluster_manager.cds.update_failure')) > 0,
    );
    await expectNothing(id, listener, envoy);
  });

  it.each<AdsProtocol>(['delta', 'sotw'])(
    'gets nothing from 18000 with the certificate of another node (%s), and the log says whose',
    async (protocol) => {
      const id = `other-${protocol}`;
      const listener = await putNode(id);
      const certificate = await issueNode(mtls, 'edge');
      const envoy = await stack.startNode(id, { protocol, certificate });
      envoys.push(envoy);
      const refusal = await eventually('the refusal is logged', () =>
        lines.find((line) => line['role'] === 'control' && line['claimed'] === id),
      );
      expect(refusal).toMatchObject({ level: 'warn', certificate: 'edge' });
      await eventually(
        'it has met it',
        async () => (await envoy.stat('cluster_manager.cds.update_failure')) > 0,
      );
      await expectNothing(id, listener, envoy);
    },
  );

  it.each(KINDS)('gets no decision from 9191 with %s, and the log says why', async (kind) => {
    const { reason, issue } = STRANGERS[kind];
    const id = `authz-${KINDS.indexOf(kind)}`;
    const listener = await putNode(id);
    const leaf = await issue(mtls, id);
    spoilt.set(listener, leaf === undefined ? 'none' : 'another');
    const own = nodeFiles(mtls, await issueNode(mtls, id));
    const others = Object.entries(nodeFiles(mtls, leaf ?? (await issueNode(mtls, id))));
    const files = { ...own, ...Object.fromEntries(others.map(([path, text]) => [anotherPath(path), text])) };
    const seen = lines.length;
    await start(await stack.bootstrap(id), files);
    const refused = () => sendRequest(listener, '/asked');
    await eventually('the listener answers', async () => (await refused()).status === 503);
    await eventually('the refusal is logged', () => lines.slice(seen).find(isRefusedBy('authz', reason)));
    for (let time = 0; time < 3; time += 1) await expectRefused(stack.upstream, refused, 503);
    await expectForwarded(stack.upstream, () => sendRequest(edge, '/asked'));
  });

  it('gets no decision from 9191 with the certificate of another node, and the log says whose', async () => {
    const listener = await putNode('authz-other');
    const elsewhere = { services: [], listener: { address: '127.0.0.1', port: await freePort() } };
    await stack.putNode('elsewhere', elsewhere);
    spoilt.set(listener, 'another');
    const own = nodeFiles(mtls, await issueNode(mtls, 'authz-other'));
    const others = Object.entries(nodeFiles(mtls, await issueNode(mtls, 'elsewhere')));
    const files = { ...own, ...Object.fromEntries(others.map(([path, text]) => [anotherPath(path), text])) };
    await start(await stack.bootstrap('authz-other'), files);
    const refused = () => sendRequest(listener, '/asked');
    await eventually('the listener answers', async () => (await refused()).status === 403);
    for (let time = 0; time < 3; time += 1) await expectRefused(stack.upstream, refused, 403);
    expect(lines.filter((line) => line['node'] === 'elsewhere' && line['role'] === 'authz')).toMatchObject([
      {
        level: 'warn',
        service: 'asked',
        message: 'a node asks for a service that it does not serve',
      },
    ]);
    // its own service from now on: no new connection is needed
    await stack.putNode('elsewhere', { ...elsewhere, services: ['asked'] });
    await eventually('it is answered', async () => (await refused()).status === 200);
    await expectForwarded(stack.upstream, refused);
  });
});

/** The file beside it that holds what is to be shown on 9191 alone. */
function anotherPath(path: string): string {
  return path.replace('./node', './another');
}

function showing(built: Built, shown: 'another' | 'none'): Built {
  return shown === 'none'
    ? withoutCertificate(built)
    : (JSON.parse(JSON.stringify(built).replaceAll('./node', './another')) as Built);
}

/** Whatever an Envoy would show, by file or by secret. */
function withoutCertificate<T extends object>(config: T): T {
  const isShown = (key: string): boolean => /^tlsCertificate(s|SdsSecretConfigs)$/.test(key);
  const text = JSON.stringify(config, (key, value: unknown) => (isShown(key) ? undefined : value));
  return JSON.parse(text) as T;
}
