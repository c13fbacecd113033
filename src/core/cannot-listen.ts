import { Failure } from './failure.ts';

/** @returns Failure internal  that names the address and the port, whatever server could not have them */
export function cannotListen(address: string, port: number, cause: Error): Failure {
  const at = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const why = /EADDRINUSE/.test(cause.message) ? ': the port is taken' : '';
  return new Failure('internal', `cannot listen on ${at}${why}`, { cause });
}
