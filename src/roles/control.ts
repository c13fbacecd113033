/** Role `control`: tells Envoys what to run. */
import { hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import { loadEnvoyMessages } from '../grpc/messages.ts';
import { createGrpcServer } from '../grpc/server.ts';
import { type AdsService, createAdsService } from '../xds/ads-service.ts';
import type { BuildOptions, BuildResources } from '../xds/build.ts';
import { createCsdsService } from '../xds/csds-service.ts';
import { createBuildOptions } from './build-options.ts';
import { openPort } from './port.ts';
import type { World } from './world.ts';

export interface ControlRole {
  readonly ads: AdsService;
  readonly buildOptions: () => Omit<BuildOptions, 'asOfMs'>;
  /** @returns the port, once it is known where the authorizers are */
  listen(): Promise<number>;
  setServing(serving: boolean): void;
  close(graceMs: number): Promise<void>;
}

/** @param authzPort  where this process answers Checks; Envoys are sent there while nobody is announced */
export function createControlRole(
  config: Config,
  world: World,
  authzPort: number,
  build?: BuildResources,
): ControlRole {
  const { clock, metrics, follower, state } = world;
  const { rollout } = config.control;
  const logger = world.logger.child({ role: 'control' });
  const options = createBuildOptions({
    ...world,
    config,
    authzPort,
    logger,
    onChange: () => ads.rebuildAll(),
  });
  const { tls, peerClaims } = openPort('control', config.control, { ...world, logger });
  const messages = loadEnvoyMessages();
  const ads = createAdsService({
    registry: state.registry.view,
    position: () => follower.position(),
    onApplied: (listener) => follower.onApplied(listener),
    peerClaims,
    messages,
    buildOptions: () => options.current(),
    ...(build === undefined ? {} : { build }),
    clock,
    logger,
    metrics,
    ...(rollout && {
      limits: { staging: { batch: rollout.batch, ackMs: rollout.ackSeconds * 1_000 } },
    }),
    identifier: `chancery/${hostname()}`,
  });
  const status = createCsdsService({
    messages,
    nodeIds: () => state.registry.view.nodes().map(({ name }) => name),
    clientsOf: (id) => ads.clientsOf(id),
    peerClaims,
    logger,
  });
  const server = createGrpcServer(config.control, [ads.service, status], logger, tls, world.door('control'));
  return {
    ads,
    buildOptions: () => options.current(),
    async listen() {
      await options.start();
      return server.listen();
    },
    setServing: (serving) => server.setServing(serving),
    async close(graceMs) {
      options.close();
      ads.close();
      await server.close(graceMs);
    },
  };
}
