import { parentPort, workerData } from 'node:worker_threads';
import { meterModule } from './metering.ts';

const metered = meterModule(workerData as Uint8Array);
parentPort?.postMessage(metered, [metered.buffer]);
