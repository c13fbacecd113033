/** Probes and metrics, in every role: `/livez`, `/readyz`, `/metrics`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cannotListen } from '../core/cannot-listen.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface OpsDeps {
  readonly metrics: Metrics;
  /** what is not ready yet, by name; empty means ready */
  readonly notReady: () => readonly string[];
}

export interface OpsServer {
  /**
   * @returns the port, which matters when 0 was asked for
   * @throws Failure internal  when the address cannot be had; `detail` names address and port
   */
  listen(where: { readonly address: string; readonly port: number }): Promise<number>;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body });

export function createOpsServer(deps: OpsDeps): OpsServer {
  const server = createServer({ requestTimeout: 5_000, maxHeaderSize: 8_192 }, (request, response) => {
    void answer(request.method ?? '', request.url ?? '', deps)
      .catch(() => text(500, 'internal error\n'))
      .then(({ status, type, body }) => {
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
        response.end(request.method === 'HEAD' ? undefined : body);
      });
  });
  return {
    listen: ({ address, port }) =>
      new Promise((resolve, reject) => {
        const refuse = (error: Error): void => reject(cannotListen(address, port, error));
        server.once('error', refuse);
        server.listen(port, address, () => {
          server.off('error', refuse);
          resolve((server.address() as AddressInfo).port);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(method: string, url: string, deps: OpsDeps): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD\n');
  switch (url) {
    case '/livez':
      return text(200, 'ok\n');
    case '/readyz': {
      const notReady = deps.notReady();
      return notReady.length === 0 ? text(200, 'ok\n') : text(503, `not ready: ${notReady.join(', ')}\n`);
    }
    case '/metrics':
      return {
        status: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: await deps.metrics.render(),
      };
    default:
      return text(404, 'not found\n');
  }
}
