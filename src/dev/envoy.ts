import { type ChildProcess, startProcess } from '../supervise/processes.ts';
import { DEV_PORTS } from './ports.ts';

export interface DevEnvoy {
  readonly pid: number;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const READY_MS = 30_000;
const STOP_MS = 5_000;
const LOG_LINES = 40;

/** Starts Envoy from a bootstrap and waits until its listener answers. */
export async function startDevEnvoy(options: {
  readonly path: string;
  readonly bootstrapFile: string;
  readonly say: (line?: string) => void;
}): Promise<DevEnvoy> {
  const lines: string[] = [];
  const child = await startProcess({
    name: 'Envoy',
    command: options.path,
    args: [
      '--config-path',
      options.bootstrapFile,
      '--concurrency',
      '1',
      '--use-dynamic-base-id',
      '--log-level',
      'warn',
    ],
    stopMs: STOP_MS,
    onLine(line) {
      lines.push(line);
      if (lines.length > LOG_LINES) lines.shift();
    },
  });
  let stopping = false;
  void child.ended.then((how) => {
    if (stopping) return;
    for (const line of lines) options.say(`  envoy: ${line}`);
    options.say(`Envoy ended (${how}); restart to get it back.`);
  });
  const stop = async (): Promise<void> => {
    stopping = true;
    await child.stop();
  };
  try {
    await untilReady(child);
  } catch (error) {
    await stop();
    for (const line of lines) options.say(`  envoy: ${line}`);
    throw error;
  }
  return { pid: child.pid, stop };
}

/** LIVE, and the listener that came over ADS accepts connections. */
async function untilReady(child: ChildProcess): Promise<void> {
  let over: string | undefined;
  void child.ended.then((how) => {
    over = how;
  });
  const deadline = Date.now() + READY_MS;
  while (
    !(
      (await answers(`http://${HOST}:${DEV_PORTS.envoyAdmin}/ready`, 200)) &&
      (await answers(`http://${HOST}:${DEV_PORTS.envoy}/`))
    )
  ) {
    if (over !== undefined) throw new Error(`Envoy ended: ${over}`);
    if (Date.now() > deadline) throw new Error(`Envoy was not ready within ${READY_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** @param status  any when it is not given */
async function answers(url: string, status?: number): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return status === undefined || response.status === status;
  } catch {
    return false;
  }
}
