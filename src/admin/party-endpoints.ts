/** Members, apps, groups and groups of nodes over REST. */
import { Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import {
  deleteApp,
  deleteGroup,
  deleteMember,
  deleteNodeGroup,
  putApp,
  putGroup,
  putMember,
  putNodeGroup,
} from '../registry/commit.ts';
import { nameSchema, nodeGroupSchema } from '../registry/model.ts';
import { appSchema, codeSchema, groupSchema, memberOfApp, memberSchema } from '../registry/parties.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { type ObjectDeps, objectEndpoints } from './object-endpoints.ts';

const memberParams = Type.Object({ class: codeSchema, code: codeSchema });
const appParams = Type.Object({ class: codeSchema, member: codeSchema, app: codeSchema });
const groupParams = Type.Object({ name: nameSchema });

interface AppParams {
  readonly class: string;
  readonly member: string;
  readonly app: string;
}
const appName = (params: AppParams): string => `${params.class}/${params.member}/${params.app}`;

export function partyEndpoints(deps: ObjectDeps & { readonly registry: RegistryView }): readonly Endpoint[] {
  const { registry } = deps;
  const members = objectEndpoints(
    {
      noun: 'Member',
      tag: 'members',
      url: '/v1/members',
      params: memberParams,
      schema: memberSchema,
      port: {
        get: (params) => registry.member(`${params.class}/${params.code}`),
        list: () => registry.members(),
        put: (params, member) => putMember(registry, `${params.class}/${params.code}`, member),
        remove: (params) => deleteMember(registry, `${params.class}/${params.code}`),
      },
    },
    deps,
  );
  const apps = objectEndpoints(
    {
      noun: 'App',
      tag: 'apps',
      url: '/v1/apps',
      params: appParams,
      schema: appSchema,
      port: {
        get: (params) => registry.app(appName(params)),
        list: () => registry.apps(),
        put: (params, app) => putApp(registry, appName(params), app),
        remove: (params) => deleteApp(registry, appName(params)),
      },
    },
    deps,
  );
  const groups = objectEndpoints(
    {
      noun: 'Group',
      tag: 'groups',
      url: '/v1/groups',
      params: groupParams,
      schema: groupSchema,
      port: {
        get: ({ name }) => registry.group(name),
        list: () => registry.groups(),
        put: ({ name }, group) => putGroup(registry, name, group),
        remove: ({ name }) => deleteGroup(registry, name),
      },
    },
    deps,
  );
  const nodeGroups = objectEndpoints(
    {
      noun: 'NodeGroup',
      tag: 'node groups',
      url: '/v1/node-groups',
      params: groupParams,
      schema: nodeGroupSchema,
      port: {
        get: ({ name }) => registry.nodeGroup(name),
        list: () => registry.nodeGroups(),
        put: ({ name }, group) => putNodeGroup(registry, name, group),
        remove: ({ name }) => deleteNodeGroup(registry, name),
      },
    },
    deps,
  );
  return [...members, ...apps, ...groups, ...nodeGroups, appIdentity(registry)];
}

const identitySchema = Type.Object(
  {
    spiffe: Type.String({ description: 'in the one URI SAN of its certificate' }),
    counts: Type.Boolean({ description: 'whether it is registered, and its member too' }),
    why: Type.String(),
    groups: Type.Array(Type.String(), { description: 'that have it, directly or not' }),
  },
  { additionalProperties: false },
);

function appIdentity(registry: RegistryView): Endpoint {
  return endpoint({
    operationId: 'getAppIdentity',
    summary: 'The SPIFFE ID of an app, and whether grants to it count',
    tag: 'apps',
    scope: 'registry:read',
    method: 'GET',
    url: '/v1/apps/:class/:member/:app/identity',
    params: appParams,
    answer: identitySchema,
    failures: ['not_found'],
    handle: async ({ params }) => {
      const name = appName(params);
      const app = registry.app(name);
      if (app === undefined) throw new Failure('not_found', 'there is no such app');
      const member = registry.member(memberOfApp(name))?.value.state ?? 'gone';
      return {
        body: {
          spiffe: registry.spiffeOf(name),
          counts: registry.isInEffect(name),
          why: `the app is ${app.value.state}, its member is ${member}`,
          groups: [...registry.groupsOf(name)],
        },
      };
    },
  });
}
