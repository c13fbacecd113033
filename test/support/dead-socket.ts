import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Leaves the file of a Unix socket behind: a process listens on it, and is killed. */
export async function leaveDeadSocket(path: string): Promise<void> {
  const code = "require('node:net').createServer().listen(process.argv[1], () => process.stdout.write('up'))";
  const child = spawn(process.execPath, ['-e', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await ended;
}
