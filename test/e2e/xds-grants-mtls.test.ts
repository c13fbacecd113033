import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { deleteGrant, putGrant, putNode, putService } from '../../src/registry/commit.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { buildBootstrap } from '../../src/xds/bootstrap.ts';
import { createAuthority, type Leaf, type LeafOptions, type TestAuthority } from '../support/certificates.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import {
  aGrant,
  aNode,
  aService,
  createRegistryWorld,
  type RegistryWorld,
} from '../support/registry-world.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const GRANTED = 'spiffe://mesh/app/a';
const OTHER = 'spiffe://mesh/app/b';

describe('a grant in the proxy', () => {
  let folder: string;
  let authority: TestAuthority;
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let upstream: Upstream;
  let envoy: EnvoyProcess;
  let port: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chancery-tls-'));
    authority = await createAuthority();
    const server = await authority.issue({ dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] });
    const file = async (name: string, text: string) => {
      await writeFile(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const tls = {
      certificateFile: await file('cert.pem', server.certificate),
      privateKeyFile: await file('key.pem', server.privateKey),
      clientCaFile: await file('ca.pem', authority.certificate),
      clientCertificate: 'optional',
    } as const;
    upstream = await startUpstream();
    port = await freePort();
    world = createRegistryWorld();
    const { view } = world;
    const endpoints = [{ address: '127.0.0.1', port: upstream.port }];
    const operations = [
      { id: 'read', method: 'GET', path: '/items/{id}' },
      { id: 'write', method: 'PUT', path: '/items/{id}' },
    ];
    world.commit(putService(view, 'items', aService({ prefix: '/items', operations, endpoints })));
    world.commit(putGrant(view, 'items', 'app-a', aGrant(GRANTED, ['read'])));
    world.commit(putNode(view, 'edge-1', aNode(['items'], { port, tls })));
    ads = createAdsService({
      registry: view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: () => true }),
      messages: loadEnvoyMessages(),
      buildOptions: () => ({
        authz: { places: [{ address: '127.0.0.1', port: 1 }], timeoutMs: 500 },
      }),
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics: createMetrics(),
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 4_194_304, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    const adsPort = await grpc.listen();
    envoy = await startEnvoy(
      buildBootstrap({ nodeId: 'edge-1', adsAddress: '127.0.0.1', adsPort, adminPort: 0 }),
    );
    await eventually('the listener answers', async () => (await ask()) > 0);
  });

  afterAll(async () => {
    await envoy?.stop();
    ads?.close();
    await grpc?.close(1_000);
    await upstream?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** @returns the HTTP status */
  const ask = (leaf?: Leaf, { method = 'GET', path = '/items/1' } = {}): Promise<number> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          agent: false,
          ca: authority.certificate,
          timeout: 10_000,
          ...(leaf && { cert: leaf.certificate, key: leaf.privateKey }),
        },
        (response) => {
          response.resume();
          response.once('end', () => resolve(response.statusCode ?? 0));
        },
      );
      call.once('error', reject);
      call.end();
    });
  const applied = () =>
    eventually(
      'the node has it',
      () => ads.nodeStatus('edge-1')?.appliedPosition?.seq === world.position().seq,
    );

  it('lets the granted workload pass, on the granted operation only', async () => {
    const leaf = await authority.issue({ uris: [GRANTED] });
    const before = upstream.count();
    expect(await ask(leaf)).toBe(200);
    expect(upstream.count()).toBe(before + 1);
    expect(upstream.lastHeaders()['x-forwarded-client-cert']).toContain(`URI=${GRANTED}`);
    expect(await ask(leaf, { method: 'PUT' })).toBe(403);
    expect(await ask(leaf, { path: '/items/1/2' })).toBe(404);
    expect(upstream.count()).toBe(before + 1);
  });

  it.each<[string, LeafOptions | undefined]>([
    ['no certificate', undefined],
    ['another workload', { uris: [OTHER] }],
    ['the granted name as a DNS name', { dnsNames: [GRANTED] }],
    ['the granted name as the second of two', { uris: [OTHER, GRANTED] }],
    ['the granted name as the first of two', { uris: [GRANTED, OTHER] }],
    ['the granted name and another DNS name of that text', { uris: [OTHER], dnsNames: [GRANTED] }],
    ['a longer name', { uris: [`${GRANTED}/x`] }],
  ])('refuses %s, and forwards nothing', async (_, options) => {
    const leaf = options && (await authority.issue(options));
    const before = upstream.count();
    expect(await ask(leaf)).toBe(403);
    expect(upstream.count()).toBe(before);
  });

  it('takes effect when it comes and when it goes, the last one too, without a call to the authorizer', async () => {
    const [a, b] = [await authority.issue({ uris: [GRANTED] }), await authority.issue({ uris: [OTHER] })];
    world.commit(putGrant(world.view, 'items', 'app-b', aGrant(OTHER)));
    await applied();
    expect([await ask(a), await ask(b), await ask(b, { method: 'PUT' })]).toEqual([200, 200, 200]);
    world.commit(deleteGrant(world.view, 'items', 'app-a'));
    await applied();
    expect([await ask(a), await ask(b)]).toEqual([403, 200]);
    world.commit(deleteGrant(world.view, 'items', 'app-b'));
    await applied();
    const before = upstream.count();
    expect([await ask(a), await ask(b), await ask()]).toEqual([403, 403, 403]);
    expect(upstream.count()).toBe(before);
    const asked = await Promise.all(
      ['ok', 'denied', 'error'].map((name) => envoy.stat(`http.chancery.ext_authz.pdp.${name}`)),
    );
    expect(asked).toEqual([0, 0, 0]);
    expect(await envoy.stat('listener_manager.total_listeners_draining')).toBe(0);
  });
});
