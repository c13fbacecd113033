/** Role `admin`: REST for people and pipelines; the only role that appends. */
import type { RolloutProgress } from '../admin/rollout-endpoint.ts';
import { type AdminServer, createAdminServer } from '../admin/server.ts';
import type { Config } from '../config/schema.ts';
import { openTlsFiles } from '../identity/tls-files.ts';
import type { Writer } from '../journal/fold.ts';
import { createPolicyAdministration } from '../policy/administration.ts';
import type { Toolchain } from '../rego/toolchain.ts';
import { buildBootstrap } from '../xds/bootstrap.ts';
import type { NodeStatus } from '../xds/node-status.ts';
import type { World } from './world.ts';

export interface AdminRoleOptions {
  readonly config: Config;
  readonly world: World;
  readonly writer: Writer;
  readonly toolchain: Toolchain;
  /** what the control role of this process knows of a node */
  readonly nodeStatus: (id: string) => NodeStatus | undefined;
  /** how far changes have come in this process and on its nodes */
  readonly progress: RolloutProgress;
  /** where Envoys reach the ADS port */
  readonly controlPort: number;
}

export function createAdminRole({
  config,
  world,
  writer,
  toolchain,
  nodeStatus,
  progress,
  controlPort,
}: AdminRoleOptions): Promise<AdminServer> {
  const { state, journal, blobs, follower, clock, random } = world;
  const logger = world.logger.child({ role: 'admin' });
  const { tls } = config.admin;
  return createAdminServer({
    options: config.admin,
    logger,
    ...(tls && { tls: openTlsFiles(tls, { option: 'admin.tls', logger, random }) }),
    clock,
    random,
    journal,
    follower,
    writer,
    tokens: state.tokens,
    registry: state.registry.view,
    issuers: state.issuers.view,
    policies: createPolicyAdministration({
      view: state.policies.view,
      blobs,
      toolchain,
      maxMemoryMiB: config.policy.maxMemoryMiB,
    }),
    nodeStatus,
    progress,
    bootstrapOf: (nodeId, protocol = 'delta') =>
      buildBootstrap({
        nodeId,
        adsAddress: config.control.address,
        adsPort: controlPort,
        adsTls: config.control.tls && config.control.envoyTls,
        protocol,
      }),
  });
}
