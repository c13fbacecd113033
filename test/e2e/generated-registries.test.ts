import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { toDraft } from '../../src/registry/bodies.ts';
import { planChanges } from '../../src/registry/commit.ts';
import { changesTo, type RegistryDocument } from '../../src/registry/document.ts';
import { createRegistry } from '../../src/registry/state.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type AdsService, createAdsService } from '../../src/xds/ads-service.ts';
import { buildBootstrap } from '../../src/xds/bootstrap.ts';
import { type BuildResources, buildResources } from '../../src/xds/build.ts';
import { nameOf } from '../../src/xds/snapshot.ts';
import { createAuthority } from '../support/certificates.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import {
  CALLERS,
  type Choice,
  choicesArb,
  type GeneratedRequest,
  INSTANCE,
  NOW,
  registryArb,
  toRequests,
} from '../support/generated-registries.ts';
import { connectHttp2, type Http2Connection } from '../support/http-connection.ts';
import type { PlainRegistry } from '../support/reference-registry.ts';
import { createRegistryWorld, type RegistryWorld } from '../support/registry-world.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const REGISTRIES = Number(process.env['CHANCERY_REGISTRIES'] ?? 100);
const REQUESTS = 100;
const MAX_PAIRS = 10_000;
const SEED = Number(process.env['CHANCERY_SEED'] ?? Date.now() % 2 ** 31);
/** One of which it is known that it finds all of them, since another may take more than 10,000 pairs for one of them. */
const FAULT_SEED = Number(process.env['CHANCERY_SEED'] ?? 649_782_503);
const NODE = 'edge-1';
const PROBE_HOST = 'probe.test';
const PROBER = CALLERS[0] ?? '';

const EMPTY: PlainRegistry = { members: {}, apps: {}, groups: {}, services: {}, grants: {} };

type Build = (...input: Parameters<BuildResources>) => ReturnType<BuildResources>;
type View = Parameters<BuildResources>[0];

/** The routes, each as `change` makes it. */
const withRoutes =
  (change: (route: JsonObject) => JsonObject): Build =>
  (...input) => {
    const built = buildResources(...input);
    const inHost = (host: Json): Json => {
      const { routes, ...rest } = host as { routes: JsonObject[] };
      return { ...rest, routes: routes.map(change) };
    };
    return {
      ...built,
      routes: built.routes.map((table) => ({
        ...table,
        virtualHosts: (table['virtualHosts'] as Json[]).map(inHost),
      })),
    };
  };
const isOperation = (route: JsonObject): boolean =>
  /^s\d\/o\d$/.test(nameOf(route)) && (route['match'] as JsonObject)['headers'] !== undefined;
const withMatch = (route: JsonObject, change: (match: JsonObject) => JsonObject): JsonObject =>
  isOperation(route) ? { ...route, match: change(route['match'] as JsonObject) } : route;
const withRegex = (route: JsonObject, change: (regex: string) => string): JsonObject =>
  withMatch(route, (match) => {
    const { regex } = (match['safeRegex'] ?? {}) as { regex?: string };
    return regex === undefined ? match : { ...match, safeRegex: { regex: change(regex) } };
  });
/** The compiler, told something else of the registry. */
const withView =
  (change: (view: View) => Partial<View>): Build =>
  (view, node, options) =>
    buildResources({ ...view, ...change(view) }, node, options);

const FAULTS: Readonly<Record<string, Build>> = {
  'groups in groups are not expanded': withView((view) => ({
    appsOf: (group) =>
      new Set((view.group(group)?.value.members ?? []).flatMap((each) => ('app' in each ? [each.app] : []))),
  })),
  'templates are not anchored at their end': withRoutes((route) =>
    withRegex(route, (regex) => `${regex}(?:/.*)?`),
  ),
  'the method is not looked at': withRoutes((route) =>
    withMatch(route, ({ headers: _headers, ...match }) => match),
  ),
  'templated operations come before concrete ones': (...input) => {
    const built = buildResources(...input);
    return {
      ...built,
      routes: built.routes.map((table) => ({
        ...table,
        virtualHosts: (table['virtualHosts'] as { routes: JsonObject[] }[]).map((host) => {
          const reversed = host.routes.filter(isOperation).reverse();
          // each service keeps its places, and only the order within them is turned round
          const next = (route: JsonObject): JsonObject => {
            const [service] = nameOf(route).split('/');
            const at = reversed.findIndex((each) => nameOf(each).startsWith(`${service}/`));
            return reversed.splice(at, 1)[0] ?? route;
          };
          return { ...host, routes: host.routes.map((route) => (isOperation(route) ? next(route) : route)) };
        }),
      })),
    };
  },
  'signs are matched in one of their spellings': withRoutes((route) =>
    withRegex(route, (regex) => regex.replaceAll(/\(\?:\[(.)\]\|\(\?i:%[0-9a-f]{2}\)\)/g, '[$1]')),
  ),
  'an allow wins over a deny': withView((view) => ({
    grantsOf: (service) => {
      const grants = view.grantsOf(service);
      const isAllow = ({ value }: (typeof grants)[number]) => value.effect !== 'deny';
      return [...grants.filter(isAllow)];
    },
  })),
};

interface Mismatch extends GeneratedRequest {
  readonly seen: number;
}

describe(`generated registries through a real Envoy (CHANCERY_SEED=${SEED})`, () => {
  let folder: string;
  let world: RegistryWorld;
  let ads: AdsService;
  let grpc: GrpcServer;
  let upstream: Upstream;
  let envoy: EnvoyProcess;
  let port: number;
  let listener: NonNullable<RegistryDocument['nodes']>[string]['listener'];
  let build: Build = buildResources;
  let pushed = 0;
  const connections = new Map<string | undefined, Http2Connection>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chancery-tls-'));
    const authority = await createAuthority();
    const server = await authority.issue({ dnsNames: ['test.example'], ipAddresses: ['127.0.0.1'] });
    const file = async (name: string, text: string) => {
      await writeFile(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    port = await freePort();
    listener = {
      address: '127.0.0.1',
      port,
      tls: {
        certificateFile: await file('cert.pem', server.certificate),
        privateKeyFile: await file('key.pem', server.privateKey),
        clientCaFile: await file('ca.pem', authority.certificate),
        clientCertificate: 'optional',
      },
    };
    upstream = await startUpstream();
    world = createRegistryWorld();
    ads = createAdsService({
      registry: world.view,
      position: world.position,
      onApplied: world.onApplied,
      peerClaims: () => ({ mayClaimNode: () => true }),
      messages: loadEnvoyMessages(),
      buildOptions: () => ({ authz: { places: [{ address: '127.0.0.1', port: 1 }], timeoutMs: 500 } }),
      build: (...input) => build(...input),
      clock: { nowMs: () => Date.parse(NOW) },
      logger: silentLogger,
      metrics: createMetrics(),
      limits: { window: { quietMs: 1, maxMs: 5 } },
    });
    grpc = createGrpcServer(
      { address: '127.0.0.1', port: 0, maxMessageBytes: 4_194_304, maxConcurrentStreams: 100 },
      [ads.service],
      silentLogger,
    );
    const adsPort = await grpc.listen();
    apply(EMPTY);
    envoy = await startEnvoy(
      buildBootstrap({ nodeId: NODE, adsAddress: '127.0.0.1', adsPort, adminPort: 0 }),
    );
    for (const spiffe of CALLERS) {
      const leaf = spiffe === undefined ? undefined : await authority.issue({ uris: [spiffe] });
      const connection = await eventually('the listener takes connections', () =>
        connectHttp2(port, { ca: authority.certificate, ...leaf }).catch(() => undefined),
      );
      if (connection !== undefined) connections.set(spiffe, connection);
    }
  });

  afterAll(async () => {
    for (const connection of connections.values()) connection.close();
    await envoy?.stop();
    ads?.close();
    await grpc?.close(1_000);
    await upstream?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** With everything that decides nothing, and a place that says which one it is. */
  const toDocument = (registry: PlainRegistry): RegistryDocument => {
    const common = {
      hosts: ['*'],
      access: 'grants',
      endpoints: [{ address: '127.0.0.1', port: upstream.port }],
    };
    const services = Object.fromEntries(
      Object.entries(registry.services).map(([name, service]) => [name, { ...common, ...service }]),
    );
    const probe = {
      ...common,
      hosts: [PROBE_HOST],
      prefix: '/',
      state: 'disabled',
      notice: `probe ${pushed}`,
    };
    const document = {
      ...registry,
      services: { ...services, probe },
      grants: { ...registry.grants, probe: { prober: { subject: { spiffe: PROBER }, operations: ['*'] } } },
      nodes: { [NODE]: { services: [...Object.keys(services), 'probe'], listener } },
    };
    return document as unknown as RegistryDocument;
  };

  const apply = (registry: PlainRegistry): void => {
    pushed += 1;
    const document = toDocument(registry);
    const empty = createRegistry(() => INSTANCE).view;
    planChanges(
      empty,
      changesTo(document, empty).map(({ change }) => change),
    ); // that it is a registry at all
    world.commit(...changesTo(document, world.view).map(({ change }) => toDraft(change)));
  };

  const connectionOf = (spiffe: string | undefined): Http2Connection => {
    const connection = connections.get(spiffe);
    if (connection === undefined) throw new Error(`nobody connects as ${spiffe}`);
    return connection;
  };

  const push = async (registry: PlainRegistry): Promise<void> => {
    apply(registry);
    const probe = () => connectionOf(PROBER).send('/', { headers: { ':authority': PROBE_HOST } });
    await eventually('the proxy has the registry', async () => (await probe()).body === `probe ${pushed}`);
  };

  /** Sends all of them, and says which were answered otherwise than the reference says. */
  const run = async (
    registry: PlainRegistry,
    choices: readonly Choice[],
  ): Promise<{ readonly sent: readonly GeneratedRequest[]; readonly wrong: readonly Mismatch[] }> => {
    await push(registry);
    const sent = toRequests(registry, choices);
    const before = upstream.count();
    const answers = await Promise.all(
      sent.map(async (each) => {
        const { spiffe, method, target } = each.request;
        const { status } = await connectionOf(spiffe).send(target, { method });
        return { ...each, seen: status };
      }),
    );
    const wrong = answers.filter(({ expected, seen }) => expected !== seen);
    // whoever was let through has reached the upstream, and nobody else
    expect(upstream.count() - before).toBe(answers.filter(({ seen }) => seen === 200).length);
    return { sent, wrong };
  };

  it(`are enforced as the reference evaluator says: ${REGISTRIES} registries, ${REQUESTS} requests each`, {
    timeout: 300_000,
  }, async () => {
    const all: GeneratedRequest[] = [];
    await fc.assert(
      fc.asyncProperty(registryArb, choicesArb(REQUESTS), async (registry, choices) => {
        const { sent, wrong } = await run(registry, choices);
        all.push(...sent);
        expect(wrong).toEqual([]);
      }),
      { seed: SEED, numRuns: REGISTRIES, endOnFailure: true },
    );
    const share = (is: (each: GeneratedRequest) => boolean) => all.filter(is).length / all.length;
    const allowed = share(({ expected }) => expected === 200);
    const near = share(({ isNear, expected }) => isNear && expected !== 200);
    const byStatus = Object.groupBy(all, ({ expected }) => String(expected));
    const counts = Object.entries(byStatus).map(([status, each]) => `${status}: ${each?.length}`);
    process.stdout.write(
      `generated registries: seed ${SEED}, ${all.length} requests (${counts.join(', ')}), ` +
        `${Math.round(100 * allowed)} % allowed, ${Math.round(100 * near)} % near misses\n`,
    );
    expect(all.length).toBeGreaterThanOrEqual(REGISTRIES * REQUESTS);
    expect(allowed).toBeGreaterThanOrEqual(0.3);
    expect(near).toBeGreaterThanOrEqual(0.3);
    expect(Object.keys(byStatus).sort()).toEqual(['200', '400', '403', '404', '503']);
  });

  it.each(Object.keys(FAULTS))('show within 10,000 pairs that %s', { timeout: 300_000 }, async (name) => {
    build = FAULTS[name] ?? buildResources;
    try {
      let pairs = 0;
      let found: Mismatch | undefined;
      const made = fc.sample(fc.tuple(registryArb, choicesArb(REQUESTS)), {
        seed: FAULT_SEED,
        numRuns: MAX_PAIRS / REQUESTS,
      });
      for (const [registry, choices] of made) {
        const { sent, wrong } = await run(registry, choices);
        const [first] = wrong;
        pairs +=
          first === undefined ? sent.length : sent.findIndex(({ request }) => request === first.request) + 1;
        found = first;
        if (found !== undefined) break;
      }
      expect(found, `seed ${FAULT_SEED}: nobody noticed in ${pairs} pairs`).toBeDefined();
      process.stdout.write(
        `generated registries: seed ${FAULT_SEED}: "${name}" is found after ${pairs} pairs\n`,
      );
    } finally {
      build = buildResources;
    }
  });
});
