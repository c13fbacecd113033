/**
 * The authority of nodes: an ECDSA P-256 key, and a certificate that can sign nothing but leaf certificates with SPIFFE
 * IDs of its trust domain (RFC 5280, 4.2.1.9 and 4.2.1.10). What it signs are X.509-SVIDs of nodes, for clients only.
 */
import './x509-provider.ts';
import type { KeyObject } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { Clock } from '../core/clock.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import type { RandomBytes } from '../journal/random.ts';

export interface NewNodeAuthority {
  /** SHA-256 of the certificate (DER) */
  readonly id: Digest;
  /** PEM */
  readonly certificate: string;
  /** PKCS#8; to be kept in `Secrets` and nowhere else */
  readonly privateKey: Uint8Array;
}

export interface NodeCertificate {
  /** SHA-256 of the certificate (DER) */
  readonly sha256: Digest;
  /** PEM */
  readonly certificate: string;
  /** hex */
  readonly serial: string;
  /** RFC 3339, UTC */
  readonly notBefore: string;
  readonly notAfter: string;
}

interface Ambient {
  readonly clock: Clock;
  readonly random: RandomBytes;
}

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' };
const AUTHORITY_YEARS = 10;
const DAY_MS = 86_400_000;
const NODE_CERTIFICATE_MS = DAY_MS;
/** The clock of a node may be behind. */
const BACKDATED_MS = 60_000;
const SERIAL_BYTES = 16;
const NAME_CONSTRAINTS = '2.5.29.30';

/** @param trustDomain  in the spelling of `isTrustDomain` */
export async function createNodeAuthority(
  trustDomain: string,
  { clock, random }: Ambient,
): Promise<NewNodeAuthority> {
  const keys = (await crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
  const now = clock.nowMs();
  // A name of its own, so that nobody mistakes one authority of an instance for the next.
  const mark = Buffer.from(random(4)).toString('hex');
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=Chancery nodes ${mark}`,
    keys,
    serialNumber: newSerial(random),
    signingAlgorithm: SIGNING_ALGORITHM,
    notBefore: toSeconds(now - BACKDATED_MS),
    notAfter: toSeconds(now + AUTHORITY_YEARS * 365 * DAY_MS),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      new Extension(NAME_CONSTRAINTS, true, permittedHost(trustDomain)),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    id: fingerprint(certificate),
    certificate: toPem(certificate),
    privateKey: new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey)),
  };
}

interface NodeCertificateOptions extends Ambient {
  readonly authority: Pick<NewNodeAuthority, 'certificate' | 'privateKey'>;
  readonly trustDomain: string;
  readonly nodeId: string;
  readonly publicKey: KeyObject;
}

/** For 24 hours, or less when the authority ends sooner: `spiffe://<trust domain>/node/<id>` and nothing else. */
export async function issueNodeCertificate(options: NodeCertificateOptions): Promise<NodeCertificate> {
  const { authority, trustDomain, nodeId, publicKey, clock, random } = options;
  const issuer = new X509Certificate(authority.certificate);
  const signingKey = await crypto.subtle.importKey(
    'pkcs8',
    Uint8Array.from(authority.privateKey),
    KEY_ALGORITHM,
    false,
    ['sign'],
  );
  const now = clock.nowMs();
  const notBefore = toSeconds(now - BACKDATED_MS);
  const notAfter = toSeconds(Math.min(now + NODE_CERTIFICATE_MS, issuer.notAfter.getTime()));
  const serial = newSerial(random);
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${nodeId}`,
    issuer: issuer.subject,
    publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
    signingKey,
    signingAlgorithm: SIGNING_ALGORITHM,
    serialNumber: serial,
    notBefore,
    notAfter,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth], true),
      new SubjectAlternativeNameExtension([{ type: 'url', value: nodeSpiffeId(trustDomain, nodeId) }]),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return {
    sha256: fingerprint(certificate),
    certificate: toPem(certificate),
    serial,
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
  };
}

function nodeSpiffeId(trustDomain: string, nodeId: string): string {
  return `spiffe://${trustDomain}/node/${nodeId}`;
}

/** 126 random bits, positive and of a fixed length whatever they are. */
function newSerial(random: RandomBytes): string {
  const bytes = Buffer.from(random(SERIAL_BYTES));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** X.509 has no fractions of a second. */
function toSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

function fingerprint(certificate: X509Certificate): Digest {
  return sha256(new Uint8Array(certificate.rawData));
}

function toPem(certificate: X509Certificate): string {
  return `${certificate.toString('pem').trimEnd()}\n`;
}

/** NameConstraints of one permitted subtree: URIs of exactly this host. */
function permittedHost(host: string): Uint8Array<ArrayBuffer> {
  const uri = der(0x86, Buffer.from(host, 'ascii'));
  return new Uint8Array(der(0x30, der(0xa0, der(0x30, uri))));
}

/** A DER value of at most 65,535 bytes. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}
