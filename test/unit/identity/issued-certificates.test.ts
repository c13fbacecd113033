import { createPublicKey, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/core/digest.ts';
import { createNodeKey } from '../../../src/identity/certificate-request.ts';
import type { IssuedCertificate } from '../../../src/identity/enrolment-state.ts';
import { createIssuedCertificates } from '../../../src/identity/issued-certificates.ts';
import { createNodeAuthority, issueNodeCertificate } from '../../../src/identity/node-authority.ts';
import { certificateClaims } from '../../../src/identity/peer.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { createAuthority } from '../../support/certificates.ts';

const ambient = { clock: { nowMs: () => Date.now() }, random: systemRandom };
let authority: Awaited<ReturnType<typeof createNodeAuthority>>;
let ours: Buffer;
let theirs: Buffer;

beforeAll(async () => {
  authority = await createNodeAuthority('test', ambient);
  const publicKey = createPublicKey(createNodeKey());
  const issued = await issueNodeCertificate({
    ...ambient,
    authority,
    trustDomain: 'test',
    nodeId: 'edge',
    publicKey,
  });
  ours = new X509Certificate(issued.certificate).raw;
  // another authority, of the same name, says the same of its certificate
  const { subject } = new X509Certificate(authority.certificate);
  const stranger = await createAuthority(subject.replace(/^CN=/, ''));
  const { certificate } = await stranger.issue({ uris: ['spiffe://test/node/edge'] });
  theirs = new X509Certificate(certificate).raw;
});

/** What is believed of a certificate, where the journal has such certificates. */
function believed(der: Buffer, known: readonly IssuedCertificate[], as = 'edge'): boolean {
  const issued = createIssuedCertificates({
    authorities: () => [authority],
    certificate: (fingerprint) => known.find((one) => one.sha256 === fingerprint),
  });
  const claims = certificateClaims({
    issued,
    servicesOf: () => [],
    clock: ambient.clock,
    logger: silentLogger,
  });
  const { enrolled, mayClaimNode } = claims('192.0.2.1:1', der);
  expect(mayClaimNode(as)).toBe(enrolled);
  return enrolled;
}
const entry = (): IssuedCertificate => ({ sha256: sha256(ours), node: 'edge', serial: '', notAfter: '' });

describe('a certificate that the authority of the nodes has signed', () => {
  it('is its node where the journal has it, and nobody where it has not, whatever name it bears', () => {
    expect(believed(ours, [entry()])).toBe(true);
    expect(believed(ours, [])).toBe(false);
  });

  it('is of the node that the journal says, and not of the one that it names', () => {
    expect(believed(ours, [{ ...entry(), node: 'other' }], 'other')).toBe(true);
  });

  it('is told from one that another authority of the same name has signed, which goes by its name', () => {
    expect(believed(theirs, [])).toBe(true);
  });
});
