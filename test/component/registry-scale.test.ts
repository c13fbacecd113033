import { describe, expect, it } from 'vitest';
import { loadEnvoyMessages } from '../../src/grpc/messages.ts';
import type { Draft } from '../../src/journal/journal.ts';
import { toDraft } from '../../src/registry/bodies.ts';
import { putApp, putGrant } from '../../src/registry/commit.ts';
import type { RegistryChange } from '../../src/registry/objects.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { buildResources } from '../../src/xds/build.ts';
import type { Snapshot } from '../../src/xds/snapshot.ts';
import { createSnapshots } from '../../src/xds/snapshots.ts';
import { eventually } from '../support/eventually.ts';
import { aMember, aNode, anApp, aService, createRegistryWorld } from '../support/registry-world.ts';

const MEMBERS = 100;
const APPS = 10_000;
const SERVICES = 1_000;
const GRANTS = 100_000;
const NODES = 50;
const PER_NODE = SERVICES / NODES;

const appName = (at: number): string => `GOV/M${at % MEMBERS}/a${at}`;
const serviceName = (at: number): string => `s${at}`;
const nodeOf = (service: number): string => `n${Math.floor(service / PER_NODE)}`;
const range = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at);

describe('a registry of 10,000 apps, 1,000 services and 100,000 grants', () => {
  it('gives one changed grant to the one node that has its service, and one suspended app to those that grant it', async () => {
    const world = createRegistryWorld();
    const { view } = world;
    const operations = [
      { id: 'read', method: 'GET', path: '/x/{id}' },
      { id: 'write', method: 'PUT', path: '/x/{id}' },
    ];
    const changes: readonly RegistryChange[] = [
      ...range(MEMBERS).map((at): RegistryChange => {
        return { kind: 'member', name: `GOV/M${at}`, value: aMember() };
      }),
      ...range(APPS).map((at): RegistryChange => ({ kind: 'app', name: appName(at), value: anApp() })),
      ...range(SERVICES).map((at): RegistryChange => {
        const own = operations.map((each) => ({ ...each, path: `/${serviceName(at)}${each.path}` }));
        const value = aService({ prefix: `/${serviceName(at)}`, operations: own });
        return { kind: 'service', name: serviceName(at), value };
      }),
      ...range(GRANTS).map((at): RegistryChange => {
        const name = `${serviceName(at % SERVICES)}/g${at}`;
        // each app is named on ten services
        const app = appName(Math.floor(at / 10));
        return { kind: 'grant', name, value: { subject: { app }, operations: ['read'] } };
      }),
      ...range(NODES).map((at): RegistryChange => {
        const services = range(PER_NODE).map((offset) => serviceName(at * PER_NODE + offset));
        return { kind: 'node', name: `n${at}`, value: aNode(services) };
      }),
    ];
    const figures: string[] = [];
    const timed = <T>(what: string, work: () => T): T => {
      const startMs = performance.now();
      const result = work();
      figures.push(`${what}: ${(performance.now() - startMs).toFixed(1)} ms`);
      return result;
    };
    const drafts: readonly Draft[] = changes.map(toDraft);
    timed(`fold of ${drafts.length} objects`, () => world.commit(...drafts));

    const offered = new Map<string, Snapshot>();
    const builds: string[] = [];
    const snapshots = createSnapshots({
      registry: view,
      position: world.position,
      messages: loadEnvoyMessages(),
      build: (registry, node, options) => {
        builds.push(node.name);
        return buildResources(registry, node, options);
      },
      buildOptions: () => ({ authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 500 } }),
      clock: { nowMs: () => 0 },
      logger: silentLogger,
      metrics: createMetrics(),
      connected: () => range(NODES).map((at) => `n${at}`),
      onSnapshot: (id, snapshot) => offered.set(id, snapshot),
      window: { quietMs: 1, maxMs: 5 },
    });
    try {
      timed(`first snapshots of ${NODES} nodes`, () => range(NODES).map((at) => snapshots.of(`n${at}`)));
      expect(builds).toHaveLength(NODES);
      world.onApplied(({ changed }) => snapshots.changed(changed));

      const rebuilt = async (what: string, draft: () => Draft, nodes: readonly string[]) => {
        builds.length = 0;
        offered.clear();
        const made = timed(`${what}: checked`, draft);
        timed(`${what}: folded, and whom it concerns`, () => world.commit(made));
        const startMs = performance.now();
        await eventually('all are built', () => offered.size >= nodes.length);
        figures.push(
          `${what}: ${nodes.length} of ${NODES} nodes built within ${(performance.now() - startMs).toFixed(1)} ms`,
        );
        expect([...builds].sort()).toEqual([...nodes].sort());
        expect([...offered.keys()].sort()).toEqual([...nodes].sort());
        for (const id of nodes) expect(snapshots.offered(id)?.position).toEqual(world.position());
      };

      await rebuilt(
        'one grant',
        () => putGrant(view, 's7', 'g7', { subject: { app: appName(9_999) }, operations: ['write'] }),
        [nodeOf(7)],
      );
      const app = 4_321;
      const services = range(10).map((at) => (app * 10 + at) % SERVICES);
      await rebuilt('one app suspended', () => putApp(view, appName(app), anApp({ state: 'suspended' })), [
        ...new Set(services.map(nodeOf)),
      ]);
      await rebuilt('one app that nobody names', () => putApp(view, 'GOV/M1/unnamed', anApp()), []);
    } finally {
      snapshots.close();
      process.stdout.write(`registry at scale:\n  ${figures.join('\n  ')}\n`);
    }
  });
});
