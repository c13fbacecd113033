import { isIP, SocketAddress } from 'node:net';

/**
 * The one spelling of an IP address (RFC 5952 for IPv6), in which it can be compared with what others write.
 *
 * @returns undefined  for what is none, and for one with a zone (`fe80::1%eth0`), which means something on one machine only
 */
export function canonicalIp(address: string): string | undefined {
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return undefined;
  return family === 4 ? address : new SocketAddress({ address, family: 'ipv6' }).address;
}

/** Where something listens that has no address of its own: nobody can be sent there. */
export function isAnyAddress(address: string): boolean {
  const canonical = canonicalIp(address);
  return canonical === '0.0.0.0' || canonical === '::';
}
