import { createServer } from 'node:net';
import { Failure } from '../core/failure.ts';

/** Every port of `chancery dev`, all on 127.0.0.1. */
export const DEV_PORTS = {
  envoy: 10_000,
  envoyAdmin: 9901,
  issuer: 8183,
  upstream: 8184,
} as const;

const HOST = '127.0.0.1';

/** @throws Failure internal  naming each port that is taken, and who wanted it */
export async function expectFreePorts(wanted: Readonly<Record<string, number>>): Promise<void> {
  const taken: string[] = [];
  for (const [what, port] of Object.entries(wanted)) {
    if (!(await isFree(port))) taken.push(`port ${port} (${what}) is taken`);
  }
  if (taken.length > 0)
    throw new Failure('internal', `${taken.join('; ')}: stop what uses it and start again`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: HOST, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
