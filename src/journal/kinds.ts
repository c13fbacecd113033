/**
 * Every kind of entry and the current schema number of its body. A kind or a schema that is not here stops a
 * follower (`journal_too_new`); it is never skipped. A body's form is owned by the room that folds it.
 */
export const ENTRY_KINDS = {
  'journal.genesis': 1,
  'journal.adopt': 1,
  'token.issue': 1,
  'token.redeem': 1,
  'token.revoke': 1,
  'policy.revision': 1,
  'policy.release': 1,
  'settings.put': 1,
  'issuer.put': 1,
  'issuer.delete': 1,
  'registry.member.put': 1,
  'registry.member.delete': 1,
  'registry.app.put': 1,
  'registry.app.delete': 1,
  'registry.group.put': 1,
  'registry.group.delete': 1,
  'registry.service.put': 1,
  'registry.service.delete': 1,
  'registry.grant.put': 1,
  'registry.grant.delete': 1,
  'registry.node.put': 1,
  'registry.node.delete': 1,
  'registry.node-group.put': 1,
  'registry.node-group.delete': 1,
  'node.authority.put': 1,
  'node.enrolment.issue': 1,
  'node.certificate.issue': 1,
  'node.certificate.revoke': 1,
} as const satisfies Record<string, number>;

export type EntryKind = keyof typeof ENTRY_KINDS;

export function isEntryKind(kind: string): kind is EntryKind {
  return Object.hasOwn(ENTRY_KINDS, kind);
}
