/**
 * Certificate requests (PKCS#10, RFC 2986). What counts of one is its public key, and that whoever made it holds the
 * private one; the names and extensions that it asks for are not even looked at.
 */
import './x509-provider.ts';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';

export const MAX_REQUEST_CHARACTERS = 16_384;

export interface CertificateRequest {
  readonly publicKey: KeyObject;
  /** SHA-256 of the SubjectPublicKeyInfo (DER) */
  readonly keySha256: Digest;
}

const PEM =
  /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END (NEW )?CERTIFICATE REQUEST-----\s*$/;
/** Of what Envoy can show in a handshake: no Ed25519 (BoringSSL has it off). */
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1'];
const MIN_RSA_BITS = 2048;
/** A larger one costs whoever verifies, and gains nothing in a day. */
const MAX_RSA_BITS = 4096;

/**
 * @param pem  exactly one block
 * @throws Failure registry_rejected  when it is not a request, not signed by its own key, or for a key of another kind
 */
export async function readCertificateRequest(pem: string): Promise<CertificateRequest> {
  if (pem.length > MAX_REQUEST_CHARACTERS || !PEM.test(pem))
    throw refused('is not one PEM block of a request');
  const request = parse(pem);
  const publicKey = publicKeyOf(request);
  expectUsable(publicKey);
  // whatever is wrong with a signature, it is not one
  const isSigned = await request.verify().catch(() => false);
  if (!isSigned) throw refused('is not signed by the key that it names');
  return { publicKey, keySha256: sha256(publicKey.export({ format: 'der', type: 'spki' })) };
}

/** @returns an ECDSA P-256 key, PKCS#8 PEM */
export function createNodeKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/**
 * @param privateKey  as `createNodeKey` made it
 * @returns PEM
 * @throws Error  when it is no such key
 */
export async function createCertificateRequest(privateKey: string): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = createPrivateKey(privateKey);
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=node',
    keys: {
      privateKey: await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']),
      publicKey: await crypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
    },
    signingAlgorithm: { ...algorithm, hash: 'SHA-256' },
  });
  return `${request.toString('pem').trimEnd()}\n`;
}

function parse(pem: string): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(pem);
  } catch (cause) {
    throw refused('cannot be read', cause);
  }
}

/** Node's own reading of the key is what is issued for, and not the library's. */
function publicKeyOf(request: Pkcs10CertificateRequest): KeyObject {
  try {
    const key = Buffer.from(request.publicKey.rawData);
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch (cause) {
    throw refused('holds a key that cannot be read', cause);
  }
}

function expectUsable({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): void {
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails;
  const isUsable =
    (asymmetricKeyType === 'ec' && CURVES.includes(namedCurve)) ||
    (asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS);
  if (!isUsable)
    throw refused('is for a key that is neither ECDSA (P-256, P-384) nor RSA (2048 to 4096 bits)');
}

function refused(message: string, cause?: unknown): Failure {
  return new Failure('registry_rejected', `the certificate request ${message}`, {
    issues: [{ pointer: '/csr', code: 'csr_refused', message }],
    cause,
  });
}
