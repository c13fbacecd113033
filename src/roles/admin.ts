/** Role `admin`: REST for people and pipelines; the only role that appends. */
import type { ProofStore } from '../admin/agent-endpoints.ts';
import { createCursors } from '../admin/cursor.ts';
import type { RolloutProgress } from '../admin/rollout-endpoint.ts';
import { type AdminServer, createAdminServer } from '../admin/server.ts';
import type { Config } from '../config/schema.ts';
import { createIssuedCertificates } from '../identity/issued-certificates.ts';
import { openTlsFiles } from '../identity/tls-files.ts';
import type { Writer } from '../journal/fold.ts';
import type { Secrets } from '../journal/secrets.ts';
import { deriveKey, type SigningKey } from '../journal/signing-key.ts';
import { createPolicyAdministration } from '../policy/administration.ts';
import type { Toolchain } from '../rego/toolchain.ts';
import { type AdsProtocol, buildBootstrap } from '../xds/bootstrap.ts';
import type { BuildOptions } from '../xds/build.ts';
import { buildGrpcBootstrap } from '../xds/grpc-bootstrap.ts';
import type { NodeStatus } from '../xds/node-status.ts';
import { createAgentConfiguration } from './agent-configuration.ts';
import { nodeAuthorities, openNodeIssuer } from './nodes.ts';
import type { World } from './world.ts';

export interface AdminRoleOptions {
  readonly config: Config;
  readonly world: World;
  readonly writer: Writer;
  readonly signingKey: SigningKey;
  readonly secrets: Secrets | undefined;
  readonly toolchain: Toolchain;
  /** what the control role of this process knows of a node */
  readonly nodeStatus: (id: string) => NodeStatus | undefined;
  /** how far changes have come in this process and on its nodes */
  readonly progress: RolloutProgress;
  readonly proofs: ProofStore;
  readonly buildOptions: () => Omit<BuildOptions, 'asOfMs'>;
  /** where Envoys reach the ADS port */
  readonly controlPort: number;
}

export async function createAdminRole({
  config,
  world,
  writer,
  signingKey,
  secrets,
  toolchain,
  nodeStatus,
  progress,
  proofs,
  buildOptions,
  controlPort,
}: AdminRoleOptions): Promise<AdminServer> {
  const { state, journal, blobs, follower, clock, random, metrics } = world;
  const logger = world.logger.child({ role: 'admin' });
  const { tls } = config.admin;
  const issued = createIssuedCertificates(state.enrolments.view);
  const nodes = nodeAuthorities(issued, world);
  const nodeIssuer = await openNodeIssuer({ ...world, logger }, writer, secrets);
  const bootstrapOf = (nodeId: string, protocol: AdsProtocol = 'delta') => {
    const kind = state.registry.view.node(nodeId)?.value.kind;
    const build = kind === 'proxyless' ? buildGrpcBootstrap : buildBootstrap;
    return build({
      nodeId,
      adsAddress: config.control.address,
      adsPort: controlPort,
      adsTls: config.control.tls && config.control.envoyTls,
      protocol,
    });
  };
  return createAdminServer({
    options: config.admin,
    logger,
    metrics,
    ...(tls && {
      tls: openTlsFiles({ ...tls, enrolledNodes: true }, { option: 'admin.tls', logger, random, nodes }),
    }),
    clock,
    random,
    journal,
    follower,
    writer,
    cursors: createCursors(deriveKey(signingKey, 'cursor v1')),
    tokens: state.tokens,
    registry: state.registry.view,
    issuers: state.issuers.view,
    enrolments: state.enrolments.view,
    issued,
    nodeIssuer,
    policies: createPolicyAdministration({
      view: state.policies.view,
      blobs,
      toolchain,
      options: config.policy,
    }),
    nodeStatus,
    progress,
    proofs,
    bounds: config.tier1,
    bootstrapOf,
    agentConfiguration: createAgentConfiguration({
      registry: state.registry.view,
      instance: follower.genesis()?.instance ?? '',
      buildOptions,
      bootstrapOf,
      progress: progress.node,
      issuer: nodeIssuer,
      tier1: config.tier1,
      clock,
    }),
  });
}
