/** `net.lookup_ip_addr`: the addresses of a name, as the system resolves it. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { refuse } from '../builtins/implementation.ts';
import { RegoSet, type Value } from '../builtins/value.ts';
import { writeText } from '../builtins/write-text.ts';
import { canonicalIp } from '../core/ip-address.ts';

/** Of an address that stands in an IPv6 one, Go prints the one of version 4. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;

function toText(address: string): string {
  const canonical = canonicalIp(address) ?? address;
  return MAPPED.exec(canonical)?.[1] ?? canonical;
}

function toSet(addresses: readonly Value[]): string {
  return writeText(RegoSet.of(addresses));
}

/** @returns Rego text; undefined: it is a name, which must be asked for */
export function ownAddress(name: string): string | undefined {
  return isIP(name) === 0 ? undefined : toSet([toText(name)]);
}

/**
 * @returns Rego text; undefined: there is no such name
 * @throws Failure policy_failed  who should know does not answer, which ends an evaluation in OPA, too
 */
export async function lookUp(name: string): Promise<string | undefined> {
  try {
    const found = await lookup(name, { all: true, verbatim: true });
    return toSet(found.map(({ address }) => toText(address)));
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    return code === 'EAI_AGAIN' || code === 'ETIMEOUT'
      ? refuse('net.lookup_ip_addr: the names cannot be resolved now')
      : undefined;
  }
}
