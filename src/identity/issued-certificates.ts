/** Which of the certificates that a peer shows are of this instance's own making, and whether they still stand. */
import { X509Certificate } from 'node:crypto';
import { type Digest, sha256 } from '../core/digest.ts';
import type { EnrolmentView } from './enrolment-state.ts';

/** `nodeId` is asked anew each time, since a certificate can be revoked. */
export interface ReadCertificate {
  readonly parsed: X509Certificate;
  readonly sha256: Digest;
  /** signed by an authority of the nodes, so that only what the journal says of it counts */
  readonly isOurs: boolean;
  /** the id of that authority */
  readonly authority: Digest | undefined;
  /** of a certificate of ours; undefined: it was revoked, or never issued */
  nodeId(): string | undefined;
}

export interface IssuedCertificates {
  /**
   * @param der  read once, when it is the same object on each call of one connection
   * @throws Error  when it is no certificate
   */
  read(der: Uint8Array): ReadCertificate;
}

export function createIssuedCertificates(
  view: Pick<EnrolmentView, 'authorities' | 'certificate'>,
): IssuedCertificates {
  const known = new WeakMap<Uint8Array, ReadCertificate>();
  const parsed = new Map<Digest, X509Certificate>();
  const authorityOf = (certificate: X509Certificate): Digest | undefined =>
    view.authorities().find(({ id, certificate: pem }) => {
      const authority = parsed.get(id) ?? new X509Certificate(pem);
      parsed.set(id, authority);
      return hasSigned(authority, certificate);
    })?.id;
  const readOnce = (der: Uint8Array): ReadCertificate => {
    const certificate = new X509Certificate(der);
    const fingerprint = sha256(der);
    const authority = authorityOf(certificate);
    const isOurs = authority !== undefined;
    const nodeId = (): string | undefined => (isOurs ? view.certificate(fingerprint)?.node : undefined);
    return { parsed: certificate, sha256: fingerprint, isOurs, authority, nodeId };
  };
  return {
    read(der) {
      const read = known.get(der) ?? readOnce(der);
      known.set(der, read);
      return read;
    },
  };
}

export function hasSigned(authority: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}
