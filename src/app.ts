/**
 * The application: configuration → storage → follower → policies → roles → listeners. The only place that constructs
 * and connects; the reverse order is the stop.
 */
import { readFile } from 'node:fs/promises';
import { createOneTimeToken } from './admin/tokens.ts';
import type { Config } from './config/schema.ts';
import { systemClock } from './core/clock.ts';
import { Failure } from './core/failure.ts';
import type { Position } from './core/position.ts';
import { acquireAll } from './core/resources.ts';
import { readDescriptorSet } from './grpc/message-decoder.ts';
import { pause } from './journal/deadline.ts';
import type { Writer } from './journal/fold.ts';
import { systemRandom } from './journal/random.ts';
import { createWriter } from './journal/writer.ts';
import { createOpsServer } from './ops/server.ts';
import { createOutbound } from './outbound/outbound.ts';
import { createActivePolicies } from './policy/active.ts';
import { createEvaluationPool } from './policy/evaluation-pool.ts';
import { measureToolchain } from './rego/measured.ts';
import { createToolchain } from './rego/toolchain.ts';
import { createAdminRole } from './roles/admin.ts';
import { announceAuthz } from './roles/announce.ts';
import { openDecisionLog } from './roles/audit.ts';
import { createAuthzServer } from './roles/authz.ts';
import { createBuildOptions } from './roles/build-options.ts';
import { openCollection } from './roles/collection.ts';
import { createControlRole } from './roles/control.ts';
import { openLocalCopy, startJournal } from './roles/journal-start.ts';
import { startNodeBoard } from './roles/node-board.ts';
import { startNodeTeller } from './roles/node-teller.ts';
import { startProofBoard } from './roles/proof-board.ts';
import { createReplicaBoard } from './roles/replica-board.ts';
import { replicaProgress } from './roles/replicas.ts';
import { type NamedPolicy, seedJournal } from './roles/seed.ts';
import { openStorage } from './roles/storage.ts';
import { createWorld, type World } from './roles/world.ts';
import type { Logger } from './telemetry/logger.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { observeProcess } from './telemetry/process-metrics.ts';
import type { BuildOptions, BuildResources } from './xds/build.ts';
import { type NodeProgress, withProgress } from './xds/rollout.ts';

export interface AppOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** for an in-memory journal only */
  readonly policies?: readonly NamedPolicy[];
  /** tests bring their own */
  readonly build?: BuildResources;
}

export interface App {
  /** undefined: this process does not have the role */
  readonly ports: {
    readonly authz?: number;
    readonly control?: number;
    readonly admin?: number;
    readonly ops: number;
  };
  readonly world: World;
  /** For whoever holds the signing key and has no token any more, as `chancery dev` after a long pause. */
  issueOneTimeToken(): Promise<string>;
  /** Drains and stops everything, in the reverse order of the start. */
  stop(): Promise<void>;
}

const DRAIN_MS = 5_000;
const CHANGE_MS = 10_000;
/** for what the decision log has not written yet */
const FLUSH_MS = 5_000;

/** @throws Failure, with what could not be started; nothing is left running then */
export async function startApp(options: AppOptions): Promise<App> {
  const { value, release } = await acquireAll((stack) => start(options, stack));
  const { leave, ...app } = value;
  return {
    ...app,
    async stop() {
      await leave();
      await pause(options.config.drainSeconds * 1_000);
      await release();
    },
  };
}

/** `leave`: nobody is to come here any more; whoever does is served all the same. */
type Started = Omit<App, 'stop'> & { leave(): Promise<void> };

async function start(
  { config, logger, policies = [], build }: AppOptions,
  stack: AsyncDisposableStack,
): Promise<Started> {
  const ambient = { clock: systemClock, random: systemRandom, logger, metrics: createMetrics() };
  const has = (role: Config['roles'][number]): boolean => config.roles.includes(role);
  stack.adopt(observeProcess(ambient.metrics), (it) => it.stop());

  const local = await openLocalCopy(config, logger);
  const storage = stack.adopt(await openStorage(config, ambient, local !== undefined), (it) => it.close());
  const world = createWorld(config, storage, ambient);
  await startJournal(config, { storage, world, local }, stack);

  const toolchain = measureToolchain(
    stack.adopt(createToolchain(config.rego, logger), (it) => it.close()),
    ambient.metrics,
  );
  const pool = createEvaluationPool({ options: config.policy, ...ambient });
  stack.defer(() => pool.close());
  const network = createOutbound({
    options: config.policy.httpSend,
    metrics: ambient.metrics,
    decodeYaml: (text, signal) => pool.decodeYaml(text, signal),
  });
  stack.defer(() => network?.close());
  const active = createActivePolicies({
    view: world.state.policies.view,
    blobs: world.blobs,
    options: config.policy,
    pool,
    network,
    ...ambient,
  });
  stack.defer(world.follower.onApplied(({ changed }) => active.follow(changed)));
  await active.loadAll();

  const writer = storage.signingKey && createWriter({ ...world, signingKey: storage.signingKey });
  if (config.store === undefined && writer !== undefined) {
    const { tokenFile } = config.admin;
    const token = tokenFile === undefined ? {} : { token: await readToken(tokenFile) };
    const seed = { policies, state: config.state, limits: config.policy, ...token };
    await seedJournal(seed, world, writer, toolchain);
    await active.settled();
  }

  const board = createReplicaBoard({
    own: () => replicaProgress(config.roles, { ...world, policies: active }),
    ...world,
  });

  let ready = false;
  const ops = createOpsServer({ metrics: ambient.metrics, notReady: () => notReady(ready, world) });
  stack.defer(() => ops.close());
  const opsPort = await ops.listen(config.ops);
  const ports: { authz?: number; control?: number; admin?: number; ops: number } = { ops: opsPort };

  const { protoDescriptorFile } = config.authz;
  const descriptorSet =
    has('authz') && protoDescriptorFile !== undefined ? readDescriptorSet(protoDescriptorFile) : undefined;
  const asked = { policies: active, descriptorSet };
  const decisionLog = has('authz') ? openDecisionLog(config, world, asked) : undefined;
  if (decisionLog !== undefined) stack.defer(() => decisionLog.close(FLUSH_MS));
  const authz = has('authz') ? createAuthzServer(config, world, { ...asked, decisionLog }) : undefined;
  if (authz !== undefined) {
    stack.defer(() => authz.close(DRAIN_MS));
    ports.authz = await authz.listen();
  }
  const control = has('control')
    ? createControlRole(config, world, ports.authz ?? config.authz.port, build)
    : undefined;
  if (control !== undefined) {
    stack.defer(() => control.close(DRAIN_MS));
    ports.control = await control.listen();
  }
  // other processes, on one store: then nodes may be connected to any of them
  const others = config.store !== undefined;
  const position = (): Position => world.follower.position();
  const teller = others && control ? startNodeTeller({ ...world, position, nodes: control.ads }) : undefined;
  // before the streams end: their nodes are about to come to another process
  if (teller !== undefined) stack.defer(() => teller.close());
  // Without a store and without a token nobody could be told apart: then there is no admin API.
  if (
    has('admin') &&
    writer !== undefined &&
    storage.signingKey !== undefined &&
    (config.store !== undefined || config.admin.tokenFile !== undefined)
  ) {
    const nodes = others ? startNodeBoard({ ...world, position, except: teller?.name }) : undefined;
    stack.defer(() => nodes?.close());
    const nodeProgress = (id: string): NodeProgress | undefined => {
      const own = control?.ads.nodeProgress(id);
      return nodes === undefined ? own : nodes.progressOf(id, own);
    };
    const proofs = startProofBoard(world);
    stack.defer(() => proofs.close());
    const buildOptions =
      control?.buildOptions ??
      (await openBuildOptions(config, world, ports.authz ?? config.authz.port, stack));
    const admin = await createAdminRole({
      config,
      world,
      writer,
      signingKey: storage.signingKey,
      secrets: storage.secrets,
      toolchain,
      nodeStatus: (id) => withProgress(control?.ads.nodeStatus(id), nodeProgress(id)),
      progress: { replicas: () => board.all(), node: nodeProgress },
      proofs,
      buildOptions,
      controlPort: ports.control ?? config.control.port,
    });
    stack.defer(() => admin.close(DRAIN_MS));
    ports.admin = await admin.listen(config.admin);
  }
  const collection = openCollection(config, storage, world);
  if (collection !== undefined) stack.defer(() => collection.stop());

  const setServing = (serving: boolean): void => {
    ready = serving;
    authz?.setServing(serving);
    control?.setServing(serving);
  };
  setServing(true);
  const announcement =
    ports.authz === undefined ? undefined : announceAuthz(config.authz, ports.authz, world);
  board.start();
  logger.info({ ports, position: world.follower.position() }, 'Chancery is ready');
  const leave = async (): Promise<void> => {
    setServing(false);
    await Promise.all([announcement?.withdraw(), board.close()]);
  };
  return { ports, world, issueOneTimeToken: () => issueOneTimeToken(world, writer), leave };
}

/** Where there is no role control: what it would build with. */
async function openBuildOptions(
  config: Config,
  world: World,
  authzPort: number,
  stack: AsyncDisposableStack,
): Promise<() => Omit<BuildOptions, 'asOfMs'>> {
  const options = createBuildOptions({ ...world, config, authzPort, onChange: () => {} });
  stack.defer(() => options.close());
  await options.start();
  return () => options.current();
}

function notReady(ready: boolean, { follower }: World): readonly string[] {
  const trouble = follower.trouble();
  return [...(ready ? [] : ['starting or stopping']), ...(trouble === undefined ? [] : [trouble])];
}

async function issueOneTimeToken(world: World, writer: Writer | undefined): Promise<string> {
  if (writer === undefined) throw new Failure('internal', 'only role admin can issue a token');
  const { id, token, draft } = createOneTimeToken(world);
  const change = {
    id: `one-time:${id}`,
    actor: 'system:dev',
    prepare: () => ({ drafts: [draft] as const, result: undefined }),
  };
  await writer.change(change, AbortSignal.timeout(CHANGE_MS));
  return token;
}

async function readToken(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Failure('request_malformed', 'admin.tokenFile cannot be read', { cause });
  }
}
