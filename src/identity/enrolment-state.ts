/**
 * The enrolment of nodes as the journal tells it: the authorities, and of each node its enrolment token and its
 * certificates. A certificate that is not here is not believed, whoever has signed it.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { isOfForm } from '../core/compiled-check.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import { expectRecord, placeMembers, type Section } from '../journal/section.ts';

const digest = placeMembers.digest;
const text = Type.String();

const authorityBody = Type.Object({ id: digest, certificate: text });
const tokenBody = Type.Object({ id: text, node: text, sha256: digest, expiresAt: text });
const certificateBody = Type.Object({
  node: text,
  sha256: digest,
  serial: text,
  notBefore: text,
  notAfter: text,
  /** of the public key */
  keySha256: digest,
  /** PEM */
  certificate: text,
  /** what proved who it was: an enrolment token, used up by this entry, or the certificate before */
  enrolment: Type.Optional(text),
  renews: Type.Optional(digest),
});
const revokeBody = Type.Object({ node: text });

/** Bodies of the entries of this room's enrolment, schema 1. */
export const ENROLMENT_BODIES = {
  'node.authority.put': authorityBody,
  'node.enrolment.issue': tokenBody,
  'node.certificate.issue': certificateBody,
  'node.certificate.revoke': revokeBody,
} as const;
type EnrolmentKind = keyof typeof ENROLMENT_BODIES;

const authorityRecord = Type.Object({ id: digest, certificate: text });
/** What its token was used for: asked again with the same key, the answer is the same. */
const redemption = Type.Object({ keySha256: digest, certificate: text, notBefore: text, notAfter: text });
const enrolmentRecord = Type.Object({
  id: text,
  sha256: digest,
  expiresAt: text,
  redeemed: Type.Optional(redemption),
});
const issuedRecord = Type.Object({ sha256: digest, serial: text, notAfter: text });
const nodeRecord = Type.Object({
  node: text,
  enrolment: Type.Optional(enrolmentRecord),
  certificates: Type.Array(issuedRecord),
});
/** What can be revoked of a node. */
type NodeRecord = Static<typeof nodeRecord>;

/** PEM, and the SHA-256 of the certificate as its id. */
export type NodeAuthority = Readonly<Static<typeof authorityRecord>>;

/** The enrolment token of a node; of several the last. */
export interface Enrolment extends Readonly<Static<typeof enrolmentRecord>> {
  readonly node: string;
}
export interface IssuedCertificate extends Readonly<Static<typeof issuedRecord>> {
  readonly node: string;
}

export interface EnrolmentView {
  /** all that are trusted; the last of them issues */
  authorities(): readonly NodeAuthority[];
  /** undefined: never issued, replaced by another one of its node, or revoked */
  enrolment(id: string): Enrolment | undefined;
  /** undefined: never issued, or revoked; expiry is for whoever asks */
  certificate(sha256: Digest): IssuedCertificate | undefined;
  /** whether there is anything of it that can be revoked */
  isKnown(node: string): boolean;
  /** each that has anything, in order of the last entry about it */
  nodes(): readonly NodeRecord[];
}

export interface Enrolments {
  readonly reducer: Reducer;
  readonly view: EnrolmentView;
}

/** Of one node; one more ends the oldest. A node needs two, while it changes from one to the next. */
const MAX_CERTIFICATES = 16;

export function createEnrolments(): Enrolments {
  let authorities: readonly NodeAuthority[] = [];
  let nodes = new Map<string, NodeRecord>();
  const byEnrolment = new Map<string, string>();
  const byCertificate = new Map<string, IssuedCertificate>();

  const unindex = ({ enrolment, certificates }: NodeRecord): void => {
    if (enrolment) byEnrolment.delete(enrolment.id);
    for (const { sha256 } of certificates) byCertificate.delete(sha256);
  };
  const index = (record: NodeRecord): void => {
    const { node, enrolment, certificates } = record;
    if (enrolment) byEnrolment.set(enrolment.id, node);
    for (const certificate of certificates) byCertificate.set(certificate.sha256, { ...certificate, node });
  };
  /** To the end: the order is that of the entries. */
  const put = (record: NodeRecord): ChangedKey => {
    remove(record.node);
    nodes.set(record.node, record);
    index(record);
    return nodeKey(record.node);
  };
  const remove = (node: string): ChangedKey => {
    const before = nodes.get(node);
    if (before) unindex(before);
    nodes.delete(node);
    return nodeKey(node);
  };
  const recordOf = (node: string): NodeRecord => nodes.get(node) ?? { node, certificates: [] };

  const apply: { readonly [K in EnrolmentKind]: (entry: FoldedEntry) => ChangedKey } = {
    'node.authority.put': (entry) => {
      const { id, certificate } = bodyOf(authorityBody, entry);
      authorities = [...authorities.filter((authority) => authority.id !== id), { id, certificate }];
      return authorityKey(id);
    },
    'node.enrolment.issue': (entry) => {
      const { node, id, sha256, expiresAt } = bodyOf(tokenBody, entry);
      return put({ ...recordOf(node), enrolment: { id, sha256, expiresAt } });
    },
    'node.certificate.issue': (entry) => put(withCertificate(recordOf, entry)),
    'node.certificate.revoke': (entry) => remove(bodyOf(revokeBody, entry).node),
  };

  const section: Section = {
    name: 'enrolment',
    version: 1,
    capture: (): readonly JsonObject[] => [
      ...authorities.map((authority) => ({ authority })),
      ...[...nodes.values()].map((node) => ({ node })),
    ],
    restore(captured) {
      const restored = captured.map((one) => readRecord(one));
      const changed = new Set<ChangedKey>([...authorities.map(({ id }) => authorityKey(id))]);
      for (const node of nodes.keys()) changed.add(nodeKey(node));
      authorities = restored.flatMap(({ authority }) => (authority ? [authority] : []));
      byEnrolment.clear();
      byCertificate.clear();
      nodes = new Map();
      for (const { node } of restored) if (node) put(node);
      for (const { id } of authorities) changed.add(authorityKey(id));
      for (const node of nodes.keys()) changed.add(nodeKey(node));
      return changed;
    },
  };

  return {
    reducer: {
      kinds: Object.keys(ENROLMENT_BODIES) as EnrolmentKind[],
      apply: (entry) => (isEnrolmentKind(entry.kind) ? [apply[entry.kind](entry)] : []),
      section,
    },
    view: {
      authorities: () => authorities,
      enrolment(id) {
        const node = byEnrolment.get(id);
        const enrolment = node === undefined ? undefined : nodes.get(node)?.enrolment;
        return node === undefined || enrolment === undefined ? undefined : { ...enrolment, node };
      },
      certificate: (sha256) => byCertificate.get(sha256),
      isKnown: (node) => nodes.has(node),
      nodes: () => [...nodes.values()],
    },
  };
}

/** What had expired when this one was issued is left out; a fold reads no clock. */
function withCertificate(recordOf: (node: string) => NodeRecord, entry: FoldedEntry): NodeRecord {
  const body = bodyOf(certificateBody, entry);
  const { node, sha256, serial, notBefore, notAfter, keySha256, certificate } = body;
  const { enrolment, certificates } = recordOf(node);
  const lasts = (end: string): boolean => Date.parse(end) > Date.parse(entry.at);
  const live = certificates.filter((one) => lasts(one.notAfter));
  const redeems = enrolment !== undefined && enrolment.id === body.enrolment;
  return {
    node,
    ...(enrolment &&
      lasts(enrolment.expiresAt) && {
        enrolment: redeems
          ? { ...enrolment, redeemed: { keySha256, certificate, notBefore, notAfter } }
          : enrolment,
      }),
    certificates: [...live, { sha256, serial, notAfter }].slice(-MAX_CERTIFICATES),
  };
}

const anyRecord = Type.Object({ authority: Type.Optional(authorityRecord), node: Type.Optional(nodeRecord) });

function readRecord(captured: JsonObject): Static<typeof anyRecord> {
  return expectRecord(anyRecord, captured, 'enrolment');
}

export function authorityKey(id: Digest): ChangedKey {
  return `node-authority/${id}`;
}

export function nodeKey(node: string): ChangedKey {
  return `node-certificates/${node}`;
}

function isEnrolmentKind(kind: string): kind is EnrolmentKind {
  return Object.hasOwn(ENROLMENT_BODIES, kind);
}

/** A body that is not of its schema was written by another program: a certificate must not be half understood. */
function bodyOf<S extends TSchema>(schema: S, { body, seq, kind }: FoldedEntry): Static<S> {
  if (isOfForm(schema, body)) return body;
  throw new Failure('journal_too_new', `entry ${seq} (${kind}) has a body of unknown form`);
}
