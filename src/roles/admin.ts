/** Role `admin`: REST for people and pipelines; the only role that appends. */
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
import { buildBootstrap } from '../xds/bootstrap.ts';
import { buildGrpcBootstrap } from '../xds/grpc-bootstrap.ts';
import type { NodeStatus } from '../xds/node-status.ts';
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
  controlPort,
}: AdminRoleOptions): Promise<AdminServer> {
  const { state, journal, blobs, follower, clock, random, metrics } = world;
  const logger = world.logger.child({ role: 'admin' });
  const { tls } = config.admin;
  const issued = createIssuedCertificates(state.enrolments.view);
  const nodes = nodeAuthorities(issued, world);
  const nodeIssuer = await openNodeIssuer({ ...world, logger }, writer, secrets);
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
    bootstrapOf(nodeId, protocol = 'delta') {
      const kind = state.registry.view.node(nodeId)?.value.kind;
      const build = kind === 'proxyless' ? buildGrpcBootstrap : buildBootstrap;
      return build({
        nodeId,
        adsAddress: config.control.address,
        adsPort: controlPort,
        adsTls: config.control.tls && config.control.envoyTls,
        protocol,
      });
    },
  });
}
