/** The other end of uploads: a service that takes OPA's decision logs, and a collector of OTLP over HTTP. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { JsonObject } from '../../src/core/json.ts';

export interface Upload {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** parsed */
  readonly body: unknown;
}

export interface LogReceiver {
  readonly url: string;
  /** that were answered with 2xx, in order */
  readonly uploads: readonly Upload[];
  /** that were answered with another status */
  readonly refused: readonly number[];
  /** of uploads to `/logs` */
  events(): readonly JsonObject[];
  close(): Promise<void>;
}

/** @param answer  the status of the next upload; asked before it is counted, and waited for */
export async function startLogReceiver(
  answer: (upload: Upload) => number | Promise<number> = () => 200,
): Promise<LogReceiver> {
  const uploads: Upload[] = [];
  const refused: number[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const { headers, url: path = '' } = request;
      const text = headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
      const upload = { path, headers, body: JSON.parse(text.toString()) as unknown };
      void Promise.resolve(answer(upload)).then((status) => {
        if (status < 300) uploads.push(upload);
        else refused.push(status);
        response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    uploads,
    refused,
    events: () =>
      uploads.filter(({ path }) => path.endsWith('/logs')).flatMap(({ body }) => body as JsonObject[]),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
