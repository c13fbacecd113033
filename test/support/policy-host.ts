/** A host that policies ask with `http.send`: it counts what reaches it, and holds back what it is told to. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpSendOptions } from '../../src/outbound/options.ts';

export interface HostRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface PolicyHost {
  /** `127.0.0.1:port` */
  readonly host: string;
  readonly requests: readonly HostRequest[];
  /** requests to this path */
  countOf(path: string): number;
  close(): Promise<void>;
}

export type AnswerRequest = (request: HostRequest, response: ServerResponse) => void;

export async function startPolicyHost(answer: AnswerRequest): Promise<PolicyHost> {
  const requests: HostRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.once('end', () => {
      const { method = '', url = '', headers } = incoming;
      const request = { method, url, headers, body: Buffer.concat(chunks).toString() };
      requests.push(request);
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    countOf: (path) => requests.filter(({ url }) => url === path).length,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function json(response: ServerResponse, value: unknown, headers: object = {}, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

/** `policy.httpSend` with small limits. */
export function httpSendTo(
  allowedHosts: readonly string[],
  given: Partial<HttpSendOptions> = {},
): HttpSendOptions {
  return {
    allowedHosts: [...allowedHosts],
    timeoutMs: 5_000,
    maxResponseBytes: 1_048_576,
    maxRedirects: 5,
    maxRequests: 16,
    maxConcurrent: 32,
    cacheMiB: 1,
    ...given,
  };
}
