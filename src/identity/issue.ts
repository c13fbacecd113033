/**
 * Issues certificates to nodes: once for an enrolment token, then for the certificate before. Nothing of a request
 * decides for whom it is; the token or the shown certificate does. What is issued and the use of the token are one
 * entry of the journal, and a certificate that is not in the journal is worth nothing.
 */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Writer } from '../journal/fold.ts';
import type { Draft } from '../journal/journal.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { Secrets } from '../journal/secrets.ts';
import type { SigningKey } from '../journal/signing-key.ts';
import { readCertificateRequest } from './certificate-request.ts';
import { requireLive } from './enrolment.ts';
import type { Enrolment, EnrolmentView, IssuedCertificate, NodeAuthority } from './enrolment-state.ts';
import { hasSigned } from './issued-certificates.ts';
import {
  createNodeAuthority,
  issueNodeCertificate,
  type NewNodeAuthority,
  type NodeCertificate,
} from './node-authority.ts';
import { deriveConfigurationKey, publicPem } from './node-configuration.ts';

export interface NodeIssuerDeps {
  readonly view: EnrolmentView;
  /** a node that was deleted gets nothing any more */
  readonly isRegistered: (node: string) => boolean;
  readonly writer: Writer;
  readonly secrets: Secrets;
  /** of the SPIFFE IDs of nodes: the name of the instance */
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** What a node gets. */
export interface NodeCredentials {
  readonly node: string;
  /** PEM */
  readonly certificate: string;
  /** PEM of all authorities of nodes, one after the other */
  readonly authorities: string;
  /** PEM: with which the configurations that the node keeps are signed, as long as it shows this certificate */
  readonly configurationKey: string;
  /** RFC 3339, UTC */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly position?: Position;
}

export interface NodeIssuer {
  /**
   * Makes an authority when there is none that can issue for another year. Of several processes that do so at once,
   * one makes it.
   */
  ensureAuthority(signal: AbortSignal): Promise<void>;
  /**
   * @param enrolment  authenticated; used before with the same key, it gets the same certificate
   * @throws Failure registry_rejected (the request); credential_expired; credential_revoked
   */
  enrol(enrolment: Enrolment, csr: string, signal: AbortSignal): Promise<NodeCredentials>;
  /**
   * @param shown  of the connection that asks, authenticated
   * @throws Failure registry_rejected (the request); credential_revoked
   */
  renew(shown: IssuedCertificate, csr: string, signal: AbortSignal): Promise<NodeCredentials>;
  /**
   * Signs what nodes keep whose certificates are of this authority.
   *
   * @throws Failure store_mismatch  when its key is not in the store
   */
  configurationKey(authority: Digest): Promise<SigningKey>;
}

const AUTHORITY_SPARE_MS = 365 * 86_400_000;
const REVOKED = 'the certificate was revoked, or its node is not registered any more';

export function createNodeIssuer(deps: NodeIssuerDeps): NodeIssuer {
  const { view, isRegistered, writer, secrets, trustDomain, clock, random } = deps;

  const issueFor = async (
    nodeId: string,
    csr: string,
  ): Promise<{ readonly issued: NodeCertificate; readonly body: Draft['body'] }> => {
    const { publicKey, keySha256 } = await readCertificateRequest(csr);
    const authority = await signingAuthority(view.authorities().at(-1), secrets);
    const issued = await issueNodeCertificate({ authority, trustDomain, nodeId, publicKey, clock, random });
    return { issued, body: { node: nodeId, keySha256, ...issued } };
  };
  const keyOf = async (wanted: Digest | undefined): Promise<SigningKey> => {
    const authority = view.authorities().find(({ id }) => id === wanted);
    return deriveConfigurationKey((await signingAuthority(authority, secrets)).privateKey);
  };
  const pinOf = async (certificate: string): Promise<string> => {
    const leaf = new X509Certificate(certificate);
    const signer = view.authorities().find((each) => hasSigned(new X509Certificate(each.certificate), leaf));
    return publicPem(await keyOf(signer?.id));
  };
  const authorities = (): string =>
    view
      .authorities()
      .map(({ certificate }) => certificate)
      .join('');

  return {
    async ensureAuthority(signal) {
      const seen = view.authorities().at(-1);
      if (seen !== undefined && (await canIssue(seen, secrets, clock))) return;
      const authority = await createNodeAuthority(trustDomain, { clock, random });
      await keepAuthority(authority, secrets);
      const isFirst = (): boolean => view.authorities().at(-1)?.id === seen?.id;
      const prepare = () => {
        if (!isFirst()) throw new Failure('already_exists', 'another process has made an authority');
        return { drafts: [authorityDraft(authority)] as const, result: undefined };
      };
      try {
        await writer.change({ id: `authority:${authority.id}`, actor: 'system:nodes', prepare }, signal);
      } catch (thrown) {
        if (Failure.from(thrown).code !== 'already_exists') throw thrown;
        await secrets.delete(secretName(authority.id));
      }
    },

    async enrol({ id, node }, csr, signal) {
      const { keySha256 } = await readCertificateRequest(csr);
      let position: Position | undefined;
      if (view.enrolment(id)?.redeemed === undefined) {
        const { body } = await issueFor(node, csr);
        const prepare = () => {
          const enrolment = view.enrolment(id);
          if (enrolment === undefined || !isRegistered(node)) throw used();
          requireLive(enrolment, clock);
          const draft: Draft = { kind: 'node.certificate.issue', body: { ...body, enrolment: id } };
          return { drafts: [draft] as const, result: undefined };
        };
        // Whoever comes second finds the commit there, and is answered from what it has left.
        const change = { id: `enrolment:${id}`, actor: `node:${node}`, prepare };
        ({ position } = await writer.change(change, signal));
      }
      const redeemed = view.enrolment(id)?.redeemed;
      if (redeemed?.keySha256 !== keySha256) throw used();
      const { certificate, notBefore, notAfter } = redeemed;
      return {
        node,
        certificate,
        authorities: authorities(),
        configurationKey: await pinOf(certificate),
        notBefore,
        notAfter,
        ...(position && { position }),
      };
    },

    async renew({ node, sha256 }, csr, signal) {
      const { issued, body } = await issueFor(node, csr);
      const prepare = () => {
        if (view.certificate(sha256) === undefined || !isRegistered(node)) {
          throw new Failure('credential_revoked', REVOKED);
        }
        const draft: Draft = { kind: 'node.certificate.issue', body: { ...body, renews: sha256 } };
        return { drafts: [draft] as const, result: undefined };
      };
      const change = { id: `renewal:${issued.serial}`, actor: `node:${node}`, prepare };
      const { position } = await writer.change(change, signal);
      const { certificate, notBefore, notAfter } = issued;
      const configurationKey = await pinOf(certificate);
      return {
        node,
        certificate,
        authorities: authorities(),
        configurationKey,
        notBefore,
        notAfter,
        position,
      };
    },

    configurationKey: keyOf,
  };
}

/** For whoever begins a journal: the key goes to `Secrets` before the entry that names it. */
export async function keepAuthority(authority: NewNodeAuthority, secrets: Secrets): Promise<void> {
  await secrets.put(secretName(authority.id), authority.privateKey);
}

export function authorityDraft({ id, certificate }: NewNodeAuthority): Draft {
  return { kind: 'node.authority.put', body: { id, certificate } };
}

async function canIssue(
  { id, certificate }: NodeAuthority,
  secrets: Secrets,
  clock: Clock,
): Promise<boolean> {
  const endsMs = new X509Certificate(certificate).validToDate.getTime();
  if (endsMs - clock.nowMs() < AUTHORITY_SPARE_MS) return false;
  return (await secrets.get(secretName(id))) !== undefined;
}

async function signingAuthority(
  authority: NodeAuthority | undefined,
  secrets: Secrets,
): Promise<Pick<NewNodeAuthority, 'certificate' | 'privateKey'>> {
  const privateKey = authority && (await secrets.get(secretName(authority.id)));
  if (authority === undefined || privateKey === undefined) {
    throw new Failure('store_mismatch', 'the key of the authority of the nodes is not in the store');
  }
  return { certificate: authority.certificate, privateKey };
}

function secretName(id: string): string {
  return `node-authority/${id}`;
}

function used(): Failure {
  return new Failure('credential_revoked', 'the enrolment token has been used, or was revoked');
}
