/**
 * A gRPC client without a proxy, by the independent xDS client of `@grpc/grpc-js-xds`: it is started with the bootstrap
 * file of its node, and follows what the registry says.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { register } from '@grpc/grpc-js-xds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { putNode, putService } from '../../src/registry/commit.ts';
import type { Service } from '../../src/registry/model.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { buildGrpcBootstrap } from '../../src/xds/grpc-bootstrap.ts';
import { eventually } from '../support/eventually.ts';
import { aNode, aService, createRegistryWorld } from '../support/registry-world.ts';

const world = createRegistryWorld();
const { view } = world;
const node = (...services: string[]) => putNode(view, 'grpc-client', { kind: 'proxyless', services });
const echo = (change: Partial<Service>) =>
  putService(view, 'echo', aService({ prefix: '/echo.Echo', ...change }));

/** A gRPC server whose every method answers its name. */
async function startUpstream(name: string): Promise<{ readonly port: number; close(): void }> {
  const server = new Server();
  const say: handleUnaryCall<Buffer, Buffer> = (_, callback) => callback(null, Buffer.from(name));
  const method = (path: string) => ({
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  });
  server.addService(
    { Say: method('/echo.Echo/Say'), Shout: method('/echo.Echo/Shout') },
    { Say: say, Shout: say },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, close: () => server.forceShutdown() };
}

/** @returns the answer, or the status code of a call that failed */
function call(client: Client, path: string): Promise<string> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes.toString(),
      Buffer.alloc(0),
      { deadline: Date.now() + 20_000 },
      (error, answer) => resolve(error ? (status[error.code] ?? '?') : (answer ?? '')),
    );
  });
}

describe('a gRPC client that follows a proxyless node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'proxyless-'));
  const clients: Client[] = [];
  let ads: AdsService;
  let grpc: GrpcServer;
  let client: Client;
  let upstreams: Record<'one' | 'two', Awaited<ReturnType<typeof startUpstream>>>;
  const endpoint = (name: 'one' | 'two') => [{ address: '127.0.0.1', port: upstreams[name].port }];
  const connect = (target: string): Client => {
    const opened = new Client(target, credentials.createInsecure());
    clients.push(opened);
    return opened;
  };

  beforeAll(async () => {
    upstreams = { one: await startUpstream('one'), two: await startUpstream('two') };
    world.commit(echo({ endpoints: endpoint('one') }));
    world.commit(putService(view, 'other', aService({ prefix: '/other' })));
    world.commit(node('echo', 'other'));
    ads = createAdsService({
      registry: view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: () => true }),
      messages: loadEnvoyMessages(),
      buildOptions: () => ({ authz: { places: [], timeoutMs: 200 } }),
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics: createMetrics(),
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    const adsPort = await grpc.listen();
    const file = join(folder, 'bootstrap.json');
    const bootstrap = buildGrpcBootstrap({ nodeId: 'grpc-client', adsAddress: '127.0.0.1', adsPort });
    writeFileSync(file, JSON.stringify(bootstrap));
    process.env['GRPC_XDS_BOOTSTRAP'] = file;
    register();
    client = connect('xds:///echo');
  });

  afterAll(async () => {
    for (const each of clients) each.close();
    ads.close();
    await grpc.close(0);
    for (const upstream of Object.values(upstreams)) upstream.close();
    rmSync(folder, { recursive: true });
  });

  const applied = () =>
    eventually('the client has accepted it', () => {
      const { appliedPosition, offeredPosition } = ads.nodeStatus('grpc-client') ?? {};
      return appliedPosition?.seq === world.position().seq && offeredPosition?.seq === world.position().seq;
    });
  const refused = () =>
    Object.values(ads.nodeStatus('grpc-client')?.types ?? {}).flatMap(({ lastNack }) => lastNack ?? []);

  it('finds its service by name, and accepts all that it is told', async () => {
    expect(await call(client, '/echo.Echo/Say')).toBe('one');
    expect(refused()).toEqual([]);
  });

  it('follows an endpoint that moves', async () => {
    world.commit(echo({ endpoints: endpoint('two') }));
    await eventually('calls reach the new one', async () => (await call(client, '/echo.Echo/Say')) === 'two');
    await applied();
    expect(await call(client, '/echo.Echo/Shout')).toBe('two');
  });

  it('follows routes: a method that is no operation any more has none', async () => {
    const operations = [{ id: 'say', method: 'POST', path: '/echo.Echo/Say' }];
    world.commit(echo({ endpoints: endpoint('two'), operations }));
    await eventually(
      'the call has no route',
      async () => (await call(client, '/echo.Echo/Shout')) === 'UNAVAILABLE',
    );
    expect(await call(client, '/echo.Echo/Say')).toBe('two');
    const all = [...operations, { id: 'any', method: 'POST', path: '/echo.Echo/{method}' }];
    world.commit(echo({ endpoints: endpoint('two'), operations: all }));
    await eventually('it has one again', async () => (await call(client, '/echo.Echo/Shout')) === 'two');
    await applied();
    expect(refused()).toEqual([]);
  });

  it('loses a service that is taken from its node; a client that is opened when it is back finds it', async () => {
    world.commit(node('other'));
    await eventually('it is gone', async () => (await call(client, '/echo.Echo/Say')) === 'UNAVAILABLE');
    // this client tells nobody of a resource that comes back as it was before it was deleted
    client.close();
    world.commit(node('echo', 'other'));
    expect(await call(connect('xds:///echo'), '/echo.Echo/Say')).toBe('two');
    expect(refused()).toEqual([]);
  });
});

describe('the registry', () => {
  const issuesOf = (act: () => unknown): unknown => {
    try {
      return act();
    } catch (error) {
      return (error as { issues: unknown }).issues;
    }
  };

  it('refuses a listener of a proxyless node, and an Envoy without one', () => {
    const { listener } = aNode([]);
    expect(issuesOf(() => putNode(view, 'x', { kind: 'proxyless', services: [], listener }))).toEqual([
      { pointer: '/listener', message: 'a proxyless node has none' },
    ]);
    expect(issuesOf(() => putNode(view, 'x', { services: [] }))).toEqual([
      { pointer: '/listener', message: 'is missing' },
    ]);
  });
});
