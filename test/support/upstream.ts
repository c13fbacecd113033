import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { rawValues } from './http-request.ts';

export interface Upstream {
  readonly port: number;
  /** how many requests have reached it */
  count(): number;
  /** of the last request */
  lastHeaders(): IncomingHttpHeaders;
  /** the values of a header of the last request, one per line that came */
  lastValues(name: string): readonly string[];
  lastPath(): string;
  /** of the last request whose body has ended */
  lastBody(): string;
  /** more headers for the answers from now on */
  answerWith(headers: OutgoingHttpHeaders): void;
  close(): Promise<void>;
}

/** An upstream that counts: "not one request got through" is only shown by a counter that others raise. */
export async function startUpstream(): Promise<Upstream> {
  let reached = 0;
  let headers: IncomingHttpHeaders = {};
  let rawHeaders: readonly string[] = [];
  let path = '';
  let body = '';
  let answerHeaders: OutgoingHttpHeaders = {};
  const server = createServer((request, response) => {
    reached += 1;
    headers = request.headers;
    rawHeaders = request.rawHeaders;
    path = request.url ?? '';
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      body = Buffer.concat(chunks).toString('utf8');
      response.writeHead(200, { 'content-type': 'text/plain', ...answerHeaders });
      response.end('upstream\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    count: () => reached,
    lastHeaders: () => headers,
    lastValues: (name) => rawValues(rawHeaders, name),
    lastPath: () => path,
    lastBody: () => body,
    answerWith(next) {
      answerHeaders = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
