/** Who decides about an operation: the route in the proxy (tier 1), a question to `authz` (tier 2), or both. */
import { Type } from 'typebox';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { ANY_OPERATION, nameSchema, type Service } from '../registry/model.ts';
import { subjectsOf } from '../registry/subjects.ts';
import type { RegistryView, ServiceStatus } from '../registry/view.ts';
import { type Endpoint, endpoint } from './endpoint.ts';

const tierParams = Type.Object({
  name: nameSchema,
  operation: Type.String({
    pattern: '^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?|\\*)$',
    description: 'id, or `*`: the one of a service that names none',
  }),
});

const tierSchema = Type.Object(
  {
    tiers: Type.Array(Type.Integer({ minimum: 1, maximum: 2 }), {
      description: '1: the route itself; 2: the route asks `authz`; none: nobody gets through',
    }),
    why: Type.Array(Type.String()),
    state: Type.Enum(['enabled', 'disabled', 'closed']),
    callers: Type.Optional(
      Type.Integer({ minimum: 0, description: 'in the route now: groups expanded, denied ones left out' }),
    ),
    nodes: Type.Array(Type.String(), { description: 'that have the route' }),
  },
  { additionalProperties: false },
);

export function tierEndpoint(deps: { readonly registry: RegistryView; readonly clock: Clock }): Endpoint {
  return endpoint({
    operationId: 'getOperationTier',
    summary: 'Who decides about an operation, and why',
    tag: 'services',
    scope: 'registry:read',
    method: 'GET',
    url: '/v1/services/:name/operations/:operation',
    params: tierParams,
    answer: tierSchema,
    failures: ['not_found'],
    handle: async ({ params: { name, operation } }) => {
      const { registry, clock } = deps;
      const service = registry.service(name)?.value;
      if (service === undefined) throw new Failure('not_found', 'there is no service of this name');
      const known = service.operations?.map(({ id }) => id) ?? [ANY_OPERATION];
      if (!known.includes(operation)) throw new Failure('not_found', 'the service has no such operation');
      const status = registry.serviceStatus(name);
      const tiers = status.state === 'closed' ? [] : TIERS[service.access];
      const callers = tiers.includes(1)
        ? subjectsOf(registry, name, clock.nowMs())(operation).size
        : undefined;
      return {
        body: {
          tiers: [...tiers],
          why: [...reasons(service, tiers, callers), ...stateReason(status)],
          state: status.state,
          ...(callers !== undefined && { callers }),
          nodes: [...registry.nodesOfService(name)],
        },
      };
    },
  });
}

const TIERS: Readonly<Record<Service['access'], readonly number[]>> = {
  grants: [1],
  policy: [2],
  'grants-and-policy': [1, 2],
};

function reasons(
  { access, policy = '' }: Service,
  tiers: readonly number[],
  callers: number | undefined,
): readonly string[] {
  return [
    ...(tiers.length > 0 ? [`access is "${access}"`] : []),
    ...(tiers.includes(1) ? [`the route names its ${callers} callers: nobody is asked about them`] : []),
    ...(tiers.includes(2) ? [`the route asks for the policy "${policy}"`] : []),
  ];
}

function stateReason(status: ServiceStatus): readonly string[] {
  switch (status.state) {
    case 'enabled':
      return [];
    case 'disabled':
      return ['the service is disabled: whoever may call gets 503 and the notice'];
    case 'closed':
      return [`${status.why}: the answer is 404`];
    default:
      return status satisfies never;
  }
}
