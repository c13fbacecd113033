/** One gRPC port: its services, its health, and its end. */
import { logVerbosity, Server, setLogVerbosity } from '@grpc/grpc-js';
import { cannotListen } from '../core/cannot-listen.ts';
import { Failure } from '../core/failure.ts';
import type { TlsCredentials } from '../core/tls.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { GrpcService } from './byte-service.ts';
import { addHealth } from './health.ts';
import type { DoorMeasures } from './measures.ts';
import type { GrpcOptions } from './options.ts';
import { createPlainListener } from './plain-listener.ts';
import { createTlsListener } from './tls-listener.ts';

export interface GrpcServer {
  /**
   * @returns the port that is listened on; 0: a Unix socket
   * @throws Failure internal  when the address cannot be had; `detail` names address and port
   */
  listen(): Promise<number>;
  /** `grpc.health.v1`: NOT_SERVING until this is called with true */
  setServing(serving: boolean): void;
  /**
   * NOT_SERVING, no new calls; calls in progress get `graceMs`, then their connections are cut, whatever the other
   * side does.
   */
  close(graceMs: number): Promise<void>;
}

/** A caller that is silent for so long is asked whether it is there, and dropped when it does not answer. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Of a connection with a client certificate: a client that has a new one by then shows it. */
const MAX_CONNECTION_AGE_SECONDS = 3_600;
const CONNECTION_END_MS = 30_000;
/** For a connection that is ended at once: its client has read that by then, or reads no more. */
const CUT_MS = 500;

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
  const listener =
    tls === undefined
      ? createPlainListener(server, logger, options.socketMode)
      : createTlsListener(server, tls, logger, door);

  return {
    setServing: (serving) => health.setServing(serving),

    async listen() {
      const { address } = options;
      const port = await listener.listen(address, options.port).catch((error: Error) => {
        throw error instanceof Failure ? error : cannotListen(address, options.port, error);
      });
      const clients = tls?.verifiesClients ? 'verified' : 'any';
      logger.info({ address, port, services: names, tls: tls !== undefined, clients }, 'gRPC port is open');
      return port;
    },

    async close(graceMs) {
      health.setServing(false);
      listener.close();
      server.tryShutdown(() => {});
      const ended = listener.connections.ended();
      if (await isWithin(graceMs, ended)) return;
      server.forceShutdown();
      if (await isWithin(CUT_MS, ended)) return;
      listener.connections.cut();
      await ended;
    },
  };
}

/** @returns whether `work` is done by then */
async function isWithin(ms: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const isDone = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return isDone;
}
