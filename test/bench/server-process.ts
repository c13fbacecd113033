import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Usage } from './check-server.ts';

const SERVER = fileURLToPath(new URL('./check-server.ts', import.meta.url));
const DEADLINE_MS = 30_000;

/** Which core the servers get, and which the load; undefined: nothing is pinned. */
export interface Pinning {
  readonly servers: number;
  readonly load: number;
}

/** Servers on the last core, this process on the first; where there is no `taskset`, or one core, nowhere. */
export function pinLoad(): Pinning | undefined {
  const cores = availableParallelism();
  if (cores < 2) return undefined;
  try {
    execFileSync('taskset', ['-a', '-c', '-p', '0', `${process.pid}`], { stdio: 'ignore' });
    return { servers: cores - 1, load: 0 };
  } catch {
    return undefined;
  }
}

export interface ServerProcess {
  readonly target: string;
  /** where its metrics are; of an application only */
  readonly ops: number;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

/** @param args  as check-server.ts takes them */
export async function startServer(args: readonly string[], pinning?: Pinning): Promise<ServerProcess> {
  const command = [process.execPath, SERVER, ...args];
  const [file = '', ...rest] = pinning ? ['taskset', '-c', `${pinning.servers}`, ...command] : command;
  const child = spawn(file, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  try {
    const { port, ops = 0 } = (await nextMessage(child)) as { readonly port: number; readonly ops?: number };
    return {
      target: `127.0.0.1:${port}`,
      ops,
      async usage() {
        const answer = nextMessage(child);
        child.send('usage');
        return (await answer) as Usage;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const answered = new AbortController();
  const signal = AbortSignal.any([answered.signal, AbortSignal.timeout(DEADLINE_MS)]);
  const gone = once(child, 'exit', { signal }).then(() => {
    throw new Error('a server of the bench has ended');
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal }), gone]);
    return message;
  } finally {
    // takes the listeners away again
    answered.abort();
  }
}
