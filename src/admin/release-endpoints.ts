/** Releases over REST: which revision of a policy is live, and which were. */
import { Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import type { RecordedRelease } from '../policy/state.ts';
import { nameSchema } from '../registry/model.ts';
import { commitOnce } from './changes.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { historyOf, historyQuerySchema, historySchema } from './paging.ts';
import type { PolicyDeps } from './policy-endpoints.ts';
import { newReleaseSchema, type ReleaseView, releaseSchema } from './policy-schemas.ts';
import { positionText } from './position-text.ts';
import { rolloutPath } from './rollout-schema.ts';
import { componentRef } from './route-schema.ts';

export function releaseEndpoints(deps: PolicyDeps): readonly Endpoint[] {
  const { policies } = deps;
  const release = componentRef('Release', releaseSchema);
  return [
    endpoint({
      operationId: 'createRelease',
      summary: 'Make a revision live; releasing an older one is the way back',
      tag: 'releases',
      scope: 'policy:release',
      method: 'POST',
      url: '/v1/releases',
      body: componentRef('NewRelease', newReleaseSchema),
      answer: release,
      failures: ['policy_rejected'],
      handle: async (call) => {
        const { policy, revision } = call.body;
        const { position, stored } = await commitOnce(deps, call, 'createRelease', (request) => [
          policies.release(policy, revision, request),
        ]);
        const at = stored?.at ?? policies.releases(policy).findLast(({ seq }) => seq === position.seq)?.at;
        if (at === undefined) throw new Failure('internal', 'the release was made, and cannot be read');
        return { body: toReleaseView({ policy, revision, at, ...position }), created: true, position };
      },
    }),
    endpoint({
      operationId: 'listReleases',
      summary: 'List releases',
      tag: 'releases',
      scope: 'policy:read',
      method: 'GET',
      url: '/v1/releases',
      query: Type.Object(
        { ...historyQuerySchema.properties, policy: Type.Optional(nameSchema) },
        { additionalProperties: false },
      ),
      answer: historySchema(release),
      handle: async ({ query }) => ({
        body: historyOf(policies.releases(query.policy), query, toReleaseView),
      }),
    }),
  ];
}

type ReleaseFacts = Pick<RecordedRelease, 'policy' | 'revision' | 'at' | 'epoch' | 'seq'>;

function toReleaseView({ policy, revision, at, ...place }: ReleaseFacts): ReleaseView {
  return { policy, revision, position: positionText(place), at, rollout: rolloutPath(place) };
}
