/** Speaks the protocol of the SQLite worker: ends itself on `head`, is silent on `diagnose`, answers the rest. */
import { parentPort } from 'node:worker_threads';
import type { Message, Request } from '../../src/store/sqlite-protocol.ts';

const send = (message: Message): void => parentPort?.postMessage(message);

parentPort?.on('message', ({ id, call }: Request) => {
  if (call.name === 'head') process.exit(3);
  if (call.name !== 'diagnose') send({ type: 'result', id, result: undefined });
});
send({ type: 'opened' });
