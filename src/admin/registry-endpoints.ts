/** Services, grants, nodes and settings: the registry over REST. */
import { Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { revokeCertificates } from '../identity/enrolment.ts';
import type { EnrolmentView } from '../identity/enrolment-state.ts';
import type { Follower } from '../journal/fold.ts';
import {
  deleteGrant,
  deleteNode,
  deleteService,
  putGrant,
  putNode,
  putService,
  putSettings,
} from '../registry/commit.ts';
import { grantSchema, nameSchema, nodeSchema, serviceSchema, settingsSchema } from '../registry/model.ts';
import type { RegistryView } from '../registry/state.ts';
import { ADS_PROTOCOLS, type AdsProtocol } from '../xds/bootstrap.ts';
import { type NodeStatus, UNKNOWN_NODE } from '../xds/node-status.ts';
import { configEndpoints } from './config-endpoints.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { grantList } from './grant-list.ts';
import { policiesOfService, policiesOfSettings, refuseUnknownPolicies } from './named-policies.ts';
import { nodeStatusSchema, toNodeStatusView } from './node-status.ts';
import { type ObjectDeps, objectEndpoints, putBefore, putObject } from './object-endpoints.ts';
import { partyEndpoints } from './party-endpoints.ts';
import { toEntityTag } from './precondition.ts';
import { registryChanges } from './registry-changes.ts';
import { componentRef } from './route-schema.ts';
import { tierEndpoint } from './tier-endpoint.ts';

export interface RegistryDeps extends ObjectDeps {
  readonly registry: RegistryView;
  readonly follower: Pick<Follower, 'sync' | 'position'>;
  readonly enrolments: EnrolmentView;
  /** whether a revision of it was ever published */
  readonly isPolicy: (name: string) => boolean;
  /** what an Envoy that is this node is started with */
  readonly bootstrapOf: (id: string, protocol?: AdsProtocol) => JsonObject;
  /** undefined: this process knows nothing of it */
  readonly nodeStatus: (id: string) => NodeStatus | undefined;
}

const serviceParams = Type.Object({ name: nameSchema });
const grantParams = Type.Object({ service: nameSchema, id: nameSchema });
const nodeParams = Type.Object({ id: nameSchema });
const bootstrapQuery = Type.Object(
  {
    protocol: Type.Optional(
      Type.Enum([...ADS_PROTOCOLS], {
        default: 'delta',
        description: 'The variant of xDS that the Envoy speaks: incremental, or state of the world',
      }),
    ),
  },
  { additionalProperties: false },
);

export function registryEndpoints(deps: RegistryDeps): readonly Endpoint[] {
  const { registry } = deps;
  const services = objectEndpoints(
    {
      noun: 'Service',
      tag: 'services',
      url: '/v1/services',
      params: serviceParams,
      schema: serviceSchema,
      port: {
        get: ({ name }) => registry.service(name),
        list: () => registry.services(),
        put: ({ name }, service) => {
          refuseUnknownPolicies(deps.isPolicy, policiesOfService(service));
          return putService(registry, name, service);
        },
        remove: ({ name }) => deleteService(registry, name),
      },
    },
    deps,
  );
  const grants = objectEndpoints(
    {
      noun: 'Grant',
      tag: 'grants',
      url: '/v1/services/:service/grants',
      params: grantParams,
      schema: grantSchema,
      port: {
        get: ({ service, id }) => registry.grant(service, id),
        list: ({ service = '' }) => {
          if (registry.service(service) === undefined)
            throw new Failure('not_found', 'there is no such service');
          return registry.grantsOf(service);
        },
        put: ({ service, id }, grant) => putGrant(registry, service, id, grant),
        remove: ({ service, id }) => deleteGrant(registry, service, id),
      },
    },
    deps,
  );
  const nodes = objectEndpoints(
    {
      noun: 'Node',
      tag: 'nodes',
      url: '/v1/nodes',
      params: nodeParams,
      schema: nodeSchema,
      port: {
        get: ({ id }) => registry.node(id),
        list: () => registry.nodes(),
        put: ({ id }, node) => putNode(registry, id, node),
        remove: ({ id }) => {
          const draft = deleteNode(registry, id);
          // another node of this id must not find the certificates of this one valid
          return deps.enrolments.isKnown(id) ? [revokeCertificates(id), draft] : draft;
        },
      },
    },
    deps,
  );
  return [
    ...partyEndpoints(deps),
    ...services,
    tierEndpoint(deps),
    ...grants,
    grantList(deps),
    ...nodes,
    ...nodeViews(deps),
    ...settingsEndpoints(deps),
    registryChanges(deps),
    ...configEndpoints(deps),
  ];
}

function nodeViews({ registry, bootstrapOf, nodeStatus }: RegistryDeps): readonly Endpoint[] {
  const expectNode = (id: string): void => {
    if (registry.node(id) === undefined) throw new Failure('not_found', 'there is no node of this id');
  };
  return [
    endpoint({
      operationId: 'getNodeBootstrap',
      summary: 'The bootstrap that the Envoy of a node, or a proxyless node, is started with',
      tag: 'nodes',
      scope: 'registry:read',
      method: 'GET',
      url: '/v1/nodes/:id/bootstrap',
      params: nodeParams,
      query: bootstrapQuery,
      answer: Type.Unsafe<JsonObject>({
        type: 'object',
        description:
          'envoy.config.bootstrap.v3.Bootstrap; of a proxyless node the file of GRPC_XDS_BOOTSTRAP',
      }),
      failures: ['not_found'],
      handle: async ({ params: { id }, query: { protocol } }) => {
        expectNode(id);
        return { body: bootstrapOf(id, protocol) };
      },
    }),
    endpoint({
      operationId: 'getNodeStatus',
      summary:
        'What the Envoy of a node has accepted and refused; versions are told by its own control process only',
      tag: 'nodes',
      scope: 'registry:read',
      method: 'GET',
      url: '/v1/nodes/:id/status',
      params: nodeParams,
      answer: componentRef('NodeStatus', nodeStatusSchema),
      failures: ['not_found'],
      handle: async ({ params: { id } }) => {
        expectNode(id);
        return { body: toNodeStatusView(nodeStatus(id) ?? UNKNOWN_NODE) };
      },
    }),
  ];
}

function settingsEndpoints(deps: RegistryDeps): readonly Endpoint[] {
  const value = componentRef('Settings', settingsSchema);
  return [
    endpoint({
      operationId: 'getSettings',
      summary: 'Read the settings; there are none until they are put',
      tag: 'settings',
      scope: 'registry:read',
      method: 'GET',
      url: '/v1/settings',
      answer: value,
      tagged: true,
      failures: ['not_found'],
      handle: async () => {
        const settings = deps.registry.settings();
        if (settings === undefined) throw new Failure('not_found', 'no settings have been put yet');
        return { body: settings.value, etag: toEntityTag(settings.digest) };
      },
    }),
    endpoint({
      operationId: 'putSettings',
      summary: 'Create or replace the settings',
      tag: 'settings',
      scope: 'registry:write',
      method: 'PUT',
      url: '/v1/settings',
      body: value,
      answer: value,
      tagged: true,
      condition: 'needed',
      failures: ['registry_rejected'],
      handle: (call) =>
        putObject(deps, call, {
          current: () => deps.registry.settings(),
          draft: () => {
            refuseUnknownPolicies(deps.isPolicy, policiesOfSettings(call.body));
            return putSettings(deps.registry, call.body);
          },
        }),
      replay: putBefore,
    }),
  ];
}
