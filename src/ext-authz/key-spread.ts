/**
 * The WASM runtime keeps an object as a hash table without a secret (OPA 1.22: FNV-1, 32 bits, chains), so that a
 * client can choose names which all fall into one chain: 7,000 of them, 50 KB of query, took it a second. Names that
 * come from a client are looked at here first. Ones that nobody chose make chains of less than ten.
 */
import { Failure } from '../core/failure.ts';

/** Below it the longest possible chain costs nothing worth a look. */
export const FEW_NAMES = 64;
const LONGEST_CHAIN = 32;
const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * @param names  of the members of one object, each once
 * @throws Failure request_malformed  when they were chosen to collide
 */
export function expectSpread(names: { readonly size: number; keys(): Iterable<string> }): void {
  if (names.size <= FEW_NAMES) return;
  const chains = new Uint8Array(2 ** Math.ceil(Math.log2(names.size)));
  for (const name of names.keys()) {
    const chain = hash(name) & (chains.length - 1);
    const length = (chains[chain] as number) + 1;
    if (length > LONGEST_CHAIN) {
      throw new Failure('request_malformed', 'too many names of one object have the same hash');
    }
    chains[chain] = length;
  }
}

function hash(name: string): number {
  let value = OFFSET_BASIS;
  for (let at = 0; at < name.length; at += 1) {
    const code = name.charCodeAt(at);
    if (code >= 0x80) return hashBytes(name);
    value = Math.imul(value, PRIME) ^ code;
  }
  return value;
}

function hashBytes(name: string): number {
  let value = OFFSET_BASIS;
  for (const byte of Buffer.from(name)) value = Math.imul(value, PRIME) ^ byte;
  return value;
}
