/** The server of a story: our whole discovery service on a real port, with a world that the story sets. */
import { loadEnvoyMessages } from '../../../src/grpc/messages.ts';
import { createGrpcServer } from '../../../src/grpc/server.ts';
import { deleteNode, putNode } from '../../../src/registry/commit.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createAdsService } from '../../../src/xds/ads-service.ts';
import { eventually } from '../../support/eventually.ts';
import { aNode, createRegistryWorld } from '../../support/registry-world.ts';
import { resourcesOf, type StoryWorld } from './world.ts';

const messages = loadEnvoyMessages();

export interface Stage {
  readonly port: number;
  /** Changes what a node should have, and waits until its streams have been offered it. */
  setWorld(nodeId: string, world: StoryWorld): Promise<void>;
  /** what is set next cannot be built, or can again */
  setBroken(broken: boolean): void;
  /** bytes that each cluster of the worlds after this carries more */
  setPad(bytes: number): void;
  deleteNode(nodeId: string): void;
  /** whether a request for this name has arrived, answered or not */
  hasHeardOf(nodeId: string, name: string): boolean;
  /** responses that were handed to the transport */
  pushes(): Promise<number>;
  close(): Promise<void>;
}

export interface StageOptions {
  readonly holdMs: number;
  readonly maxSubscriptions: number;
}

/** Nodes of every stage; a peer may be any of them but `stolen`. */
export const STORY_NODES = ['edge-1', 'edge-2', 'stolen'] as const;

export async function openStage({ holdMs, maxSubscriptions }: StageOptions): Promise<Stage> {
  const registry = createRegistryWorld();
  STORY_NODES.forEach((id, index) => {
    registry.commit(putNode(registry.view, id, aNode([], { port: 20_000 + index })));
  });
  const worlds = new Map<string, { readonly world: StoryWorld; readonly pad: number }>();
  const built = new Map<string, StoryWorld | undefined>();
  let [broken, pad] = [false, 0];
  const nodeIdOf = (port: number): string => STORY_NODES[port - 20_000] ?? '';
  const metrics = createMetrics();
  const ads = createAdsService({
    registry: registry.view,
    position: registry.position,
    onApplied: registry.onApplied,
    peerClaims: () => ({ mayClaimNode: (id) => id !== 'stolen' }),
    messages,
    buildOptions: () => ({ authz: { places: [], timeoutMs: 1 } }),
    build: (_, { value: { listener } }) => {
      const id = nodeIdOf(listener?.port ?? 0);
      const set = worlds.get(id);
      built.set(id, set?.world);
      const resources = resourcesOf(set?.world ?? {}, set?.pad ?? 0);
      return broken ? { ...resources, routes: [], endpoints: [] } : resources;
    },
    clock: { nowMs: () => 0 },
    logger: silentLogger,
    metrics,
    limits: { holdMs, maxSubscriptions, firstMessageMs: 60_000, window: { quietMs: 1, maxMs: 5 } },
  });
  const grpc = createGrpcServer(
    { address: '127.0.0.1', port: 0, maxMessageBytes: 1_048_576, maxConcurrentStreams: 100 },
    [ads.service],
    silentLogger,
  );
  const port = await grpc.listen();
  return {
    port,
    async setWorld(nodeId, world) {
      worlds.set(nodeId, { world, pad });
      ads.rebuildAll();
      if (ads.nodeStatus(nodeId)?.connected !== true) return;
      // the offer follows the build in the same turn
      await eventually('the world is built', () => built.get(nodeId) === world, 20_000);
    },
    setBroken: (isBroken) => {
      broken = isBroken;
    },
    setPad: (bytes) => {
      pad = bytes;
    },
    deleteNode: (nodeId) => void registry.commit(deleteNode(registry.view, nodeId)),
    hasHeardOf: (nodeId, name) =>
      ads.clientsOf(nodeId).some(({ resources }) => resources.some((each) => each.name === name)),
    async pushes() {
      const counts = [...(await metrics.render()).matchAll(/^chancery_xds_pushes_total\{.*\} (\d+)$/gm)];
      return counts.reduce((sum, [, count]) => sum + Number(count), 0);
    },
    async close() {
      ads.close();
      await grpc.close(0);
    },
  };
}
