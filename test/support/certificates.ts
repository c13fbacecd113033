/** Certificate authorities and leaf certificates for tests; keys are made on the spot and kept nowhere. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

cryptoProvider.set(webcrypto as unknown as Crypto);

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

export interface Leaf {
  /** PEM */
  readonly certificate: string;
  /** PEM, PKCS#8 */
  readonly privateKey: string;
}

export interface LeafOptions {
  /** URI SANs, in this order and before the others */
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly subject?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface TestAuthority {
  /** PEM */
  readonly certificate: string;
  issue(options?: LeafOptions): Promise<Leaf>;
}

export async function createAuthority(name = 'Test CA'): Promise<TestAuthority> {
  const keys = await generateKeys();
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    ...validity({}),
    extensions: [
      new BasicConstraintsExtension(true, 1, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    certificate: toPem(authority),
    issue: (options = {}) => issue(authority, keys.privateKey, options),
  };
}

/** As Envoy sends it in `source.certificate`. */
export function toUrlEncodedPem(pem: string): string {
  return encodeURIComponent(pem).replaceAll('%2D', '-');
}

async function issue(authority: X509Certificate, signingKey: CryptoKey, options: LeafOptions): Promise<Leaf> {
  const keys = await generateKeys();
  const names = [
    ...(options.uris ?? []).map((value) => ({ type: 'url' as const, value })),
    ...(options.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(options.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const certificate = await X509CertificateGenerator.create({
    subject: options.subject ?? 'CN=leaf',
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: SIGNING_ALGORITHM,
    ...validity(options),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
      ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: toPem(certificate),
    privateKey: withNewline(PemConverter.encode(pkcs8, 'PRIVATE KEY')),
  };
}

async function generateKeys(): Promise<CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
}

function validity(options: LeafOptions): { readonly notBefore: Date; readonly notAfter: Date } {
  return {
    notBefore: options.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: options.notAfter ?? new Date(Date.now() + 24 * HOUR_MS),
  };
}

function toPem(certificate: X509Certificate): string {
  return withNewline(certificate.toString('pem'));
}

function withNewline(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}
