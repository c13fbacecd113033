/** The certificate of an enrolled node as the credential of a call. */
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { EnrolmentView, IssuedCertificate } from '../identity/enrolment-state.ts';
import type { IssuedCertificates } from '../identity/issued-certificates.ts';
import type { RegistryView } from '../registry/state.ts';
import type { Arrival, Caller, OwnCredential } from './own-credential.ts';

export interface NodeCredentialDeps {
  readonly registry: Pick<RegistryView, 'node'>;
  readonly enrolments: Pick<EnrolmentView, 'certificate'>;
  readonly issued: IssuedCertificates;
  readonly clock: Clock;
}

export interface NodeCaller extends Caller {
  readonly shown: IssuedCertificate;
  /** that has signed it */
  readonly authority: Digest;
}

export function nodeCredential(deps: NodeCredentialDeps): OwnCredential<NodeCaller> {
  return {
    scheme: 'nodeCertificate',
    authenticate: (arrival) => {
      const { shown, authority } = authenticateNode(arrival, deps);
      return { id: `node:${shown.node}`, shown, authority };
    },
  };
}

function authenticateNode(
  { certificate }: Arrival,
  { issued, enrolments, registry, clock }: NodeCredentialDeps,
): Pick<NodeCaller, 'shown' | 'authority'> {
  const der = certificate();
  if (der === undefined) {
    throw new Failure('credential_missing', 'the connection shows no valid certificate of an enrolled node');
  }
  const { parsed, authority, sha256 } = issued.read(der);
  const known = authority && enrolments.certificate(sha256);
  if (authority === undefined || known === undefined || registry.node(known.node) === undefined) {
    throw new Failure(
      'credential_revoked',
      'the certificate was revoked, or its node is not registered any more',
    );
  }
  // A connection may outlast it.
  if (clock.nowMs() >= parsed.validToDate.getTime()) {
    throw new Failure('credential_expired', `the certificate expired at ${known.notAfter}`);
  }
  return { shown: known, authority };
}
