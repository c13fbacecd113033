/**
 * The workload behind a proxy, proven by the certificate that the proxy verified in its TLS handshake.
 *
 * Exactly one URI SAN, which is a SPIFFE ID (X509-SVID, section 2), and which the proxy names as the peer too. The
 * proxy's word alone proves nothing: its principal is the *first* URI SAN, or a DNS SAN of the same text.
 */
import { X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { AuthorizationRequest } from '../core/authorization-request.ts';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Workload } from '../core/principal.ts';
import { isSpiffeId } from '../core/spiffe-id.ts';

/** What the certificate of a request proves; a refusal says why where a workload is demanded. */
export type WorkloadProof =
  | { readonly kind: 'none' }
  | { readonly kind: 'proven'; readonly workload: Workload }
  | { readonly kind: 'refused'; readonly failure: Failure };

type CertificateSubject =
  | { readonly spiffe: string; readonly expiresAtMs: number }
  /** why it names no workload */
  | { readonly refusal: string };

const MAX_CERTIFICATES = 2000;
const MAX_CERTIFICATE_LENGTH = 64 * 1024;
const NONE: WorkloadProof = { kind: 'none' };
const ONE_PEM = /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n*$/;
const ONE_NAME = /^([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/;

/** @returns a function that reads each certificate once */
export function createWorkloadProver(clock: Clock): (request: AuthorizationRequest) => WorkloadProof {
  const subjects = new LRUCache<string, CertificateSubject>({ max: MAX_CERTIFICATES });

  return (request) => {
    const certificate = request.sourceCertificate;
    if (certificate === '') return NONE;
    let subject = subjects.get(certificate);
    if (subject === undefined) {
      subject = readSubject(certificate);
      subjects.set(certificate, subject);
    }
    if ('refusal' in subject) return refused('credential_invalid', subject.refusal);
    if (subject.spiffe !== request.sourcePrincipal) {
      return refused('peer_mismatch', 'the certificate names another peer than the proxy does');
    }
    if (clock.nowMs() >= subject.expiresAtMs) {
      return refused('credential_expired', 'the certificate of the peer has expired');
    }
    return { kind: 'proven', workload: { spiffe: subject.spiffe } };
  };
}

/** @param certificate  URL-encoded PEM */
function readSubject(certificate: string): CertificateSubject {
  if (certificate.length > MAX_CERTIFICATE_LENGTH)
    return { refusal: 'the certificate of the peer is too long' };
  try {
    const pem = decodeURIComponent(certificate).replaceAll('\r', '');
    if (!ONE_PEM.test(pem)) return { refusal: 'the certificate of the peer is not one PEM block' };
    const parsed = new X509Certificate(pem);
    const spiffe = spiffeIdOf(parsed);
    if (spiffe === undefined) {
      return { refusal: 'the certificate of the peer has not exactly one URI SAN that is a SPIFFE ID' };
    }
    return { spiffe, expiresAtMs: parsed.validToDate.getTime() };
  } catch {
    return { refusal: 'the certificate of the peer cannot be read' };
  }
}

/**
 * @returns the one URI SAN of a certificate; undefined when there are others, or it is no SPIFFE ID
 * @throws Error  when the names cannot be read
 */
export function spiffeIdOf(certificate: X509Certificate): string | undefined {
  const [uri, another] = uriNames(certificate.subjectAltName ?? '');
  return uri === undefined || another !== undefined || !isSpiffeId(uri) ? undefined : uri;
}

/**
 * The URI names of a certificate, from Node's rendering of all names: `DNS:a, URI:b, …`, where a value with a comma,
 * a quote or a control character stands as a JSON string (and thus is no SPIFFE ID).
 *
 * @throws Error  when the text is anything else
 */
function uriNames(subjectAltName: string): readonly string[] {
  const uris: string[] = [];
  for (let rest = subjectAltName; rest !== ''; ) {
    const [whole, kind, value = ''] = ONE_NAME.exec(rest) ?? [];
    if (whole === undefined) throw new Error('names in an unknown form');
    if (kind === 'URI') uris.push(value);
    rest = rest.slice(whole.length);
  }
  return uris;
}

function refused(
  code: 'credential_invalid' | 'credential_expired' | 'peer_mismatch',
  detail: string,
): WorkloadProof {
  return { kind: 'refused', failure: new Failure(code, detail) };
}
