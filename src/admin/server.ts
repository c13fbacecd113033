/** The admin REST API of one process, from endpoint to socket. */
import type { AddressInfo } from 'node:net';
import { cannotListen } from '../core/cannot-listen.ts';
import type { AdminDeps } from './deps.ts';
import { components, endpointsOf } from './endpoints.ts';
import { createHttpApp } from './http-app.ts';

export interface AdminServer {
  /**
   * @returns the port, which matters when 0 was asked for
   * @throws Failure internal  when the address cannot be had; `detail` names address and port
   */
  listen(where: { readonly address: string; readonly port: number }): Promise<number>;
  /** Takes no new connections, lets running calls end, and cuts off what is left after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export async function createAdminServer(deps: AdminDeps): Promise<AdminServer> {
  const app = await createHttpApp({ endpoints: endpointsOf(deps), components }, deps);
  return {
    async listen({ address, port }) {
      await app.listen({ host: address, port }).catch((error: Error) => {
        throw cannotListen(address, port, error);
      });
      return (app.server.address() as AddressInfo).port;
    },
    async close(graceMs) {
      deps.tls?.close();
      const cutOff = setTimeout(() => app.server.closeAllConnections(), graceMs);
      await app.close().finally(() => clearTimeout(cutOff));
    },
  };
}
