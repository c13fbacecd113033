/**
 * JWK and JWKS as OPA's library reads them: strictly, all of a set or nothing, with names of algorithms that it knows.
 * What nobody writes (a member twice, a private key) ends the evaluation rather than being guessed.
 */
import { createPublicKey, createSecretKey, type KeyObject, type webcrypto } from 'node:crypto';
import { isX509 } from './certificate.ts';
import { decodeBase64 } from './encoding.ts';
import { fail, refuse } from './implementation.ts';
import { isJson } from './json-read.ts';
import { parseText } from './parse-text.ts';
import { isArray, RegoObject, type Value } from './value.ts';

export interface VerificationKey {
  /** '' for one that does not say it */
  readonly alg: string;
  readonly kid: string;
  /** undefined for one that verifies nothing here, such as X25519 */
  readonly key: KeyObject | undefined;
}

export const SIGNATURE_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'HS256', 'HS384', 'HS512', 'EdDSA'],
];
/** Known to the library and not to OPA: such a key is passed over. Others make the set an error. */
const OTHER_ALGORITHMS = [
  ...['ES256K', 'Ed25519', 'none', 'RSA1_5', 'RSA-OAEP', 'RSA-OAEP-256', 'RSA-OAEP-384', 'RSA-OAEP-512'],
  ...['A128KW', 'A192KW', 'A256KW', 'dir', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW'],
  ...[
    'A128GCMKW',
    'A192GCMKW',
    'A256GCMKW',
    'PBES2-HS256+A128KW',
    'PBES2-HS384+A192KW',
    'PBES2-HS512+A256KW',
  ],
  ...['A128CBC-HS256', 'A192CBC-HS384', 'A256CBC-HS512', 'A128GCM', 'A192GCM', 'A256GCM'],
];
const OPERATIONS = [
  'sign',
  'verify',
  'encrypt',
  'decrypt',
  'wrapKey',
  'unwrapKey',
  'deriveKey',
  'deriveBits',
];
const MOST_KEYS = 1_000;
const MOST_CERTIFICATES = 10;
const EC_BYTES: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 };

export function parseJwks(text: string): readonly VerificationKey[] {
  if (!isJson(text)) fail();
  const root = parseText(text);
  if (!(root instanceof RegoObject)) return fail();
  expectDistinct(root);
  const keys = root.get('keys');
  if (keys === undefined) return withSupported([parseKey(root)]);
  if (!isArray(keys) || keys.length > MOST_KEYS) return fail();
  return withSupported(keys.map(parseKey));
}

function withSupported(keys: readonly VerificationKey[]): readonly VerificationKey[] {
  return keys.filter(({ alg }) => alg === '' || SIGNATURE_ALGORITHMS.includes(alg));
}

function expectDistinct(object: RegoObject): void {
  const names = object.entries.map(([name]) => name);
  if (new Set(names).size < names.length) refuse('A JSON Web Key has a member twice');
}

function parseKey(value: Value): VerificationKey {
  if (!(value instanceof RegoObject)) return fail();
  expectDistinct(value);
  for (const [name] of value.entries) {
    if (typeof name === 'string' && /^(?:kty|d)$/i.test(name) && name !== 'kty')
      refuse('A JSON Web Key that verifies is private');
  }
  const member = (name: string): string | undefined => {
    const found = value.get(name);
    return found === undefined || typeof found === 'string'
      ? found
      : refuse(`A JSON Web Key has an odd ${name}`);
  };
  for (const name of ['use', 'x5t', 'x5t#S256', 'x5u']) member(name);
  checkOperations(value.get('key_ops'));
  checkCertificates(value.get('x5c'));
  const key = createKey(member);
  const alg = member('alg');
  if (alg !== undefined && !SIGNATURE_ALGORITHMS.includes(alg) && !OTHER_ALGORITHMS.includes(alg)) fail();
  return { alg: alg ?? '', kid: member('kid') ?? '', key };
}

function checkOperations(value: Value | undefined): void {
  if (value === undefined) return;
  const isKnown = (each: Value): boolean => typeof each === 'string' && OPERATIONS.includes(each);
  if (!isArray(value) || !value.every(isKnown)) refuse('A JSON Web Key has odd key_ops');
}

function checkCertificates(value: Value | undefined): void {
  if (value === undefined) return;
  if (!isArray(value) || value.length > MOST_CERTIFICATES) return fail();
  for (const each of value) {
    if (typeof each !== 'string') return fail();
    const der = decodeBase64(each.replaceAll(/[ \t\r\n\v\f]/g, ''));
    if (der === undefined || !isX509(der)) fail();
  }
}

type Member = (name: string) => string | undefined;

function createKey(member: Member): KeyObject | undefined {
  switch (member('kty')) {
    case 'RSA':
      return rsaKey(bytesOf(member, 'n'), bytesOf(member, 'e'));
    case 'EC':
      return ecKey(member('crv') ?? '', bytesOf(member, 'x'), bytesOf(member, 'y'));
    case 'OKP':
      return okpKey(member('crv') ?? '', bytesOf(member, 'x'));
    case 'oct':
      return octKey(bytesOf(member, 'k'));
    case undefined:
    default:
      return fail();
  }
}

function rsaKey(n: Buffer, e: Buffer): KeyObject {
  const modulus = withoutZeros(n);
  const exponent = withoutZeros(e);
  if (modulus.length === 0 || ((exponent.at(-1) ?? 0) & 1) === 0 || exponent.length > 8) return fail();
  return fromJwk({ kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') });
}

function ecKey(crv: string, x: Buffer, y: Buffer): KeyObject {
  const size = EC_BYTES[crv];
  if (x.length !== size || y.length !== size) return fail();
  return fromJwk({ kty: 'EC', crv, x: x.toString('base64url'), y: y.toString('base64url') });
}

function okpKey(crv: string, x: Buffer): KeyObject | undefined {
  if ((crv !== 'Ed25519' && crv !== 'X25519') || x.length !== 32) return fail();
  return crv === 'X25519' ? undefined : fromJwk({ kty: 'OKP', crv, x: x.toString('base64url') });
}

function octKey(k: Buffer): KeyObject {
  return k.length === 0 ? fail() : createSecretKey(k);
}

function fromJwk(key: webcrypto.JsonWebKey): KeyObject {
  try {
    return createPublicKey({ format: 'jwk', key });
  } catch {
    return fail();
  }
}

function withoutZeros(bytes: Buffer): Buffer {
  const first = bytes.findIndex((each) => each !== 0);
  return first === -1 ? Buffer.alloc(0) : bytes.subarray(first);
}

/** base64 or base64url, with or without padding: the text itself says which. */
function bytesOf(member: Member, name: string): Buffer {
  const text = member(name) ?? fail();
  const isUrl = !/[+/]/.test(text);
  const standard = isUrl ? text.replaceAll('-', '+').replaceAll('_', '/') : text;
  if (!isUrl && /[-_]/.test(text)) return fail();
  const joined = standard.replaceAll(/[\r\n]/g, '');
  const padding = text.endsWith('=') ? '' : ['', '*', '==', '='][joined.length % 4];
  return decodeBase64(joined + padding) ?? fail();
}
