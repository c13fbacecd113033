/** Where things are, as a configuration of Envoy says it. */
import { createConnection } from 'node:net';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { Listener } from './contact.ts';

const CONNECT_MS = 2_000;

/** @throws Failure internal  when it is no listener of ours */
export function listenerOf(resource: JsonObject | undefined): Listener {
  const address = at(resource, 'address', 'socketAddress', 'address');
  const port = at(resource, 'address', 'socketAddress', 'portValue');
  if (typeof address !== 'string' || typeof port !== 'number') {
    throw new Failure('internal', 'the kept configuration has no listener');
  }
  return { address, port, tls: at(resource, 'filterChains', 0, 'transportSocket') !== undefined };
}

/** Whether somebody listens where the bootstrap sends Envoy for ADS: without it a new Envoy would have nothing to do. */
export function isAdsReachable(bootstrap: JsonObject): Promise<boolean> {
  const assignment = at(bootstrap, 'staticResources', 'clusters', 0, 'loadAssignment');
  const address = at(assignment, 'endpoints', 0, 'lbEndpoints', 0, 'endpoint', 'address');
  const path = at(address, 'pipe', 'path');
  const host = at(address, 'socketAddress', 'address');
  const port = at(address, 'socketAddress', 'portValue');
  const to =
    typeof path === 'string' ? { path } : { host: typeof host === 'string' ? host : '', port: Number(port) };
  return new Promise((resolve) => {
    const socket = createConnection({ ...to, timeout: CONNECT_MS });
    const end = (reachable: boolean): void => {
      socket.destroy();
      resolve(reachable);
    };
    socket.once('connect', () => end(true));
    for (const event of ['error', 'timeout'] as const) socket.once(event, () => end(false));
  });
}

function at(value: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  let found = value;
  for (const step of path) {
    if (typeof step === 'number') found = Array.isArray(found) ? (found as readonly Json[])[step] : undefined;
    else found = isJsonObject(found) ? found[step] : undefined;
  }
  return found;
}
