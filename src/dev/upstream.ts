/** The sample upstream of `chancery dev`: answers what reached it, so that one sees what the policy added. */
import { createServer } from 'node:http';
import { closeServer, listenOn, type Where } from './listen.ts';

export interface SampleUpstream {
  readonly url: string;
  /** how many requests have reached it */
  count(): number;
  close(): Promise<void>;
}

export async function startSampleUpstream(where: Where): Promise<SampleUpstream> {
  let reached = 0;
  const server = createServer((request, response) => {
    reached += 1;
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => name !== 'authorization'),
    );
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      `${JSON.stringify({ hello: 'from the sample upstream', method: request.method, path: request.url, headers }, null, 2)}\n`,
    );
  });
  const url = await listenOn(server, where, 'the sample upstream');
  return { url, count: () => reached, close: () => closeServer(server) };
}
