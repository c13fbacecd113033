/** Releases over REST: which revision of a policy is live, and which were. */
import { Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { RecordedRelease } from '../policy/state.ts';
import { nameSchema } from '../registry/model.ts';
import { commitChange } from './changes.ts';
import { type Answer, type Endpoint, endpoint } from './endpoint.ts';
import { historyOf, pageQuerySchema, pageSchema } from './paging.ts';
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
        const { position } = await commitChange(deps, call, () => ({
          drafts: [policies.release(policy, revision)],
          result: undefined,
        }));
        const at = policies.releases(policy).findLast(({ seq }) => seq === position.seq)?.at;
        if (at === undefined) throw new Failure('internal', 'the release was made, and cannot be read');
        return releaseAnswer({ policy, revision, at, position });
      },
      replay: ({ body }, { position, at }) => releaseAnswer({ ...body, at, position }),
    }),
    endpoint({
      operationId: 'listReleases',
      summary: 'List releases',
      tag: 'releases',
      scope: 'policy:read',
      method: 'GET',
      url: '/v1/releases',
      query: Type.Object(
        { ...pageQuerySchema.properties, policy: Type.Optional(nameSchema) },
        { additionalProperties: false },
      ),
      answer: pageSchema(release),
      handle: async (call) =>
        historyOf(call, deps.cursors, policies.releases(call.query.policy), toReleaseView),
    }),
  ];
}

function releaseAnswer(
  release: Omit<ReleaseFacts, 'epoch' | 'seq'> & { readonly position: Position },
): Answer<ReleaseView> {
  const { position, ...facts } = release;
  return { body: toReleaseView({ ...facts, ...position }), created: true, position };
}

type ReleaseFacts = Pick<RecordedRelease, 'policy' | 'revision' | 'at' | 'epoch' | 'seq'>;

function toReleaseView({ policy, revision, at, ...place }: ReleaseFacts): ReleaseView {
  return { policy, revision, position: positionText(place), at, rollout: rolloutPath(place) };
}
