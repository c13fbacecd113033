/** The whole API: every operation, and the schemas that its document names. */
import type { TSchema } from 'typebox';
import { issuerSchema } from '../identity/model.ts';
import { policySourceSchema } from '../policy/source.ts';
import {
  grantSchema,
  nodeGroupSchema,
  nodeSchema,
  serviceSchema,
  settingsSchema,
} from '../registry/model.ts';
import { appSchema, groupSchema, memberSchema } from '../registry/parties.ts';
import { agentEndpoints } from './agent-endpoints.ts';
import { agentConfigurationSchema, proofSchema } from './agent-schemas.ts';
import { answeredOnce } from './changes.ts';
import { registryDocumentSchema } from './config-endpoints.ts';
import type { AdminDeps } from './deps.ts';
import type { Endpoint } from './endpoint.ts';
import { enrolmentEndpoints } from './enrolment-endpoints.ts';
import {
  certificateRequestSchema,
  enrolmentTokenSchema,
  newEnrolmentTokenSchema,
  nodeCertificateSchema,
} from './enrolment-schemas.ts';
import { issuerEndpoints } from './issuer-endpoints.ts';
import { journalEndpoints, journalEntrySchema } from './journal-endpoints.ts';
import { nodeStatusSchema } from './node-status.ts';
import { policyEndpoints } from './policy-endpoints.ts';
import {
  newReleaseSchema,
  policySchema,
  policySummarySchema,
  releaseSchema,
  revisionSchema,
} from './policy-schemas.ts';
import { problemSchema } from './problem.ts';
import { registryChangesSchema } from './registry-changes.ts';
import { registryEndpoints } from './registry-endpoints.ts';
import { releaseEndpoints } from './release-endpoints.ts';
import { rolloutEndpoints } from './rollout-endpoint.ts';
import { rolloutSchema } from './rollout-schema.ts';
import { tokenEndpoints } from './token-endpoints.ts';
import { issuedTokenSchema, newTokenSchema, tokenSchema } from './token-schemas.ts';

export function endpointsOf(deps: AdminDeps): readonly Endpoint[] {
  const isPolicy = (name: string): boolean => deps.policies.revisions(name).length > 0;
  const endpoints = [
    ...policyEndpoints(deps),
    ...releaseEndpoints(deps),
    ...registryEndpoints({ ...deps, isPolicy }),
    ...issuerEndpoints(deps),
    ...enrolmentEndpoints(deps),
    ...agentEndpoints(deps),
    ...tokenEndpoints(deps),
    ...journalEndpoints(deps),
    ...rolloutEndpoints(deps),
  ];
  return endpoints.map((form) => answeredOnce(deps, form));
}

export const components: Readonly<Record<string, TSchema>> = {
  Problem: problemSchema,
  Member: memberSchema,
  App: appSchema,
  Group: groupSchema,
  Service: serviceSchema,
  Grant: grantSchema,
  Node: nodeSchema,
  NodeGroup: nodeGroupSchema,
  RegistryChanges: registryChangesSchema,
  RegistryDocument: registryDocumentSchema,
  NodeStatus: nodeStatusSchema,
  NewEnrolmentToken: newEnrolmentTokenSchema,
  EnrolmentToken: enrolmentTokenSchema,
  CertificateRequest: certificateRequestSchema,
  NodeCertificate: nodeCertificateSchema,
  AgentConfiguration: agentConfigurationSchema,
  Proof: proofSchema,
  Settings: settingsSchema,
  Issuer: issuerSchema,
  PolicySource: policySourceSchema,
  Policy: policySchema,
  PolicySummary: policySummarySchema,
  Revision: revisionSchema,
  NewRelease: newReleaseSchema,
  Release: releaseSchema,
  NewToken: newTokenSchema,
  IssuedToken: issuedTokenSchema,
  Token: tokenSchema,
  JournalEntry: journalEntrySchema,
  Rollout: rolloutSchema,
};
