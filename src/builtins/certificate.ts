/** X.509 certificates and PEM keys, where OpenSSL and Go agree about them. */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { Failure } from '../core/failure.ts';
import { fail, refuse } from './implementation.ts';

/** The bytes of a SubjectPublicKeyInfo with an uncompressed point; Go reads no other points, and no other curves. */
const EC_SPKI_BYTES: Readonly<Record<string, number>> = {
  secp224r1: 80,
  prime256v1: 91,
  secp384r1: 120,
  secp521r1: 158,
};
const KINDS: readonly string[] = ['rsa', 'ec', 'ed25519', 'x25519'];
const MOST_MODULUS_BITS = 16_384;

export function isX509(der: Buffer): boolean {
  return readCertificate(der) !== undefined;
}

function readCertificate(der: Buffer): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der);
    if (!certificate.raw.equals(der) || certificate.serialNumber.startsWith('-')) return undefined;
    checkKey(certificate.publicKey);
    return certificate;
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    return undefined;
  }
}

/** @returns undefined  for a kind of key that verifies no token */
export function keyOfCertificate(der: Buffer): KeyObject | undefined {
  const { publicKey } = readCertificate(der) ?? fail();
  return verifies(publicKey) ? publicKey : undefined;
}

/** @param der  a SubjectPublicKeyInfo */
export function keyOfSpki(der: Buffer): KeyObject | undefined {
  const key = readSpki(der);
  if (!key.export({ type: 'spki', format: 'der' }).equals(der))
    refuse('A public key is encoded in an odd way');
  checkKey(key);
  return verifies(key) ? key : undefined;
}

function readSpki(der: Buffer): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return fail();
  }
}

function verifies({ asymmetricKeyType }: KeyObject): boolean {
  return ['rsa', 'ec', 'ed25519'].includes(asymmetricKeyType ?? '');
}

function checkKey(key: KeyObject): void {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const kind = key.asymmetricKeyType ?? '';
  if (!KINDS.includes(kind)) refuse('A public key is of an odd kind');
  if (kind === 'ec' && key.export({ type: 'spki', format: 'der' }).length !== EC_SPKI_BYTES[namedCurve ?? ''])
    fail();
  if (modulusLength > MOST_MODULUS_BITS) refuse('An RSA key is longer than OpenSSL takes');
}
