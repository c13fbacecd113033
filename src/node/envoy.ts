/** The Envoy of a node as a child process, and its restart without a gap (Envoy's hot restart). */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../core/failure.ts';
import { pause } from '../journal/deadline.ts';
import { type ChildProcess, startProcess } from '../supervise/processes.ts';

export interface EnvoyOptions {
  /** path of the binary */
  readonly binary: string;
  /** where it writes what others find it by */
  readonly folder: string;
  /** workers; undefined: as many as it thinks right */
  readonly concurrency?: number | undefined;
  /** of its administration on 127.0.0.1, 0: any free one; undefined: as the bootstrap says */
  readonly adminPort?: number | undefined;
  readonly onLine: (line: string) => void;
}

export interface AdsTraffic {
  /** opened, or tried */
  readonly connections: number;
  readonly receivedBytes: number;
}

export interface RunningEnvoy {
  readonly pid: number;
  /** resolves when it has ended, with how */
  readonly ended: Promise<string>;
  /** It serves: the configuration is there, and the listeners are open. */
  isLive(): Promise<boolean>;
  /** what it has had to do with `control` so far; undefined: it does not say */
  adsTraffic(): Promise<AdsTraffic | undefined>;
  /** how many workers may answer */
  workers(): Promise<number>;
  /** The next one takes its sockets over; this one answers until the next one serves, and then ends by itself. */
  replace(bootstrapFile: string): Promise<RunningEnvoy>;
  /** SIGTERM, then SIGKILL */
  stop(): Promise<void>;
}

const STOP_MS = 5_000;
const ADMIN_MS = 2_000;
/** how long the old one goes on with requests that it has begun */
const DRAIN_SECONDS = 5;

export function startEnvoy(options: EnvoyOptions, bootstrapFile: string): Promise<RunningEnvoy> {
  const baseIdFile = join(options.folder, 'base-id');
  rmSync(baseIdFile, { force: true });
  return launch(options, bootstrapFile, 0, ['--use-dynamic-base-id', '--base-id-path', baseIdFile]);
}

async function launch(
  options: EnvoyOptions,
  bootstrapFile: string,
  epoch: number,
  identity: readonly string[],
  parent?: ChildProcess,
): Promise<RunningEnvoy> {
  const { binary, folder, concurrency, onLine } = options;
  const addressFile = join(folder, `admin-address-${epoch}`);
  rmSync(addressFile, { force: true });
  const child: ChildProcess = await startProcess({
    name: 'Envoy',
    command: binary,
    args: [
      ...['--config-path', bootstrapFile, '--restart-epoch', String(epoch), ...identity],
      ...['--admin-address-path', addressFile, '--log-level', 'warning'],
      ...['--drain-time-s', String(DRAIN_SECONDS), '--parent-shutdown-time-s', String(DRAIN_SECONDS + 1)],
      ...(concurrency === undefined ? [] : ['--concurrency', String(concurrency)]),
    ],
    stopMs: STOP_MS,
    onLine,
  });

  const get = async (path: string): Promise<string | undefined> => {
    if (!existsSync(addressFile)) return undefined;
    try {
      const url = `http://${readFileSync(addressFile, 'utf8').trim()}${path}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(ADMIN_MS) });
      return answer.ok ? await answer.text() : undefined;
    } catch {
      return undefined;
    }
  };

  return {
    pid: child.pid,
    ended: child.ended,
    isLive: async () => (await get('/ready'))?.startsWith('LIVE') === true,
    async adsTraffic() {
      const stats =
        (await get('/stats?filter=^cluster.chancery-ads.upstream_cx_(total|rx_bytes_total)$')) ?? '';
      const connections = /upstream_cx_total: (\d+)/.exec(stats)?.[1];
      const receivedBytes = /upstream_cx_rx_bytes_total: (\d+)/.exec(stats)?.[1];
      if (connections === undefined || receivedBytes === undefined) return undefined;
      return { connections: Number(connections), receivedBytes: Number(receivedBytes) };
    },
    async workers() {
      const said = /concurrency: (\d+)/.exec((await get('/stats?filter=^server.concurrency$')) ?? '');
      return Number(said?.[1] ?? 1);
    },
    async replace(nextBootstrapFile) {
      const baseId = readFileSync(join(folder, 'base-id'), 'utf8').trim();
      return launch(options, nextBootstrapFile, epoch + 1, ['--base-id', baseId], child);
    },
    async stop() {
      await Promise.all([child.stop(), parent?.stop()]);
    },
  };
}

/** @throws Failure internal  when it ends, or does not serve in time; it is stopped then */
export async function untilLive(envoy: RunningEnvoy, deadlineMs: number, stop: AbortSignal): Promise<void> {
  let over: string | undefined;
  void envoy.ended.then((how) => {
    over = how;
  });
  const endMs = performance.now() + deadlineMs;
  while (!stop.aborted && !(await envoy.isLive())) {
    if (over !== undefined) throw new Failure('internal', `Envoy has ended (${over})`);
    if (performance.now() > endMs) {
      await envoy.stop();
      throw new Failure('internal', `Envoy does not serve after ${deadlineMs / 1_000} s`);
    }
    await pause(50, stop);
  }
}
