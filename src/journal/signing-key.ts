/** The Ed25519 key (RFC 8032) that signs commits; only role `admin` holds the private half. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { Failure } from '../core/failure.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

/** RFC 8037, section 2: the public half. */
export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  /** base64url of 32 bytes */
  readonly x: string;
}

export interface SigningKey {
  /** RFC 7638 thumbprint (SHA-256, base64url) of the public JWK */
  readonly kid: string;
  readonly jwk: PublicJwk;
  /** private; PKCS#8 where it is written */
  readonly privateKey: KeyObject;
}

export function generateSigningKey(): SigningKey {
  return toSigningKey(generateKeyPairSync('ed25519').privateKey);
}

/** @throws Failure store_mismatch  when it is not an Ed25519 private key */
export function toSigningKey(privateKey: KeyObject): SigningKey {
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'ed25519') {
    throw new Failure('store_mismatch', 'the signing key is not an Ed25519 private key');
  }
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  const jwk = { kty: 'OKP', crv: 'Ed25519', x } as const;
  return { kid: thumbprint(jwk), jwk, privateKey };
}

/**
 * A key for something that is no commit, which whoever holds the signing key can derive (HKDF, RFC 5869).
 *
 * @param purpose  what the key is for, and nothing else
 * @returns 32 bytes
 */
export function deriveKey({ privateKey }: SigningKey, purpose: string): Uint8Array {
  const secret = privateKey.export({ format: 'der', type: 'pkcs8' });
  return new Uint8Array(hkdfSync('sha256', secret, '', `chancery ${purpose}`, 32));
}

/** @returns base64url of the 64 bytes of the signature */
export function signWith(key: SigningKey, bytes: Uint8Array): string {
  return sign(null, bytes, key.privateKey).toString('base64url');
}

/** base64url leaves bits of the last character unused: only the one canonical spelling is a signature. */
export function isSignedBy(keys: readonly KeyObject[], bytes: Uint8Array, signature: string): boolean {
  const decoded = Buffer.from(signature, 'base64url');
  if (decoded.length !== 64 || decoded.toString('base64url') !== signature) return false;
  return keys.some((key) => verify(null, bytes, key, decoded));
}

/** @throws when the JWK is not a point of the curve */
export function toPublicKey(jwk: PublicJwk): KeyObject {
  return createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: 'jwk' });
}

/** Member names in the order of RFC 7638, section 3.2 (as RFC 8037 says for OKP). */
export function thumbprint(jwk: PublicJwk): string {
  const text = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x });
  return createHash('sha256').update(text).digest('base64url');
}

/**
 * Writes the private key as PKCS#8 PEM into a new file with mode 0600, and waits until it is on the disk.
 *
 * @throws Failure already_exists  a key is never written over
 */
export function writeSigningKeyFile(path: string, key: SigningKey): void {
  writePrivateFile(path, key.privateKey.export({ format: 'pem', type: 'pkcs8' }), 'the signing key file');
}

/**
 * @throws Failure store_mismatch  when the file cannot be read, holds no Ed25519 private key, or may be read by
 *         everybody or written by the group (a mounted secret may be readable by its group)
 */
export function readSigningKeyFile(path: string): SigningKey {
  const pem = readPrivateFile(path, 'the signing key file');
  try {
    return toSigningKey(createPrivateKey(pem));
  } catch (cause) {
    throw new Failure('store_mismatch', 'the signing key file holds no Ed25519 private key in PEM', {
      cause,
    });
  }
}
