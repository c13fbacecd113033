/** Which hosts policies may ask. Names only: what a name resolves to is for whoever allows it to trust. */
import { Failure } from '../core/failure.ts';

export interface AllowList {
  /** @param url  `http:` or `https:` */
  allows(url: URL): boolean;
  /** to be looked up, whatever the port */
  allowsName(name: string): boolean;
}

interface Entry {
  /** as `URL.hostname` spells it; of `*.example.org`: `.example.org` */
  readonly host: string;
  readonly isSuffix: boolean;
  /** undefined: that of the scheme */
  readonly port: string | undefined;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/** @throws Failure request_malformed  for what is no host */
export function createAllowList(allowedHosts: readonly string[]): AllowList {
  const entries = allowedHosts.map(toEntry);
  const named = (hostname: string): readonly Entry[] =>
    entries.filter(({ host, isSuffix }) =>
      isSuffix ? hostname.endsWith(host) && hostname.length > host.length : hostname === host,
    );
  return {
    allows({ protocol, hostname, port }) {
      const own = DEFAULT_PORTS[protocol];
      if (own === undefined) return false;
      return named(hostname).some((entry) => (port === '' ? own : port) === (entry.port ?? own));
    },
    allowsName(name) {
      const hostname = hostnameOf(name);
      return hostname !== undefined && named(hostname).length > 0;
    },
  };
}

function toEntry(text: string): Entry {
  const isSuffix = text.startsWith('*.');
  const [host = '', port] = splitPort(isSuffix ? text.slice(2) : text);
  const hostname = URL.parse(`http://${host}/`)?.hostname;
  if (hostname === undefined)
    throw new Failure('request_malformed', `policy.httpSend.allowedHosts: ${text} is no host`);
  return { host: isSuffix ? `.${hostname}` : hostname, isSuffix, port: port && String(Number(port)) };
}

function splitPort(text: string): readonly string[] {
  const found = /^(.*?)(?::(\d+))?$/.exec(text.startsWith('[') ? text.slice(text.indexOf(']') + 1) : text);
  const [, rest = '', port] = found ?? [];
  const host = text.startsWith('[') ? text.slice(0, text.indexOf(']') + 1) : rest;
  return port === undefined ? [host] : [host, port];
}

/** A name as it stands in a URL; an address of version 6 stands in brackets there. */
function hostnameOf(name: string): string | undefined {
  if (/[/?#@\\\s]/.test(name)) return undefined;
  const host = name.includes(':') ? `[${name}]` : name;
  return URL.parse(`http://${host}/`)?.hostname;
}
