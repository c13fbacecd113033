/** The file of a Unix socket: free to be taken when nobody listens on it any more. */
import { lstat, unlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { Failure } from '../core/failure.ts';

const CONNECT_MS = 1_000;

/**
 * Removes what a process that is gone has left.
 *
 * @throws Failure internal  when something else is there, or somebody listens; it is left alone then
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Failure('internal', `cannot listen on unix:${path}: it is no socket`);
  if (await isListening(path)) {
    throw new Failure('internal', `cannot listen on unix:${path}: another process does`);
  }
  await unlink(path);
}

/** Only a refused connection says that nobody does. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path, timeout: CONNECT_MS });
    const answer = (listening: boolean): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', () => answer(true));
    socket.once('timeout', () => answer(true));
    socket.once('error', (error: NodeJS.ErrnoException) => answer(error.code !== 'ECONNREFUSED'));
  });
}
