/** Role `authz`: answers Checks. */

import type { DecisionLog } from '../audit/decision-log.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import { decide } from '../decision/decide.ts';
import { toOpaEnvoyDecision } from '../decision/opa-envoy-output.ts';
import { toDecision } from '../decision/output.ts';
import type { ServiceLookup } from '../decision/select-policy.ts';
import { checkService, createCheckHandler } from '../ext-authz/service.ts';
import { createMessageDecoder } from '../grpc/message-decoder.ts';
import { createGrpcServer, type GrpcServer } from '../grpc/server.ts';
import { createAuthenticator } from '../identity/authenticate.ts';
import { createIdentityMeasures } from '../identity/measures.ts';
import type { ActivePolicies } from '../policy/active.ts';
import type { RegistryView } from '../registry/state.ts';
import { openPort } from './port.ts';
import type { World } from './world.ts';

export interface AuthzDeps {
  readonly policies: ActivePolicies;
  /** of `authz.protoDescriptorFile` */
  readonly descriptorSet: Uint8Array | undefined;
  /** undefined: nothing is recorded */
  readonly decisionLog?: DecisionLog | undefined;
}

export function createAuthzServer(
  config: Config,
  world: World,
  { policies, descriptorSet, decisionLog }: AuthzDeps,
): GrpcServer {
  const { clock, metrics, state } = world;
  const logger = world.logger.child({ role: 'authz' });
  const issuers = state.issuers.view;
  const identity = createIdentityMeasures(metrics, { issuers, clock });
  const authenticate = identity.counted(
    createAuthenticator({ issuers, options: config.identity, clock, onKeysRead: identity.keysRead }),
  );
  const { tls, peerClaims } = openPort('authz', config.authz, { ...world, logger });
  const { compatibility, dryRun = false } = config.authz;
  if (dryRun) logger.warn({}, 'authz.dryRun is on: everything is allowed');
  const toResult = compatibility === 'opa-envoy' ? toOpaEnvoyDecision : toDecision;
  const registry: ServiceLookup = lookupAt(state.registry.view, clock);
  const deps = { registry, policies, authenticate, toDecision: toResult };
  const handler = createCheckHandler({
    decide: (request, deadline, notes) => decide(request, deps, deadline, notes),
    peerClaims,
    options: config.authz,
    ...(descriptorSet !== undefined && { grpcMessages: createMessageDecoder(descriptorSet) }),
    clock,
    logger,
    metrics,
    recorder: decisionLog && { ...decisionLog, position: () => world.follower.position() },
  });
  return createGrpcServer(config.authz, [checkService(handler)], logger, tls, world.door('authz'));
}

/** The registry as it is now: a grant that has ended is none, and a service whose owner is not registered is not there. */
function lookupAt(view: RegistryView, clock: Clock): ServiceLookup {
  return {
    service: (name) => (view.serviceStatus(name).state === 'closed' ? undefined : view.service(name)),
    settings: () => view.settings(),
    isGranted: (service, spiffe, operation) => view.isGranted(service, spiffe, operation, clock.nowMs()),
    isBarred: (spiffe) => view.isBarred(spiffe),
  };
}
