/** All grants, or those of a service, to an app or to a group. */
import { Type } from 'typebox';
import { grantSchema, nameSchema } from '../registry/model.ts';
import { type ObjectKey, splitKey } from '../registry/objects.ts';
import { appNameSchema, groupNameSchema } from '../registry/parties.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Cursors } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import type { Recorded } from './object-endpoints.ts';
import { pageOf, pageQuerySchema, pageSchema } from './paging.ts';
import { toEntityTag } from './precondition.ts';
import { componentRef } from './route-schema.ts';

const query = Type.Object(
  {
    ...pageQuerySchema.properties,
    service: Type.Optional(nameSchema),
    app: Type.Optional(
      Type.Unsafe<string>({
        ...appNameSchema,
        description: 'to this app, by whichever of its names or groups',
      }),
    ),
    group: Type.Optional(groupNameSchema),
  },
  { additionalProperties: false },
);

const item = Type.Object(
  {
    name: Type.String({ description: '`<service>/<id>`' }),
    etag: Type.String({ description: 'as in ETag' }),
    value: componentRef('Grant', grantSchema),
  },
  { additionalProperties: false },
);

export function grantList(deps: { readonly registry: RegistryView; readonly cursors: Cursors }): Endpoint {
  const { registry, cursors } = deps;
  return endpoint({
    operationId: 'findGrants',
    summary: 'List grants of all services; those that fit every given parameter',
    tag: 'grants',
    scope: 'registry:read',
    method: 'GET',
    url: '/v1/grants',
    query,
    answer: pageSchema(item),
    handle: async (call) => {
      const { service, app, group } = call.query;
      const filters = [
        ...(service === undefined ? [] : [[`service/${service}`]]),
        ...(group === undefined ? [] : [[`group/${group}`]]),
        ...(app === undefined ? [] : [keysOfApp(registry, app)]),
      ];
      return pageOf(call, cursors, find(registry, filters), ({ name, digest, value }) => ({
        name,
        etag: toEntityTag(digest),
        value,
      }));
    },
  });
}

function keysOfApp(registry: RegistryView, app: string): readonly string[] {
  const groups = registry.groupsOf(app).map((group) => `group/${group}`);
  return [`app/${app}`, `spiffe/${registry.spiffeOf(app)}`, ...groups];
}

/** @param filters  each is a list of things, one of which a grant must name */
function find(registry: RegistryView, filters: readonly (readonly ObjectKey[])[]) {
  const [first, ...rest] = filters.map(
    (keys) =>
      new Set(keys.flatMap((key) => registry.referents(key)).filter((key) => key.startsWith('grant/'))),
  );
  if (first === undefined) return registry.objects('grant').map(([name, record]) => ({ ...record, name }));
  return [...first]
    .filter((key) => rest.every((other) => other.has(key)))
    .flatMap((key): readonly Recorded<GrantValue>[] => {
      const [, name] = splitKey(key);
      const record = registry.object('grant', name);
      return record === undefined ? [] : [{ ...record, name }];
    });
}

type GrantValue = NonNullable<ReturnType<RegistryView['grant']>>['value'];
