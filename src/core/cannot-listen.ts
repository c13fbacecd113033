import { Failure } from './failure.ts';
import { unixPath } from './unix-address.ts';

/** @returns Failure internal  that names the address and the port, whatever server could not have them */
export function cannotListen(address: string, port: number, cause: Error): Failure {
  const at = unixPath(address) === undefined ? `${withBrackets(address)}:${port}` : address;
  const why = /EADDRINUSE/.test(cause.message) ? ': the port is taken' : '';
  return new Failure('internal', `cannot listen on ${at}${why}`, { cause });
}

function withBrackets(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
