/** The `chancery` command as a child process: what it prints, how it ends, and `init` + `serve` on a store of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AdminClient, createClient } from '../../src/client/client.ts';
import { eventually } from './eventually.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const RUN_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 20_000;

export interface Finished {
  /** null: ended by a signal */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; one that does not end within 60 s is killed, and its `code` is null. */
export async function runChancery(args: readonly string[]): Promise<Finished> {
  const started = spawnChancery(args);
  const force = setTimeout(() => started.child.kill('SIGKILL'), RUN_DEADLINE_MS);
  const finished = await started.finished;
  clearTimeout(force);
  return finished;
}

export interface ServePorts {
  readonly authz: number;
  readonly control: number;
  /** 0: there is no admin REST */
  readonly admin: number;
  readonly ops: number;
}

export interface ServeProcess {
  readonly pid: number;
  readonly ports: ServePorts;
  /** all that it has written so far, standard output and error */
  output(): string;
  running(): boolean;
  /** SIGTERM unless told otherwise; SIGKILL when it has not ended within 20 s. @returns the exit code */
  stop(signal?: 'SIGTERM' | 'SIGINT'): Promise<number | null>;
  /** SIGKILL; resolves when it is gone */
  kill(): Promise<void>;
}

/** `chancery serve`; resolves when it says that it is ready. Ports that `args` do not name are free ones. */
export async function startServe(
  args: readonly string[],
  ports: Partial<ServePorts> = {},
): Promise<ServeProcess> {
  const wanted = { authz: 0, control: 0, admin: 0, ops: 0, ...ports };
  const flags = Object.entries(wanted).flatMap(([listener, port]) => ['--set', `${listener}.port=${port}`]);
  const { child, finished, output } = spawnChancery(['serve', '--set', 'drainSeconds=0', ...args, ...flags]);
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await finished;
  };
  try {
    const ready = await eventually('chancery serve is ready', () =>
      running() ? readyPorts(output()) : ('ended' as const),
    );
    if (ready === 'ended') throw new Error(`chancery serve has ended:\n${output()}`);
    return {
      pid: child.pid ?? 0,
      ports: { ...wanted, ...ready },
      output,
      running,
      kill,
      async stop(signal = 'SIGTERM') {
        child.kill(signal);
        const force = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
        const { code } = await finished;
        clearTimeout(force);
        return code;
      },
    };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** What `chancery init` has made, in a folder of its own. */
export interface Instance {
  readonly folder: string;
  /** for `--config`: store, key, pin */
  readonly configFile: string;
  readonly storeFile: string;
  readonly keyFile: string;
  readonly genesis: string;
  readonly oneTimeToken: string;
  remove(): Promise<void>;
}

export async function initInstance(): Promise<Instance> {
  const folder = await mkdtemp(join(tmpdir(), 'chancery-instance-'));
  const [configFile, storeFile, keyFile] = ['chancery.yaml', 'journal.db', 'signing-key.pem'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const store = ['--set', `store.sqlite.path=${storeFile}`, '--set', `journal.signingKeyFile=${keyFile}`];
    const { code, stdout, stderr } = await runChancery(['init', ...store]);
    const genesis = /^journal\.genesis: (sha256:[0-9a-f]{64})$/m.exec(stdout)?.[1];
    const oneTimeToken = /: (chy_\S+)$/m.exec(stdout)?.[1];
    if (code !== 0 || genesis === undefined || oneTimeToken === undefined) {
      throw new Error(`chancery init: ${code} ${stdout} ${stderr}`);
    }
    // JSON is YAML
    const config = { store: { sqlite: { path: storeFile } }, journal: { genesis, signingKeyFile: keyFile } };
    await writeFile(configFile, JSON.stringify(config));
    return { folder, configFile, storeFile, keyFile, genesis, oneTimeToken, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Exchanges the one-time token of `init` over REST. @returns a client that may do everything, and never tries twice */
export async function exchangeToken(
  { ports }: Pick<ServeProcess, 'ports'>,
  oneTimeToken: string,
): Promise<{ readonly token: string; readonly client: AdminClient }> {
  const baseUrl = `http://127.0.0.1:${ports.admin}`;
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const { data } = await createClient({ baseUrl, token: oneTimeToken }).POST('/v1/tokens', {
    body: { name: 'test', expiresAt },
  });
  if (data === undefined) throw new Error('no token was issued');
  return { token: data.token, client: createClient({ baseUrl, token: data.token, maxAttempts: 1 }) };
}

export interface Started {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  output(): string;
}

/** Starts a command, for whoever wants to end it before it ends. */
export function spawnChancery(args: readonly string[]): Started {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: withoutSettings(process.env),
  });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  const finished = once(child, 'close').then(() => ({ code: child.exitCode, ...text }));
  return { child, finished, output: () => text.stdout + text.stderr };
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CHANCERY_')));
}

/** From the line of the log that says so. */
function readyPorts(output: string): Partial<ServePorts> | undefined {
  const line = output.split('\n').find((each) => each.endsWith('"msg":"Chancery is ready"}'));
  return line === undefined ? undefined : (JSON.parse(line) as { ports: Partial<ServePorts> }).ports;
}
