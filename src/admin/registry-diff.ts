/** What a set of changes means, for people: which objects, which routes, which nodes. */
import { type Static, Type } from 'typebox';
import type { ChangePlan } from '../registry/commit.ts';
import { OBJECT_KINDS } from '../registry/objects.ts';
import type { RegistryView } from '../registry/view.ts';
import { diffRoutes } from '../xds/route-diff.ts';

/** Of each list; whoever changes more has enough to read. */
const MAX_LISTED = 1_000;

export const diffSchema = Type.Object(
  {
    changes: Type.Array(
      Type.Object(
        {
          kind: Type.Enum([...OBJECT_KINDS]),
          name: Type.String(),
          action: Type.Enum(['create', 'replace', 'delete']),
        },
        { additionalProperties: false },
      ),
    ),
    routes: Type.Array(
      Type.Object(
        {
          route: Type.String({ description: '`<service>/<operation>`' }),
          change: Type.Enum(['added', 'changed', 'removed']),
        },
        { additionalProperties: false },
      ),
    ),
    nodes: Type.Array(Type.String(), { description: 'that have to run something else' }),
    truncated: Type.Optional(Type.Literal(true, { description: `a list was cut after ${MAX_LISTED}` })),
  },
  { additionalProperties: false },
);

export function toDiff(before: RegistryView, plan: ChangePlan, asOfMs: number): Static<typeof diffSchema> {
  const real = plan.changes.filter(({ action }) => action !== 'none');
  const { routes, nodes } = diffRoutes(
    before,
    plan.after,
    real.map(({ change }) => change),
    asOfMs,
  );
  const changes = real.flatMap(({ change: { kind, name }, action }) =>
    action === 'none' ? [] : [{ kind, name, action }],
  );
  return {
    changes: changes.slice(0, MAX_LISTED),
    routes: routes.slice(0, MAX_LISTED).map((each) => ({ ...each })),
    nodes: nodes.slice(0, MAX_LISTED),
    ...([changes, routes, nodes].some(({ length }) => length > MAX_LISTED) && { truncated: true as const }),
  };
}
