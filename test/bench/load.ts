import { performance } from 'node:perf_hooks';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { CHECK_PATH } from './wire.ts';

export interface LoadClient {
  /**
   * Sends `count` requests, from the first of the list on and around, `concurrency` at a time.
   *
   * @returns the answers in the order of the requests; rejects with the first RPC that fails
   */
  run(requests: readonly Buffer[], count: number, concurrency: number): Promise<LoadResult>;
  close(): void;
}

export interface LoadResult {
  readonly answers: readonly Buffer[];
  readonly seconds: number;
  /** of each request, in their order */
  readonly latenciesMs: readonly number[];
}

const bytes = (value: Buffer): Buffer => value;
const DEADLINE_MS = 10_000;

export function createLoadClient(target: string): LoadClient {
  // channels of their own, so that no server shares a connection with another
  const client = new Client(target, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const send = (request: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: Buffer): void => {
        if (error === null && answer !== undefined) resolve(answer);
        else reject(error ?? new Error('an RPC ended without an answer'));
      };
      const options = { deadline: Date.now() + DEADLINE_MS };
      client.makeUnaryRequest(CHECK_PATH, bytes, bytes, request, new Metadata(), options, done);
    });
  return {
    async run(requests, count, concurrency) {
      const answers: Buffer[] = [];
      const latenciesMs: number[] = [];
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < count) {
          const at = next;
          next += 1;
          const sentMs = performance.now();
          answers[at] = await send(requests[at % requests.length] as Buffer);
          latenciesMs[at] = performance.now() - sentMs;
        }
      };
      const startedMs = performance.now();
      await Promise.all(Array.from({ length: concurrency }, worker));
      return { answers, latenciesMs, seconds: (performance.now() - startedMs) / 1000 };
    },
    close: () => client.close(),
  };
}
