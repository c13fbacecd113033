/** What a lost part of the journal had taken away from issuers and nodes' certificates, for an adoption. */
import type { Revocation } from '../journal/adopt.ts';
import { type EnrolmentView, nodeKey } from './enrolment-state.ts';
import type { IssuersView } from './state.ts';

/** A changed issuer is no issuer until somebody puts it again: its tokens may be what the change was to end. */
export function keptIssuerRevocations(
  fork: IssuersView,
  adopted: IssuersView,
  lost: IssuersView,
): readonly Revocation[] {
  return adopted.list().flatMap(({ name }): readonly Revocation[] => {
    const [before, after] = [fork.get(name), lost.get(name)];
    if (before?.digest === after?.digest) return [];
    return [{ kind: 'issuer.delete', body: { name }, key: `issuer/${name}` }];
  });
}

/**
 * A node of which something was revoked there, or whose enrolment token was used or replaced there: it has to enrol
 * anew, also when it has renewed its certificate on the adopted line since. A certificate that was issued there is not
 * in the journal, and so is not believed.
 *
 * @param lostAt  the time of the last lost entry: what had not expired then and is gone was taken away
 */
export function keptEnrolmentRevocations(
  fork: EnrolmentView,
  adopted: EnrolmentView,
  lost: EnrolmentView,
  lostAt: string,
): readonly Revocation[] {
  const before = new Map(fork.nodes().map((each) => [each.node, each.certificates]));
  return adopted.nodes().flatMap(({ node, enrolment }): readonly Revocation[] => {
    const isRevoked = (before.get(node) ?? []).some(
      // one that has expired goes by itself when the next one is issued
      ({ sha256, notAfter }) =>
        Date.parse(notAfter) > Date.parse(lostAt) && lost.certificate(sha256) === undefined,
    );
    const isOver =
      enrolment !== undefined &&
      isOpen(adopted, enrolment.id) &&
      isOpen(fork, enrolment.id) &&
      !isOpen(lost, enrolment.id);
    if (!isRevoked && !isOver) return [];
    return [{ kind: 'node.certificate.revoke', body: { node }, key: nodeKey(node) }];
  });
}

function isOpen(view: EnrolmentView, id: string): boolean {
  const enrolment = view.enrolment(id);
  return enrolment !== undefined && enrolment.redeemed === undefined;
}
