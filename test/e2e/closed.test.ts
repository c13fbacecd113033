import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { type BuildResources, buildResources } from '../../src/xds/build.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type Http2Connection } from '../support/http-connection.ts';
import { rawRequest } from '../support/raw-http.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';

const ALLOW_ALL = 'package envoy.authz\n\nallow := true\n';
const ALICE = 'spiffe://mesh.example/client/alice';
const NODE = 'edge-1';

interface Edge {
  readonly envoy: EnvoyProcess;
  readonly client: Http2Connection;
}

/** A TLS listener with these services, and a client with Alice's certificate whom it has answered. */
async function startEdge(stack: Stack, files: TlsFiles, services: string[]): Promise<Edge> {
  const port = await freePort();
  await stack.putNode(NODE, { services, listener: { address: '127.0.0.1', port, tls: files.listener } });
  const envoy = await stack.startNode(NODE);
  const tls = await files.client({ uris: [ALICE] });
  const client = await eventually('the listener takes TLS connections', () => connectHttp2(port, tls));
  return { envoy, client };
}

async function answers(client: Http2Connection, path: string, status: number): Promise<void> {
  await eventually(`${path} answers ${status}`, async () => (await client.send(path)).status === status);
}

/** How often the authorizer was asked, or would have been if it were there. */
async function asked(envoy: EnvoyProcess): Promise<number> {
  const outcomes = await Promise.all(
    ['ok', 'denied', 'error'].map((outcome) => envoy.stat(`http.chancery.ext_authz.pdp.${outcome}`)),
  );
  return outcomes.reduce((sum, count) => sum + count, 0);
}

describe('without a grant, or without a policy', () => {
  let stack: Stack;
  let files: TlsFiles;
  let edge: Edge;

  beforeAll(async () => {
    files = await createTlsFiles();
    stack = await startStack();
    await stack.publishAndRelease('demo', ALLOW_ALL);
    await stack.publish('unreleased', ALLOW_ALL);
    await stack.putService('granted', {});
    await stack.putService('both', { access: 'grants-and-policy', policy: 'demo' });
    await stack.putService('asked', { access: 'policy', policy: 'demo' });
    await stack.putService('unreleased', { access: 'policy', policy: 'unreleased' });
    await stack.putService('entrypoint', {
      access: 'policy',
      policy: 'demo',
      entrypoint: 'envoy/authz/other',
    });
    await stack.putService('both-unreleased', { access: 'grants-and-policy', policy: 'unreleased' });
    await stack.putGrant('both-unreleased', 'alice', ALICE);
    edge = await startEdge(stack, files, [
      'granted',
      'both',
      'asked',
      'unreleased',
      'entrypoint',
      'both-unreleased',
    ]);
    await answers(edge.client, '/asked/x', 200);
  });
  afterAll(async () => {
    edge?.client.close();
    await stack?.stop();
    await files?.remove();
  });

  const send = (path: string) => () => edge.client.send(path);

  it.each(['granted', 'both'])(
    'the last grant of /%s is removed: 403 for everyone, and nobody is asked',
    async (name) => {
      await stack.putGrant(name, 'alice', ALICE);
      await stack.putGrant(name, 'bob', 'spiffe://mesh.example/client/bob');
      await answers(edge.client, `/${name}/x`, 200);
      await expectForwarded(stack.upstream, send(`/${name}/x`));
      await stack.deleteGrant(name, 'bob');
      await expectForwarded(stack.upstream, send(`/${name}/x`));

      await stack.deleteGrant(name, 'alice');
      // the policy's service asks for the grant too, and knows earlier: wait for the proxy's own refusal
      await eventually(
        'the proxy refuses',
        async () => (await edge.client.send(`/${name}/x`)).body === 'RBAC: access denied',
      );
      const before = await asked(edge.envoy);
      for (const path of [`/${name}/x`, `/${name}`, `/${name}/a/b?c`]) {
        await expectRefused(stack.upstream, send(path), 403);
      }
      expect(await asked(edge.envoy)).toBe(before);
      await expectForwarded(stack.upstream, send('/asked/x'));
      expect(await asked(edge.envoy)).toBe(before + 1);
    },
  );

  it.each([
    ['a policy decides', 'unreleased'],
    ['a grant and a policy decide', 'both-unreleased'],
  ])(
    'where %s, and the policy is published and not released: 503, and nothing is forwarded',
    async (_, name) => {
      const before = await asked(edge.envoy);
      await expectRefused(stack.upstream, send(`/${name}/x`), 503);
      expect(await asked(edge.envoy)).toBe(before + 1);
      await expectForwarded(stack.upstream, send('/asked/x'));
    },
  );

  it('an entrypoint that the policy does not have: 500, and nothing is forwarded', async () => {
    await expectRefused(stack.upstream, send('/entrypoint/x'), 500);
    await expectForwarded(stack.upstream, send('/asked/x'));
  });

  it('the first release opens what waited for it', async () => {
    const { data } = await stack.client.GET('/v1/policies/{name}', {
      params: { path: { name: 'unreleased' } },
    });
    await expectRefused(stack.upstream, send('/unreleased/x'), 503);
    await stack.release('unreleased', data?.revision ?? '');
    await answers(edge.client, '/unreleased/x', 200);
    await expectForwarded(stack.upstream, send('/unreleased/x'));
  });

  it('a service that is taken from the node: 404, and nothing is forwarded', async () => {
    const { data } = await stack.client.GET('/v1/nodes/{id}', { params: { path: { id: NODE } } });
    if (data === undefined) throw new Error('the node is not there');
    await expectForwarded(stack.upstream, send('/asked/x'));
    await stack.putNode(NODE, { ...data, services: data.services.filter((name) => name !== 'asked') });
    await answers(edge.client, '/asked/x', 404);
    await expectRefused(stack.upstream, send('/asked/x'), 404);
  });
});

describe('a route that is pushed without overrides', () => {
  let stack: Stack;
  let files: TlsFiles;
  let edge: Edge;
  let strip = false;

  /** What a builder that forgot them would push. */
  const withoutOverrides = (routes: JsonObject): JsonObject =>
    JSON.parse(
      JSON.stringify(routes, (key, value: unknown) => (key === 'typedPerFilterConfig' ? undefined : value)),
    ) as JsonObject;
  const build: BuildResources = (view, node, options) => {
    const built = buildResources(view, node, options);
    return strip ? { ...built, routes: built.routes.map(withoutOverrides) } : built;
  };
  /** Something that is no rule changes, so that the resources are built again. */
  const rebuild = (stripped: boolean) => {
    strip = stripped;
    return stack.putService('asked', {
      access: 'policy',
      policy: 'demo',
      hosts: ['*', `h${stripped}.example`],
    });
  };

  beforeAll(async () => {
    files = await createTlsFiles();
    stack = await startStack({ build });
    await stack.publishAndRelease('demo', ALLOW_ALL);
    await stack.putService('asked', { access: 'policy', policy: 'demo' });
    await stack.putService('granted', {});
    await stack.putService('both', { access: 'grants-and-policy', policy: 'demo' });
    for (const name of ['granted', 'both']) await stack.putGrant(name, 'alice', ALICE);
    edge = await startEdge(stack, files, ['asked', 'granted', 'both']);
    await answers(edge.client, '/asked/x', 200);
  });
  afterAll(async () => {
    edge?.client.close();
    await stack?.stop();
    await files?.remove();
  });

  const PATHS = ['/asked/x', '/granted/x', '/both/x'];

  it('is closed: 403 for what policy and grants would allow, and nobody is asked', async () => {
    const routes = () => edge.envoy.get('/config_dump?resource=dynamic_route_configs');
    for (const path of PATHS) await expectForwarded(stack.upstream, () => edge.client.send(path));
    expect(await routes()).toContain('typed_per_filter_config');
    await rebuild(true);
    await answers(edge.client, '/asked/x', 403);
    expect(await routes()).not.toContain('typed_per_filter_config');
    const before = await asked(edge.envoy);
    for (const path of [...PATHS, '/nothing']) {
      await expectRefused(stack.upstream, () => edge.client.send(path), 403);
    }
    expect(await asked(edge.envoy)).toBe(before);
    await rebuild(false);
    await answers(edge.client, '/asked/x', 200);
    for (const path of PATHS) await expectForwarded(stack.upstream, () => edge.client.send(path));
  });
});

describe('without an authorizer', () => {
  let stack: Stack;
  let files: TlsFiles;
  let edge: Edge;
  let portOfAnother: number;
  let bootstrapOfAnother: object;
  /** where the authorizer is said to be; undefined: where it is */
  let authzPort: number | undefined;

  const build: BuildResources = (view, node, options) =>
    buildResources(view, node, {
      ...options,
      authz: {
        ...options.authz,
        ...(authzPort !== undefined && { places: [{ address: '127.0.0.1', port: authzPort }] }),
      },
    });
  const sendAuthzTo = async (port: number | undefined): Promise<void> => {
    authzPort = port;
    const before = await edge.envoy.stat('cluster.chancery-authz.membership_change');
    await stack.putService('granted', { hosts: ['*', `h${port ?? 0}.example`] });
    await eventually(
      'the endpoints of the authorizer change',
      async () => (await edge.envoy.stat('cluster.chancery-authz.membership_change')) > before,
    );
  };

  beforeAll(async () => {
    files = await createTlsFiles();
    stack = await startStack({ build });
    await stack.publishAndRelease('demo', ALLOW_ALL);
    await stack.putService('asked', { access: 'policy', policy: 'demo' });
    await stack.putService('granted', {});
    await stack.putService('both', { access: 'grants-and-policy', policy: 'demo' });
    for (const name of ['granted', 'both']) await stack.putGrant(name, 'alice', ALICE);
    edge = await startEdge(stack, files, ['asked', 'granted', 'both']);
    await answers(edge.client, '/asked/x', 200);
    portOfAnother = await freePort();
    const listener = { address: '127.0.0.1', port: portOfAnother };
    await stack.putNode('edge-2', { services: ['asked'], listener });
    const path = { id: 'edge-2' };
    const { data } = await stack.client.GET('/v1/nodes/{id}/bootstrap', { params: { path } });
    const admin = { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } };
    bootstrapOfAnother = { ...(data as object), admin };
  });
  afterAll(async () => {
    edge?.client.close();
    await stack?.stop();
    await files?.remove();
  });
  afterEach(async () => {
    // what needs no decision goes on
    await expectForwarded(stack.upstream, () => edge.client.send('/granted/x'));
  });

  const expectUndecided = async () => {
    await answers(edge.client, '/asked/x', 503);
    for (const path of ['/asked/x', '/both/x', '/asked/y?z']) {
      const before = await edge.envoy.stat('http.chancery.ext_authz.pdp.error');
      await expectRefused(stack.upstream, () => edge.client.send(path), 503);
      expect(await edge.envoy.stat('http.chancery.ext_authz.pdp.error')).toBe(before + 1);
    }
  };
  const expectDecided = async () => {
    await answers(edge.client, '/asked/x', 200);
    await expectForwarded(stack.upstream, () => edge.client.send('/asked/x'));
    await expectForwarded(stack.upstream, () => edge.client.send('/both/x'));
  };

  it('nobody listens: 503, until somebody does', async () => {
    await expectDecided();
    await sendAuthzTo(await freePort());
    await expectUndecided();
    await sendAuthzTo(undefined);
    await expectDecided();
  });

  it.each([
    ['says nothing', undefined],
    ['speaks something else', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
  ])('somebody listens who %s: 503 when the deadline has passed', async (_, greeting) => {
    await using undo = new AsyncDisposableStack();
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      socket.resume();
      if (greeting !== undefined) socket.write(greeting);
    });
    undo.defer(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    await sendAuthzTo((server.address() as AddressInfo).port);
    await expectUndecided();
    expect(sockets.size).toBeGreaterThan(0);
    await sendAuthzTo(undefined);
    await expectDecided();
  });

  it('the whole of Chancery is gone: 503 where the policy decides, grants as they were', async () => {
    await expectDecided();
    await stack.app.stop();
    await expectUndecided();
    await expectForwarded(stack.upstream, () => edge.client.send('/granted/x'));
    expect(edge.envoy.running()).toBe(true);
  });

  it('an Envoy that starts while Chancery is gone opens no listener', async () => {
    await using undo = new AsyncDisposableStack();
    const envoy = undo.adopt(await startEnvoy(bootstrapOfAnother), (it) => it.stop());
    await eventually(
      'it has tried more than once',
      async () => (await envoy.stat('cluster.chancery-ads.upstream_cx_connect_fail')) > 1,
    );
    expect(await envoy.stat('listener_manager.total_listeners_active')).toBe(0);
    await expect(rawRequest(portOfAnother, '/asked/x')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
