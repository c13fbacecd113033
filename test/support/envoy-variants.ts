import type { AdsProtocol } from '../../src/xds/bootstrap.ts';
import type { EnvoyProcess } from './envoy-process.ts';
import { eventually } from './eventually.ts';
import type { HttpConnection } from './http-connection.ts';

export interface EnvoyVariant {
  readonly protocol: AdsProtocol;
  readonly concurrency: number;
}

/** How an Envoy may run: both variants of xDS, and with changes that reach several workers, each at its moment. */
export const ENVOY_VARIANTS: readonly EnvoyVariant[] = [
  { protocol: 'delta', concurrency: 1 },
  { protocol: 'delta', concurrency: 2 },
  { protocol: 'sotw', concurrency: 1 },
  { protocol: 'sotw', concurrency: 2 },
];

/**
 * One open connection to each worker of an Envoy whose listener is on `127.0.0.1:port`: the kernel deals connections
 * out to the workers, so more are opened until each worker has one, and the others are closed.
 *
 * Nobody else may connect meanwhile. A worker is told by its counter of connections, `listener.….worker_N.….`
 */
export async function connectWorkers<C extends HttpConnection>(
  envoy: EnvoyProcess,
  { concurrency }: Pick<EnvoyVariant, 'concurrency'>,
  port: number,
  connect: () => C | Promise<C>,
): Promise<readonly C[]> {
  const counts = (): Promise<readonly number[]> =>
    Promise.all(
      Array.from({ length: concurrency }, (_, worker) =>
        envoy.stat(`listener.127.0.0.1_${port}.worker_${worker}.downstream_cx_total`),
      ),
    );
  const connections: C[] = [];
  await eventually('each worker has a connection', async () => {
    const before = await counts();
    const connection = await connect();
    await connection.send('/');
    const after = await counts();
    const worker = after.findIndex((count, at) => count > (before[at] ?? 0));
    if (worker === -1 || connections[worker] !== undefined) connection.close();
    else connections[worker] = connection;
    return Object.keys(connections).length === concurrency;
  });
  return connections;
}

/** Waits until all of an Envoy's workers answer a request so. */
export function eventuallyAll<C extends HttpConnection>(
  what: string,
  connections: readonly C[],
  check: (connection: C) => Promise<boolean>,
): Promise<boolean> {
  return eventually(what, async () => {
    for (const connection of connections) if (!(await check(connection))) return false;
    return true;
  });
}
