import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from '../core/failure.ts';

export interface Where {
  readonly address: string;
  readonly port: number;
}

/**
 * @returns the base URL, with the port that was really taken
 * @throws Failure internal  naming address and port when it is taken
 */
export function listenOn(server: Server, where: Where, what: string): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new Failure('internal', `${what} cannot listen on ${where.address}:${where.port}`, { cause: error }),
      );
    });
    server.listen(where.port, where.address, () => {
      resolve(`http://${where.address}:${(server.address() as AddressInfo).port}`);
    });
  });
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
