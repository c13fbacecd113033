/**
 * The thread that holds the toolchain. It answers one request at a time and knows no deadline: Go on WebAssembly
 * does not preempt, so only the end of this thread ends a call. Whatever is thrown ends it too.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { parseJson } from '../core/parse-json.ts';
import { startInstance } from './instance.ts';
import type { Answer } from './messages.ts';

const { artefact, maxMemoryMiB } = workerData as { artefact: string; maxMemoryMiB: number };
const instance = startInstance(new URL(artefact), maxMemoryMiB);

parentPort?.on('message', (request: object) => {
  parentPort?.postMessage(parseJson(instance.call(JSON.stringify(request))) as Answer);
});
