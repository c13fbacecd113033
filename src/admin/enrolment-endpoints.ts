/** Enrolment of nodes: a token for one node, a certificate for the token, the next certificate for the one before. */
import { Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import { authenticateEnrolment, createEnrolmentToken, revokeCertificates } from '../identity/enrolment.ts';
import type { Enrolment, EnrolmentView } from '../identity/enrolment-state.ts';
import type { NodeCredentials, NodeIssuer } from '../identity/issue.ts';
import type { IssuedCertificates } from '../identity/issued-certificates.ts';
import { nameSchema } from '../registry/model.ts';
import type { RegistryView } from '../registry/state.ts';
import { type ChangeDeps, commitChange } from './changes.ts';
import { type Answer, type Endpoint, endpoint, ownEndpoint } from './endpoint.ts';
import {
  certificateRequestSchema,
  DEFAULT_ENROLMENT_SECONDS,
  enrolmentTokenSchema,
  newEnrolmentTokenSchema,
  nodeCertificateSchema,
} from './enrolment-schemas.ts';
import { nodeCredential } from './node-credential.ts';
import type { Caller } from './own-credential.ts';
import { createRateLimiter } from './rate-limiter.ts';
import { componentRef } from './route-schema.ts';

export interface EnrolmentDeps extends ChangeDeps {
  readonly registry: RegistryView;
  readonly enrolments: EnrolmentView;
  readonly issued: IssuedCertificates;
  /** @throws Failure registry_rejected  where this instance can issue no certificates */
  readonly nodeIssuer: () => NodeIssuer;
}

interface EnrollingNode extends Caller {
  readonly enrolment: Enrolment;
}

const nodeParams = Type.Object({ id: nameSchema });
const tag = 'enrolment';
/** A node renews once in some hours; each renewal is an entry of the journal. */
const RENEWALS = { perSecond: 1 / 60, burst: 10, maxKeys: 4_096 };
const NEW_PART = 2 / 3;

export function enrolmentEndpoints(deps: EnrolmentDeps): readonly Endpoint[] {
  const { registry, enrolments, nodeIssuer, clock } = deps;
  const renewals = createRateLimiter(RENEWALS, clock);
  const request = componentRef('CertificateRequest', certificateRequestSchema);
  const certificate = componentRef('NodeCertificate', nodeCertificateSchema);
  const expectNode = (id: string): void => {
    if (registry.node(id) === undefined) throw new Failure('not_found', 'there is no node of this id');
  };

  return [
    endpoint({
      operationId: 'issueEnrolmentToken',
      summary:
        'Issue a token with which a node is enrolled; it ends the one before, and only this answer shows it',
      tag,
      scope: 'registry:write',
      method: 'POST',
      url: '/v1/nodes/:id/enrolment-tokens',
      params: nodeParams,
      body: componentRef('NewEnrolmentToken', newEnrolmentTokenSchema),
      answer: componentRef('EnrolmentToken', enrolmentTokenSchema),
      failures: ['not_found', 'registry_rejected'],
      handle: async (call) => {
        const node = call.params.id;
        expectNode(node);
        nodeIssuer();
        const { expiresInSeconds = DEFAULT_ENROLMENT_SECONDS } = call.body;
        const { draft, ...issued } = createEnrolmentToken(node, expiresInSeconds, deps);
        const { position } = await commitChange(deps, call, () => {
          expectNode(node);
          return { drafts: [draft], result: undefined };
        });
        return { body: { ...issued, node }, created: true, position };
      },
      replay: () => {
        throw new Failure(
          'already_exists',
          'this call has issued a token before, and a token is shown once; issue another',
        );
      },
    }),
    ownEndpoint({
      operationId: 'enrolNode',
      summary: 'Get the first certificate of a node; asked again with the same key, the answer is the same',
      tag,
      own: {
        scheme: 'enrolmentToken',
        authenticate: ({ authorization }): EnrollingNode => {
          const enrolment = authenticateEnrolment(authorization, enrolments, clock);
          return { id: `enrolment:${enrolment.id}`, enrolment };
        },
      },
      method: 'POST',
      url: '/v1/enrolments',
      body: request,
      answer: certificate,
      failures: ['registry_rejected', 'store_mismatch'],
      handle: async ({ caller, body, signal }) =>
        toAnswer(await nodeIssuer().enrol(caller.enrolment, body.csr, signal)),
    }),
    ownEndpoint({
      operationId: 'renewNodeCertificate',
      summary: 'Get the next certificate of a node; the connection shows the one before',
      tag,
      own: nodeCredential(deps),
      method: 'POST',
      url: '/v1/enrolments/renew',
      body: request,
      answer: certificate,
      failures: ['registry_rejected', 'store_mismatch'],
      handle: async ({ caller: { shown }, body, signal }) => {
        const retryAfterSeconds = renewals.take(shown.node);
        if (retryAfterSeconds > 0) {
          throw new Failure('rate_limited', 'this node renews too often', { retryAfterSeconds });
        }
        return toAnswer(await nodeIssuer().renew(shown, body.csr, signal));
      },
    }),
    endpoint({
      operationId: 'revokeNodeCertificates',
      summary: 'Revoke all certificates of a node, and its enrolment token, at once and for good',
      tag,
      scope: 'registry:write',
      method: 'DELETE',
      url: '/v1/nodes/:id/certificates',
      params: nodeParams,
      failures: ['not_found'],
      handle: async (call) => {
        const { id } = call.params;
        const { position } = await commitChange(deps, call, () => {
          expectNode(id);
          return { drafts: [revokeCertificates(id)], result: undefined };
        });
        return { body: undefined, position };
      },
      replay: (_call, { position }) => ({ body: undefined, position }),
    }),
  ];
}

type NodeCertificateAnswer = Answer<{
  node: string;
  certificate: string;
  authorities: string;
  configurationKey: string;
  notAfter: string;
  renewAfter: string;
}>;

function toAnswer({ position, notBefore, ...credentials }: NodeCredentials): NodeCertificateAnswer {
  const { notAfter } = credentials;
  const [from, to] = [Date.parse(notBefore), Date.parse(notAfter)];
  const renewAfter = new Date(from + (to - from) * NEW_PART).toISOString();
  return { body: { ...credentials, renewAfter }, created: true, ...(position && { position }) };
}
