import { spawn } from 'node:child_process';

export interface ProcessOptions {
  /** shown in errors */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** how long SIGTERM may take before SIGKILL follows */
  readonly stopMs: number;
  readonly onLine: (line: string) => void;
}

export interface ChildProcess {
  readonly pid: number;
  /** resolves when the process has ended, with how it ended */
  readonly ended: Promise<string>;
  /** SIGTERM, then SIGKILL; resolves when the process is gone */
  stop(): Promise<void>;
}

const MAX_LINE = 8192;

/** Starts a child process and hands on its output line by line (lines are cut at 8,192 characters). */
export async function startProcess(options: ProcessOptions): Promise<ChildProcess> {
  const child = spawn(options.command, options.args, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) forEachLine(stream, options.onLine);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not run: ${error.message}`));
    child.once('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${options.name} has no process id`);
  return {
    pid,
    ended,
    async stop() {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), options.stopMs);
      await ended;
      clearTimeout(force);
    },
  };
}

function forEachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(-MAX_LINE);
    for (const line of lines) onLine(line.slice(0, MAX_LINE));
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}
