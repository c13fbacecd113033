/** An instance with a store, ports with mTLS for enrolled nodes, and nodes that are run by `chancery node run`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AdminClient, createClient } from '../../src/client/client.ts';
import { createTlsFetch } from '../../src/client/tls-fetch.ts';
import {
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  type Started,
  spawnChancery,
  startServe,
} from './serve-process.ts';
import { createStackAdmin, type StackAdmin } from './stack.ts';
import { createPortFiles, type PortFiles } from './tls-files.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export interface EnrolledEdge {
  readonly folder: string;
  readonly client: AdminClient;
  readonly admin: StackAdmin;
  readonly upstream: Upstream;
  /** the process that runs now */
  serve(): ServeProcess;
  /** Stops what runs, and starts it again on the same ports. */
  restart(...set: readonly string[]): Promise<void>;
  stopServing(): Promise<void>;
  /** The folder of a node of this id, enrolled now. */
  enrol(id: string): Promise<string>;
  /** `chancery node run` */
  run(id: string, ...args: readonly string[]): Started;
  close(): Promise<void>;
}

export async function startEnrolledEdge(...set: readonly string[]): Promise<EnrolledEdge> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.adopt(await mkdtemp(join(tmpdir(), 'chancery-edge-')), (it) =>
    rm(it, { recursive: true }),
  );
  const port: PortFiles = undo.adopt(await createPortFiles(), (it) => it.remove());
  const instance: Instance = undo.adopt(await initInstance(), (it) => it.remove());
  const upstream = undo.adopt(await startUpstream(), (it) => it.close());
  const { certificateFile, privateKeyFile } = port.files;
  const own = { certificateFile, privateKeyFile };
  const edge = join(folder, 'edge');
  const envoyTls = {
    certificateFile: join(edge, 'current', 'certificate.pem'),
    privateKeyFile: join(edge, 'current', 'private-key.pem'),
    caFile: join(edge, 'current', 'authorities.pem'),
    watchedFolder: edge,
    secretsFolder: edge,
  };
  const setting = (prefix: string, values: object): string[] =>
    Object.entries(values).flatMap(([key, value]) => ['--set', `${prefix}.${key}=${value}`]);
  const serveArgs = (more: readonly string[]): string[] => [
    ...['--config', instance.configFile],
    ...setting('authz.tls', { ...own, enrolledNodes: true }),
    ...setting('control.tls', { ...own, enrolledNodes: true }),
    ...setting('admin.tls', own),
    ...setting('control.envoyTls', envoyTls),
    ...more.flatMap((each) => ['--set', each]),
  ];
  let serve = await startServe(serveArgs(set));
  undo.defer(async () => void (serve.running() && (await serve.stop())));
  const url = `https://127.0.0.1:${serve.ports.admin}`;
  const fetch = createTlsFetch({ ca: port.authority.certificate });
  const once = createClient({ baseUrl: url, token: instance.oneTimeToken, fetch });
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const { data } = await once.POST('/v1/tokens', { body: { name: 'test', expiresAt } });
  const client = createClient({ baseUrl: url, token: data?.token ?? '', fetch });
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, port.authority.certificate);
  const owned = undo.move();
  return {
    folder,
    client,
    admin: createStackAdmin(client, upstream),
    upstream,
    serve: () => serve,
    async restart(...more) {
      const { ports } = serve;
      if (serve.running()) await serve.stop();
      serve = await startServe(serveArgs(more), ports);
    },
    async stopServing() {
      await serve.stop();
    },
    async enrol(id) {
      const issued = await client.POST('/v1/nodes/{id}/enrolment-tokens', {
        params: { path: { id } },
        body: {},
      });
      const tokenFile = join(folder, `${id}.token`);
      await writeFile(tokenFile, issued.data?.token ?? '', { mode: 0o600 });
      const out = join(folder, id);
      const args = ['--url', url, '--ca-file', ca, '--token-file', tokenFile, '--out', out];
      const { code, stderr } = await runChancery(['node', 'enrol', ...args]);
      if (code !== 0) throw new Error(stderr);
      return out;
    },
    run: (id, ...args) =>
      spawnChancery([
        ...['node', 'run', '--id', id, '--url', url, '--out', join(folder, id)],
        ...['--admin-port', '0', '--concurrency', '1', ...args],
      ]),
    close: () => owned.disposeAsync(),
  };
}
