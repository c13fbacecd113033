/** The keys of a `cert` argument: a PEM certificate or public key, a JWK, or a JWKS. */
import { LRUCache } from 'lru-cache';
import { keyOfCertificate, keyOfSpki } from './certificate.ts';
import { fail } from './implementation.ts';
import { parseJwks, type VerificationKey } from './jwk-keys.ts';
import { firstPemBlock } from './pem.ts';

/** A policy verifies many tokens with few keys, and reading these takes longer than verifying. */
const cache = new LRUCache<string, readonly VerificationKey[]>({
  max: 100,
  maxSize: 4 * 1024 * 1024,
  sizeCalculation: (_, text) => text.length + 1,
});

export function keysOf(text: string): readonly VerificationKey[] {
  const known = cache.get(text);
  if (known !== undefined) return known;
  const keys = readKeys(text);
  cache.set(text, keys);
  return keys;
}

function readKeys(text: string): readonly VerificationKey[] {
  const block = firstPemBlock(text);
  if (block === undefined) return parseJwks(text);
  if (block.rest !== '') return fail();
  switch (block.type) {
    case 'CERTIFICATE':
      return [{ alg: '', kid: '', key: keyOfCertificate(block.bytes) }];
    case 'PUBLIC KEY':
      return [{ alg: '', kid: '', key: keyOfSpki(block.bytes) }];
    default:
      return fail();
  }
}

/**
 * Those to try with a token: the one that it names, if it is there, or else each whose algorithm is the token's or is
 * not said.
 */
export function candidates(
  keys: readonly VerificationKey[],
  { kid, alg }: { readonly kid: string; readonly alg: string },
): readonly VerificationKey[] {
  const named = kid === '' ? undefined : keys.find((each) => each.kid === kid);
  return named === undefined ? keys.filter((each) => each.alg === '' || each.alg === alg) : [named];
}
