/**
 * A port without TLS, or a Unix socket, in front of a gRPC server. grpc-js would listen by itself, but it ends a
 * connection only when the other side agrees: one client that reads no more kept a process from ending.
 */
import { chmod } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { unixPath } from '../core/unix-address.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Connections, type Listener } from './listener.ts';
import { removeStaleSocket } from './unix-socket.ts';

const DEFAULT_SOCKET_MODE = '0660';

/** @param socketMode  of the file of a Unix socket, octal */
export function createPlainListener(
  server: GrpcServer,
  logger: Logger,
  socketMode = DEFAULT_SOCKET_MODE,
): Listener {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const connections = new Connections();
  const port = createServer((socket) => {
    socket.on('error', () => {});
    connections.add(socket);
    injector.injectConnection(socket);
  });
  const open = (where: { readonly path: string } | { readonly host: string; readonly port: number }) =>
    new Promise<void>((resolve, reject) => {
      port.once('error', reject);
      port.listen(where, () => {
        port.off('error', reject);
        // say, no file descriptors for the next connection: that one is lost, the port is not
        port.on('error', (error) => logger.error({ err: error }, 'a gRPC port cannot take a connection'));
        resolve();
      });
    });

  return {
    async listen(address, wanted) {
      const path = unixPath(address);
      if (path === undefined) {
        await open({ host: address, port: wanted });
        return (port.address() as AddressInfo).port;
      }
      await removeStaleSocket(path);
      await open({ path });
      await chmod(path, Number.parseInt(socketMode, 8));
      return 0;
    },
    close: () => void port.close(),
    connections,
  };
}
