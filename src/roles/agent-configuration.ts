/** Role `admin`: what a node keeps for a start without Chancery. */
import type { AgentConfiguration } from '../admin/agent-schemas.ts';
import { positionText } from '../admin/position-text.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { NodeIssuer } from '../identity/issue.ts';
import { type NodeConfiguration, signConfiguration } from '../identity/node-configuration.ts';
import { isEnvoyNode, type Node } from '../registry/model.ts';
import type { Recorded, RegistryView } from '../registry/state.ts';
import { type BuildOptions, buildResources } from '../xds/build.ts';
import { type NodeProgress, rolloutStateOf } from '../xds/rollout.ts';

export interface AgentConfigurationDeps {
  readonly registry: RegistryView;
  readonly instance: string;
  readonly buildOptions: () => Omit<BuildOptions, 'asOfMs'>;
  readonly bootstrapOf: (node: string) => JsonObject;
  readonly progress: (node: string) => NodeProgress | undefined;
  readonly issuer: () => Pick<NodeIssuer, 'configurationKey'>;
  readonly tier1: Config['tier1'];
  readonly clock: Clock;
}

/** The clock of a node may be behind. */
const BACKDATED_MS = 60_000;

/**
 * What is signed is what the node should have now, and only once it has accepted it: until then, and while it refuses
 * it, the node keeps what it had.
 */
export function createAgentConfiguration(
  deps: AgentConfigurationDeps,
): (node: string, authority: Digest) => Promise<AgentConfiguration> {
  const { registry, instance, buildOptions, bootstrapOf, progress, issuer, tier1, clock } = deps;

  const unsigned = (id: string, node: Recorded<Node>): Omit<NodeConfiguration, 'signature'> | undefined => {
    const position = registry.lastChangeOf(id);
    const state = position && rolloutStateOf(progress(id), position.seq);
    if (position === undefined || state !== 'applied') return undefined;
    const nowMs = clock.nowMs();
    const built = buildResources(registry, node, { ...buildOptions(), position, asOfMs: nowMs });
    return {
      v: 1,
      instance,
      node: id,
      position: positionText(position),
      notBefore: new Date(nowMs - BACKDATED_MS).toISOString(),
      expiresAt: new Date(nowMs + tier1.maxOfflineSeconds * 1_000).toISOString(),
      bootstrap: bootstrapOf(id),
      resources: Object.fromEntries(Object.entries(built).map(([type, each]) => [type, [...each]])),
    };
  };

  return async (id, authority) => {
    const key = await issuer().configurationKey(authority);
    const node = registry.node(id);
    if (node === undefined) throw new Failure('credential_revoked', 'the node is not registered any more');
    if (!isEnvoyNode(node.value)) throw new Failure('not_found', 'the node has no Envoy');
    const { address, port, tls } = node.value.listener;
    const configuration = unsigned(id, node);
    return {
      bootstrap: bootstrapOf(id),
      listener: { address, port, tls: tls !== undefined },
      maxOfflineSeconds: tier1.maxOfflineSeconds,
      ...(configuration
        ? { configuration: signConfiguration(configuration, key) }
        : { pending: 'the node has not accepted yet what it should have' }),
    };
  };
}
