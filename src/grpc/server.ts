/** One gRPC port: its services, its health, and its end. */
import { chmod } from 'node:fs/promises';
import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import { cannotListen } from '../core/cannot-listen.ts';
import { Failure } from '../core/failure.ts';
import type { TlsCredentials } from '../core/tls.ts';
import { unixPath } from '../core/unix-address.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { GrpcService } from './byte-service.ts';
import { addHealth } from './health.ts';
import type { DoorMeasures } from './measures.ts';
import type { GrpcOptions } from './options.ts';
import { createTlsListener } from './tls-listener.ts';
import { removeStaleSocket } from './unix-socket.ts';

export interface GrpcServer {
  /**
   * @returns the port that is listened on; 0: a Unix socket
   * @throws Failure internal  when the address cannot be had; `detail` names address and port
   */
  listen(): Promise<number>;
  /** `grpc.health.v1`: NOT_SERVING until this is called with true */
  setServing(serving: boolean): void;
  /** NOT_SERVING, no new calls; calls in progress get `graceMs`, then their connections are cut. */
  close(graceMs: number): Promise<void>;
}

/** A caller that is silent for so long is asked whether it is there, and dropped when it does not answer. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Of a connection with a client certificate: a client that has a new one by then shows it. */
const MAX_CONNECTION_AGE_SECONDS = 3_600;
const CONNECTION_END_MS = 30_000;
const DEFAULT_SOCKET_MODE = '0660';

/**
 * @param tls   without it the port is plain
 * @param door  what is counted at a port with TLS
 */
export function createGrpcServer(
  options: GrpcOptions,
  services: readonly GrpcService[],
  logger: Logger,
  tls?: TlsCredentials,
  door?: DoorMeasures,
): GrpcServer {
  // it writes to standard error by itself; what matters comes back as an error
  setLogVerbosity(logVerbosity.NONE);
  const { maxConnectionAgeSeconds: maxAge = tls?.verifiesClients ? MAX_CONNECTION_AGE_SECONDS : undefined } =
    options;
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': options.maxConcurrentStreams,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    ...(maxAge !== undefined && {
      'grpc.max_connection_age_ms': maxAge * 1_000,
      'grpc.max_connection_age_grace_ms': CONNECTION_END_MS,
    }),
  });
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  const names = services.map(({ name }) => name);
  const health = addHealth(server, names);
  const listener = tls && createTlsListener(server, tls, logger, door);

  return {
    setServing: (serving) => health.setServing(serving),

    async listen() {
      const { address } = options;
      const port = await (listener?.listen(address, options.port) ?? bind(server, options)).catch(
        (error: Error) => {
          throw error instanceof Failure ? error : cannotListen(address, options.port, error);
        },
      );
      const clients = tls?.verifiesClients ? 'verified' : 'any';
      logger.info({ address, port, services: names, tls: tls !== undefined, clients }, 'gRPC port is open');
      return port;
    },

    async close(graceMs) {
      health.setServing(false);
      listener?.close();
      const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const force = setTimeout(() => server.forceShutdown(), graceMs);
      await ended;
      clearTimeout(force);
    },
  };
}

async function bind(server: Server, options: GrpcOptions): Promise<number> {
  const path = unixPath(options.address);
  if (path === undefined) return bindPort(server, options);
  await removeStaleSocket(path);
  await bindTo(server, `unix:${path}`);
  await chmod(path, Number.parseInt(options.socketMode ?? DEFAULT_SOCKET_MODE, 8));
  return 0;
}

function bindPort(server: Server, { address, port }: GrpcOptions): Promise<number> {
  const host = address.includes(':') ? `[${address}]` : address;
  return bindTo(server, `${host}:${port}`);
}

function bindTo(server: Server, target: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(target, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}
