import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, startApp } from '../../src/app.ts';
import { ApiError } from '../../src/client/api-error.ts';
import { type AdminClient, createClient } from '../../src/client/client.ts';
import type { components } from '../../src/client/schema.d.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import type { AdsProtocol } from '../../src/xds/bootstrap.ts';
import type { BuildResources } from '../../src/xds/build.ts';
import type { Leaf } from './certificates.ts';
import { type EnvoyProcess, startEnvoy } from './envoy-process.ts';
import { createPortFiles, issueNode, mtlsSettings, nodeFiles, type PortFiles } from './tls-files.ts';
import { startUpstream, type Upstream } from './upstream.ts';

type Schemas = components['schemas'];

/** The whole application in this process, on free ports, with an in-memory journal and an upstream that counts. */
export interface Stack {
  readonly app: App;
  readonly client: AdminClient;
  readonly upstream: Upstream;
  /** Creates or replaces, whatever is there. */
  putService(name: string, service: Partial<Schemas['Service']>): Promise<void>;
  putGrant(service: string, id: string, spiffe: string, operations?: string[]): Promise<void>;
  deleteGrant(service: string, id: string): Promise<void>;
  putNode(id: string, node: Schemas['Node']): Promise<void>;
  putIssuer(name: string, issuer: Schemas['Issuer']): Promise<void>;
  putSettings(settings: Schemas['Settings']): Promise<void>;
  /** @returns the revision */
  publish(policy: string, rego: string, entrypoints?: string[]): Promise<string>;
  release(policy: string, revision: string): Promise<void>;
  publishAndRelease(policy: string, rego: string): Promise<string>;
  bootstrap(id: string, protocol?: AdsProtocol): Promise<JsonObject>;
  /** A real Envoy from the bootstrap that Chancery gives for a node. */
  startNode(id: string, options?: NodeOptions): Promise<EnvoyProcess>;
  /** with `mtls`: what its ports read, and the authority of its nodes */
  readonly mtls: PortFiles | undefined;
  stop(): Promise<void>;
}

export interface NodeOptions {
  readonly protocol?: AdsProtocol;
  /** workers; default 1 */
  readonly concurrency?: number;
  /** what it shows to a stack with `mtls`; default: a certificate that names it */
  readonly certificate?: Leaf;
}

export interface StackOptions {
  /** client certificates on both gRPC ports; default: plain */
  readonly mtls?: boolean;
  readonly logger?: Logger;
  readonly set?: readonly string[];
  readonly build?: BuildResources;
}

const TOKEN = 'test-token-test-token-test-token-test-token';

export async function startStack({
  mtls = false,
  logger = silentLogger,
  set = [],
  build,
}: StackOptions = {}): Promise<Stack> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.adopt(await mkdtemp(join(tmpdir(), 'chancery-stack-')), (it) =>
    rm(it, { recursive: true }),
  );
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, TOKEN, { mode: 0o600 });
  const ports = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const files = mtls ? undo.adopt(await createPortFiles(), (it) => it.remove()) : undefined;
  const tls = files ? mtlsSettings(files) : [];
  const config = loadConfig({
    set: [...ports, 'drainSeconds=0', ...tls, `admin.tokenFile=${tokenFile}`, ...set],
  });
  const app = undo.adopt(await startApp({ config, logger, ...(build ? { build } : {}) }), (it) => it.stop());
  const upstream = undo.adopt(await startUpstream(), (it) => it.close());
  const client = createClient({ baseUrl: `http://127.0.0.1:${app.ports.admin}`, token: TOKEN });
  const admin = createStackAdmin(client, upstream);
  const readBootstrap: Stack['bootstrap'] = async (id, protocol = 'delta') => {
    const params = { path: { id }, query: { protocol } };
    const { data } = await client.GET('/v1/nodes/{id}/bootstrap', { params });
    return data as JsonObject;
  };
  const owned = undo.move();
  return {
    app,
    client,
    upstream,
    ...admin,
    bootstrap: readBootstrap,
    async startNode(id, { protocol, certificate, ...options } = {}) {
      const bootstrap = withFreeAdminPort(await readBootstrap(id, protocol));
      const own = files && nodeFiles(files, certificate ?? (await issueNode(files, id)));
      const envoy = await startEnvoy(bootstrap, { ...options, ...(own && { files: own }) });
      return owned.adopt(envoy, (it) => it.stop());
    },
    mtls: files,
    stop: () => owned.disposeAsync(),
  };
}

export type StackAdmin = Omit<
  Stack,
  'app' | 'client' | 'upstream' | 'bootstrap' | 'startNode' | 'mtls' | 'stop'
>;

export function createStackAdmin(client: AdminClient, upstream: Pick<Upstream, 'port'>): StackAdmin {
  const publish: Stack['publish'] = async (policy, rego, entrypoints = ['envoy/authz/allow']) => {
    const path = { name: policy };
    const header = await condition(client.GET('/v1/policies/{name}', { params: { path } }));
    const body = { modules: { 'policy.rego': rego }, entrypoints };
    const { data } = await client.PUT('/v1/policies/{name}', { params: { path, header }, body });
    return data?.revision ?? '';
  };
  const release: Stack['release'] = async (policy, revision) => {
    await client.POST('/v1/releases', { body: { policy, revision } });
  };
  return {
    publish,
    release,
    async publishAndRelease(policy, rego) {
      const revision = await publish(policy, rego);
      await release(policy, revision);
      return revision;
    },
    async putService(name, service) {
      const path = { name };
      const header = await condition(client.GET('/v1/services/{name}', { params: { path } }));
      const endpoints = [{ address: '127.0.0.1', port: upstream.port }];
      const body = { hosts: ['*'], prefix: `/${name}`, access: 'grants' as const, endpoints, ...service };
      await client.PUT('/v1/services/{name}', { params: { path, header }, body });
    },
    async putGrant(service, id, spiffe, operations = ['*']) {
      const path = { service, id };
      const header = await condition(client.GET('/v1/services/{service}/grants/{id}', { params: { path } }));
      const body = { subject: { spiffe }, operations };
      await client.PUT('/v1/services/{service}/grants/{id}', { params: { path, header }, body });
    },
    async deleteGrant(service, id) {
      const path = { service, id };
      const header = (await condition(
        client.GET('/v1/services/{service}/grants/{id}', { params: { path } }),
      )) as {
        'if-match': string;
      };
      await client.DELETE('/v1/services/{service}/grants/{id}', { params: { path, header } });
    },
    async putNode(id, body) {
      const path = { id };
      const header = await condition(client.GET('/v1/nodes/{id}', { params: { path } }));
      await client.PUT('/v1/nodes/{id}', { params: { path, header }, body });
    },
    async putIssuer(name, body) {
      const path = { name };
      const header = await condition(client.GET('/v1/issuers/{name}', { params: { path } }));
      await client.PUT('/v1/issuers/{name}', { params: { path, header }, body });
    },
    async putSettings(body) {
      const header = await condition(client.GET('/v1/settings'));
      await client.PUT('/v1/settings', { params: { header }, body });
    },
  };
}

async function condition(read: Promise<{ response: Response }>): Promise<Record<string, string>> {
  try {
    const tag = (await read).response.headers.get('etag');
    return tag ? { 'if-match': tag } : { 'if-none-match': '*' };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return { 'if-none-match': '*' };
    throw error;
  }
}

/** The bootstrap fixes the port of Envoy's administration; tests take any. */
export function withFreeAdminPort(bootstrap: object): object {
  const admin = { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } };
  return { ...bootstrap, admin: { ...(bootstrap as { admin?: object }).admin, ...admin } };
}
