/** Signatures of tokens: the thirteen algorithms, and the keys that each of them takes. */
import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';
import type { BuiltinContext } from './builtin.ts';

export interface Signed {
  /** header and payload, as they are in the token */
  readonly text: string;
  readonly signature: Buffer;
}

type Hash = 'sha256' | 'sha384' | 'sha512';
export interface Scheme {
  readonly family: 'hmac' | 'pkcs1' | 'pss' | 'ecdsa' | 'ed25519';
  readonly hash: Hash;
}

const HASHES: Readonly<Record<string, Hash>> = { '256': 'sha256', '384': 'sha384', '512': 'sha512' };
const FAMILIES = { HS: 'hmac', RS: 'pkcs1', PS: 'pss', ES: 'ecdsa' } as const;

const ED25519: Scheme = { family: 'ed25519', hash: 'sha512' };

/** What the library behind OPA calls them inside; it takes these names in a header, too. */
function innerName(prefix: string, size: string): string {
  switch (prefix) {
    case 'HS':
      return `HMAC_WITH_SHA${size}`;
    case 'ES':
      return `ECDSA_WITH_P${size === '512' ? '521' : size}_AND_SHA${size}`;
    default:
      return `RSA_${prefix === 'RS' ? 'PKCS1v15' : 'PSS'}_WITH_SHA${size}`;
  }
}

/** Each algorithm by its name in a header. */
export const SCHEMES: ReadonlyMap<string, Scheme> = new Map<string, Scheme>([
  ...Object.entries(FAMILIES).flatMap(([prefix, family]) =>
    Object.entries(HASHES).flatMap(([size, hash]) =>
      [`${prefix}${size}`, innerName(prefix, size)].map((name) => [name, { family, hash }] as const),
    ),
  ),
  ['EdDSA', ED25519],
  ['Ed25519', ED25519],
]);

const CURVE_BYTES: Readonly<Record<string, number>> = {
  secp224r1: 28,
  prime256v1: 32,
  secp384r1: 48,
  secp521r1: 66,
};
const LEAST_MODULUS_BITS = 1024;
const MOST_EXPONENT = 2n ** 31n - 1n;

/** What one verification costs, in units of the budget: about its time. */
const UNITS = { hmac: 10_000, pkcs1: 150_000, pss: 200_000, ecdsa: 500_000, ed25519: 500_000 } as const;
const UNITS_OF_OTHER_CURVES = 4_000_000;

/** How far the library looks: `io.jwt.verify_…` takes any length of salt, and any split of an ECDSA signature. */
export type Strictness = 'jws' | 'lax';

export function isSignedBy(
  { text, signature }: Signed,
  key: KeyObject | undefined,
  { family, hash }: Scheme,
  strictness: Strictness,
  context: BuiltinContext,
): boolean {
  if (key === undefined) return false;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  context.charge(family === 'ecdsa' && curve !== 'prime256v1' ? UNITS_OF_OTHER_CURVES : UNITS[family]);
  const data = Buffer.from(text);
  switch (family) {
    case 'hmac':
      return key.type === 'secret' && isMac(data, signature, key, hash);
    case 'pkcs1':
      return isRsa(key) && verify(hash, data, key, signature);
    case 'pss':
      return isRsa(key) && verify(hash, data, pssKey(key, strictness), signature);
    case 'ecdsa':
      return key.asymmetricKeyType === 'ec' && isEcdsa(data, signature, key, hash, strictness);
    case 'ed25519':
      return key.asymmetricKeyType === 'ed25519' && verify(null, data, key, signature);
    default:
      return family satisfies never;
  }
}

export function isMac(data: Buffer, signature: Buffer, key: KeyObject | string, hash: Hash): boolean {
  const mac = createHmac(hash, key).update(data).digest();
  return mac.length === signature.length && timingSafeEqual(mac, signature);
}

/** Go refuses keys below 1024 bits, even moduli, and exponents that are no odd int32 above 1. */
function isRsa(key: KeyObject): boolean {
  if (key.asymmetricKeyType !== 'rsa') return false;
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < LEAST_MODULUS_BITS) return false;
  return publicExponent >= 3n && publicExponent <= MOST_EXPONENT && publicExponent % 2n === 1n;
}

function pssKey(key: KeyObject, strictness: Strictness) {
  const saltLength = strictness === 'lax' ? constants.RSA_PSS_SALTLEN_AUTO : constants.RSA_PSS_SALTLEN_DIGEST;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function isEcdsa(
  data: Buffer,
  signature: Buffer,
  key: KeyObject,
  hash: Hash,
  strictness: Strictness,
): boolean {
  const size = CURVE_BYTES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (size === undefined) return false;
  const half = Math.floor(signature.length / 2);
  if (strictness === 'jws' && signature.length !== 2 * size) return false;
  const r = resized(signature.subarray(0, half), size);
  const s = resized(signature.subarray(half), size);
  if (r === undefined || s === undefined) return false;
  return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat([r, s]));
}

/** @returns undefined  for a number that does not fit, which no curve has */
function resized(number: Buffer, size: number): Buffer | undefined {
  const over = number.length - size;
  if (over <= 0) return Buffer.concat([Buffer.alloc(-over), number]);
  return number.subarray(0, over).every((each) => each === 0) ? number.subarray(over) : undefined;
}
