import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';

/** The pinned Envoy, where the set-up script unpacks it. */
export const ENVOY_BINARY = fileURLToPath(new URL('../../.tools/envoy-1.40.0/envoy', import.meta.url));

export interface EnvoyProcess {
  readonly pid: number;
  readonly adminPort: number;
  /** body of a GET on the administration interface */
  get(path: string): Promise<string>;
  json(path: string): Promise<Record<string, unknown>>;
  /** value of a counter or gauge; 0 when Envoy has not made it yet */
  stat(name: string): Promise<number>;
  /** `state` of `/server_info`, for example LIVE */
  state(): Promise<string>;
  /** what it has said on standard error */
  log(): string;
  /** false when it has ended by itself */
  running(): boolean;
  /** SIGTERM, then SIGKILL after 5 s */
  stop(): Promise<void>;
}

export interface EnvoyOptions {
  /** workers; default 1 */
  readonly concurrency?: number;
  /** files of its own, path → text: the configuration names them relative to the folder where it runs */
  readonly files?: Readonly<Record<string, string>>;
}

/** Starts Envoy with a configuration (JSON, or the text of a YAML file) and waits for its administration interface. */
export async function startEnvoy(
  config: object | string,
  { concurrency = 1, files = {} }: EnvoyOptions = {},
): Promise<EnvoyProcess> {
  if (!existsSync(ENVOY_BINARY)) throw new Error(`no Envoy at ${ENVOY_BINARY}: run the set-up`);
  const folder = await mkdtemp(join(tmpdir(), 'chancery-envoy-'));
  const adminFile = join(folder, 'admin-address');
  const flags = '--use-dynamic-base-id --log-level warning --drain-time-s 1';
  await writeFiles(folder, files);
  const child = spawn(
    ENVOY_BINARY,
    [
      ...['-c', await writeConfig(folder, config), '--concurrency', `${concurrency}`],
      ...[...flags.split(' '), '--admin-address-path', adminFile],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder },
  );
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-200_000);
  });
  const ended = once(child, 'exit');
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const stop = async (): Promise<void> => {
    await end(child, ended);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const address = await eventually('Envoy opens its administration interface', async () => {
      if (!running()) return 'ended';
      return existsSync(adminFile) ? await readFile(adminFile, 'utf8') : '';
    });
    if (address === 'ended') throw new Error(`Envoy has ended:\n${log}`);
    const adminPort = Number(address.split(':').at(-1));
    const get = (path: string): Promise<string> => getText(adminPort, path);
    const json = async (path: string) => JSON.parse(await get(path)) as Record<string, unknown>;
    return {
      pid: child.pid ?? 0,
      adminPort,
      get,
      json,
      stat: async (name) => statOf(await get(`/stats?filter=^${name.replaceAll('.', '\\.')}$`)),
      state: async () => String((await json('/server_info'))['state']),
      log: () => log,
      running,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** `envoy --mode validate`. @returns what it says; it throws when the configuration is refused */
export async function validateConfig(
  config: object | string,
  { files = {} }: Pick<EnvoyOptions, 'files'> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chancery-envoy-'));
  try {
    await writeFiles(folder, files);
    const { stdout, stderr } = await promisify(execFile)(
      ENVOY_BINARY,
      ['--mode', 'validate', '--use-dynamic-base-id', '-c', await writeConfig(folder, config)],
      { timeout: 60_000, cwd: folder },
    );
    return stdout + stderr;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

async function writeConfig(folder: string, config: object | string): Promise<string> {
  const path = join(folder, typeof config === 'string' ? 'envoy.yaml' : 'envoy.json');
  await writeFile(path, typeof config === 'string' ? config : JSON.stringify(config));
  return path;
}

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await writeFile(join(folder, path), text, { mode: 0o600 });
  }
}

async function getText(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(10_000) });
  return response.text();
}

/** `name: 12` */
function statOf(text: string): number {
  return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(force);
}
