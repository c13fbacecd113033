/** One gRPC port: its services, its health, and its end. */
import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import { cannotListen } from '../core/cannot-listen.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { GrpcService } from './byte-service.ts';
import { addHealth } from './health.ts';
import type { GrpcOptions } from './options.ts';

export interface GrpcServer {
  /**
   * @returns the port that is listened on
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

export function createGrpcServer(
  options: GrpcOptions,
  services: readonly GrpcService[],
  logger: Logger,
): GrpcServer {
  // it writes to standard error by itself; what matters comes back as an error
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': options.maxConcurrentStreams,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  });
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  const names = services.map(({ name }) => name);
  const health = addHealth(server, names);

  return {
    setServing: (serving) => health.setServing(serving),

    async listen() {
      const port = await bind(server, options);
      logger.info({ address: options.address, port, services: names }, 'gRPC port is open');
      return port;
    },

    async close(graceMs) {
      health.setServing(false);
      const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const force = setTimeout(() => server.forceShutdown(), graceMs);
      await ended;
      clearTimeout(force);
    },
  };
}

function bind(server: Server, { address, port }: GrpcOptions): Promise<number> {
  const host = address.includes(':') ? `[${address}]` : address;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(cannotListen(address, port, error));
    });
  });
}
