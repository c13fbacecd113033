import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROCESS_FILE = fileURLToPath(new URL('admin-dying-process.ts', import.meta.url));

interface DyingAdmin {
  readonly port: number;
  /** the signal that it ended by */
  readonly ended: Promise<NodeJS.Signals | null>;
}

/** An admin process that kills itself at the first commit with an Idempotency-Key; see `admin-dying-process.ts`. */
export async function startDyingAdmin(configFile: string, when: 'before' | 'after'): Promise<DyingAdmin> {
  const child = spawn(process.execPath, [PROCESS_FILE, configFile, when], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close').then(() => child.signalCode);
  const force = setTimeout(() => child.kill('SIGTERM'), 60_000);
  void ended.then(() => clearTimeout(force));
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([once(lines, 'line').then(([text]) => String(text)), ended]);
  const port = Number(line);
  if (!(port > 0)) throw new Error(`the dying admin process did not start: ${line}`);
  return { port, ended };
}
