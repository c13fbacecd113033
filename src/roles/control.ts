/** Role `control`: tells Envoys what to run. */
import type { Config } from '../config/schema.ts';
import { loadEnvoyMessages } from '../grpc/messages.ts';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import { type AdsService, createAdsService } from '../xds/ads-service.ts';
import type { BuildResources } from '../xds/build.ts';
import { openPort } from './port.ts';
import type { World } from './world.ts';

export interface ControlRole {
  readonly ads: AdsService;
  readonly server: GrpcServer;
}

/** How long Envoy waits for a Check, the connection included. */
const CHECK_TIMEOUT_MS = 500;

/** @param authzPort  where this process answers Checks; Envoys are sent there */
export function createControlRole(
  config: Config,
  world: World,
  authzPort: number,
  build?: BuildResources,
): ControlRole {
  const { clock, metrics, follower, state } = world;
  const { envoyTls } = config.control;
  const logger = world.logger.child({ role: 'control' });
  const { tls, peerClaims } = openPort('control', config.control, { ...world, logger });
  const ads = createAdsService({
    registry: state.registry.view,
    position: () => follower.position(),
    onApplied: (listener) => follower.onApplied(listener),
    peerClaims,
    messages: loadEnvoyMessages(),
    buildOptions: {
      authz: {
        address: config.authz.address,
        port: authzPort,
        timeoutMs: CHECK_TIMEOUT_MS,
        ...(config.authz.tls && envoyTls && { tls: envoyTls }),
      },
    },
    ...(build === undefined ? {} : { build }),
    clock,
    logger,
    metrics,
  });
  return { ads, server: createGrpcServer(config.control, [ads.service], logger, tls) };
}
