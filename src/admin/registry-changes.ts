/** `POST /v1/registry/changes`: what belongs together is changed together, or not at all. */
import { type Static, Type } from 'typebox';
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { MAX_CHANGES } from '../registry/commit.ts';
import { OBJECT_KINDS, type RegistryChange } from '../registry/objects.ts';
import type { RegistryView } from '../registry/view.ts';
import { changedSchema, commitSet, dryRunQuery, type PlacedChange, type SetDeps } from './commit-set.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { checkPrecondition, ENTITY_TAGS, parsePrecondition, toEntityTag } from './precondition.ts';
import { componentRef } from './route-schema.ts';

const changeSchema = Type.Object(
  {
    action: Type.Enum(['put', 'delete']),
    kind: Type.Enum([...OBJECT_KINDS]),
    name: Type.String({
      minLength: 1,
      maxLength: 200,
      description:
        'as in the URL of the object: `<class>/<code>` of a member, `<class>/<member>/<app>` of an app, `<service>/<id>` of a grant; `settings`',
    }),
    value: Type.Optional(
      Type.Unsafe<JsonObject>({
        type: 'object',
        description: 'with put: the whole object, as the component of its kind says',
      }),
    ),
    ifMatch: Type.Optional(
      Type.String({
        pattern: ENTITY_TAGS,
        description: 'ETag of the object; the whole set is refused when it has changed since',
      }),
    ),
  },
  { additionalProperties: false },
);

export const registryChangesSchema = Type.Object(
  { changes: Type.Array(changeSchema, { minItems: 1, maxItems: MAX_CHANGES }) },
  { additionalProperties: false },
);

type Wanted = Static<typeof changeSchema>;

export function registryChanges(deps: SetDeps): Endpoint {
  return endpoint({
    operationId: 'changeRegistry',
    summary: 'Put and delete many objects as one commit, judged in the state after all of them',
    tag: 'registry',
    scope: 'registry:write',
    method: 'POST',
    url: '/v1/registry/changes',
    query: dryRunQuery,
    body: componentRef('RegistryChanges', registryChangesSchema),
    answer: changedSchema,
    dryRun: true,
    heavy: true,
    failures: ['registry_rejected', 'not_found', 'object_changed'],
    handle: (call) =>
      commitSet(deps, call, () => {
        refuseIfChanged(deps.registry, call.body.changes);
        return call.body.changes.map(toChange);
      }),
    replay: (_call, { position }) => ({ body: { committed: true }, created: true, position }),
  });
}

function toChange({ action, kind, name, value }: Wanted, index: number): PlacedChange {
  const path = ['changes', String(index), 'value'];
  const pointer = `/${path.join('/')}`;
  if ((action === 'put') !== (value !== undefined)) {
    throw refuse(pointer, action === 'put' ? 'is required with put' : 'is not possible with delete');
  }
  if (kind === 'settings' && (name !== 'settings' || action === 'delete')) {
    throw refuse(`/changes/${index}`, 'settings can only be put, and are named "settings"');
  }
  // its form is checked with the others, so that everything that is wrong is told at once
  return { change: { kind, name, value } as unknown as RegistryChange, path };
}

/** @throws Failure object_changed */
function refuseIfChanged(registry: RegistryView, changes: readonly Wanted[]): void {
  const issues = changes.flatMap(({ kind, name, ifMatch }, index): readonly FailureIssue[] => {
    if (ifMatch === undefined) return [];
    const current = registry.object(kind, name);
    try {
      const precondition = parsePrecondition({ ifMatch, ifNoneMatch: undefined });
      checkPrecondition(precondition, current && toEntityTag(current.digest));
      return [];
    } catch (thrown) {
      const { code, detail } = Failure.from(thrown);
      return [{ pointer: `/changes/${index}/ifMatch`, code, message: detail }];
    }
  });
  if (issues.length > 0) throw new Failure('object_changed', 'an object has changed since', { issues });
}

function refuse(pointer: string, message: string): Failure {
  return new Failure('registry_rejected', `${pointer} ${message}`, { issues: [{ pointer, message }] });
}
