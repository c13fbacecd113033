/** `/v1/config`: the registry as one document, in JSON or YAML. `PUT` plans (`dryRun`) and applies. */
import { type Static, Type } from 'typebox';
import type { Follower } from '../journal/fold.ts';
import { changesTo, type RegistryDocument, toDocument } from '../registry/document.ts';
import {
  grantSchema,
  nodeGroupSchema,
  nodeSchema,
  serviceSchema,
  settingsSchema,
} from '../registry/model.ts';
import { appSchema, groupSchema, memberSchema } from '../registry/parties.ts';
import { changedSchema, commitSet, dryRunQuery, type SetDeps } from './commit-set.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { checkPrecondition, isConditional, toEntityTag } from './precondition.ts';
import { componentRef } from './route-schema.ts';

const grants = Type.Record(Type.String(), componentRef('Grant', grantSchema));

export const registryDocumentSchema = Type.Object(
  {
    settings: Type.Optional(componentRef('Settings', settingsSchema)),
    members: Type.Optional(Type.Record(Type.String(), componentRef('Member', memberSchema))),
    apps: Type.Optional(Type.Record(Type.String(), componentRef('App', appSchema))),
    groups: Type.Optional(Type.Record(Type.String(), componentRef('Group', groupSchema))),
    services: Type.Optional(Type.Record(Type.String(), componentRef('Service', serviceSchema))),
    grants: Type.Optional(Type.Record(Type.String(), grants, { description: 'by service and id' })),
    nodes: Type.Optional(Type.Record(Type.String(), componentRef('Node', nodeSchema))),
    nodeGroups: Type.Optional(Type.Record(Type.String(), componentRef('NodeGroup', nodeGroupSchema))),
  },
  {
    additionalProperties: false,
    description: 'everything that the registry holds, by name; what is not described is deleted',
  },
);

export interface ConfigDeps extends SetDeps {
  readonly follower: Pick<Follower, 'sync' | 'position'>;
}

export function configEndpoints(deps: ConfigDeps): readonly Endpoint[] {
  const { registry, follower } = deps;
  const document = componentRef('RegistryDocument', registryDocumentSchema);
  const headTag = (): string => toEntityTag(follower.position().digest);
  return [
    endpoint({
      operationId: 'getConfig',
      summary: 'The whole registry as one document; its ETag is the head of the journal',
      tag: 'config',
      scope: 'registry:read',
      method: 'GET',
      url: '/v1/config',
      answer: document,
      speaksYaml: true,
      tagged: true,
      heavy: true,
      handle: async () => ({
        body: toDocument(registry) as Static<typeof registryDocumentSchema>,
        etag: headTag(),
      }),
    }),
    endpoint({
      operationId: 'putConfig',
      summary: 'Make the registry what the document says, in one commit; what is not described is deleted',
      tag: 'config',
      scope: 'registry:write',
      method: 'PUT',
      url: '/v1/config',
      query: dryRunQuery,
      body: document,
      answer: changedSchema,
      speaksYaml: true,
      condition: 'needed',
      heavy: true,
      failures: ['registry_rejected'],
      handle: async (call) => {
        const precondition = call.precondition();
        const { created: _created, ...answer } = await commitSet(deps, call, () => {
          const isPlan = call.query.dryRun === 'true';
          if (!isPlan || isConditional(precondition)) checkPrecondition(precondition, headTag());
          return changesTo(call.body as RegistryDocument, registry);
        });
        return answer;
      },
      replay: (_call, { position }) => ({ body: { committed: true }, position }),
    }),
  ];
}
