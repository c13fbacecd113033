/**
 * SPIFFE IDs of workloads (SPIFFE-ID standard, sections 2.1 to 2.4), in the one spelling that is compared byte by
 * byte: `spiffe://`, a trust domain of `a-z 0-9 . - _` (1 to 255 bytes), then at least one path segment of
 * `A-Z a-z 0-9 . - _`, never empty, `.` or `..`.
 *
 * Stricter than a URI parser on purpose: no percent-encoding, port, user, query or fragment. An ID without a path
 * names a trust domain, not a workload (X.509-SVID, section 4.1), and is refused.
 */
const MAX_BYTES = 2048;
const MAX_TRUST_DOMAIN_BYTES = 255;
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]+)((?:\/[A-Za-z0-9._-]+)+)$/;

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;

/** Whether a name can be the trust domain of SPIFFE IDs as they are (SPIFFE-ID standard, section 2.1). */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

export function isSpiffeId(text: string): boolean {
  if (text.length > MAX_BYTES) return false;
  const [whole, trustDomain = '', path = ''] = SPIFFE_ID.exec(text) ?? [];
  if (whole !== text || trustDomain.length > MAX_TRUST_DOMAIN_BYTES) return false;
  return path.split('/').every((segment) => segment !== '.' && segment !== '..');
}
