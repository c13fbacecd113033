/** Role `authz`: answers Checks. */
import type { Config } from '../config/schema.ts';
import { decide } from '../decision/decide.ts';
import { toOpaEnvoyDecision } from '../decision/opa-envoy-output.ts';
import { toDecision } from '../decision/output.ts';
import { checkService, createCheckHandler } from '../ext-authz/service.ts';
import { loadMessageDecoder } from '../grpc/message-decoder.ts';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import { createAuthenticator } from '../identity/authenticate.ts';
import { createIdentityMeasures } from '../identity/measures.ts';
import type { ActivePolicies } from '../policy/active.ts';
import { openPort } from './port.ts';
import type { World } from './world.ts';

export function createAuthzServer(config: Config, world: World, policies: ActivePolicies): GrpcServer {
  const { clock, metrics, state } = world;
  const logger = world.logger.child({ role: 'authz' });
  const issuers = state.issuers.view;
  const identity = createIdentityMeasures(metrics, { issuers, clock });
  const authenticate = identity.counted(
    createAuthenticator({ issuers, options: config.identity, clock, onKeysRead: identity.keysRead }),
  );
  const { tls, peerClaims } = openPort('authz', config.authz, { ...world, logger });
  const { compatibility, protoDescriptorFile, dryRun = false } = config.authz;
  if (dryRun) logger.warn({}, 'authz.dryRun is on: everything is allowed');
  const toResult = compatibility === 'opa-envoy' ? toOpaEnvoyDecision : toDecision;
  const deps = { registry: state.registry.view, policies, authenticate, toDecision: toResult };
  const handler = createCheckHandler({
    decide: (request, deadline) => decide(request, deps, deadline),
    peerClaims,
    options: config.authz,
    ...(protoDescriptorFile !== undefined && { grpcMessages: loadMessageDecoder(protoDescriptorFile) }),
    clock,
    logger,
    metrics,
  });
  return createGrpcServer(config.authz, [checkService(handler)], logger, tls, world.door('authz'));
}
