/**
 * Policies over REST: publish a revision, and read what was published. Publishing compiles and tests, which
 * takes time: it happens before the change is prepared, and the change only records it.
 */
import { Type } from 'typebox';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { PolicyAdministration } from '../policy/administration.ts';
import type { RevisionBody } from '../policy/bodies.ts';
import type { PolicySource } from '../policy/source.ts';
import { policySourceSchema } from '../policy/source.ts';
import type { RecordedRevision } from '../policy/state.ts';
import { nameSchema } from '../registry/model.ts';
import { type ChangeDeps, commitChange } from './changes.ts';
import type { Cursors } from './cursor.ts';
import { type Answer, type Call, type Endpoint, endpoint } from './endpoint.ts';
import { historyOf, pageOf, pageQuerySchema, pageSchema } from './paging.ts';
import { policySchema, policySummarySchema, revisionSchema } from './policy-schemas.ts';
import { positionText } from './position-text.ts';
import { checkPrecondition, toEntityTag } from './precondition.ts';
import { componentRef } from './route-schema.ts';

export interface PolicyDeps extends ChangeDeps {
  readonly policies: PolicyAdministration;
  readonly cursors: Cursors;
}

const tag = 'policies';
const policyParams = Type.Object({ name: nameSchema });
const revisionParams = Type.Object({ name: nameSchema, revision: revisionSchema.properties.revision });

export function policyEndpoints(deps: PolicyDeps): readonly Endpoint[] {
  return [...policyObject(deps), ...revisionReads(deps), ...bundleReads(deps)];
}

function policyObject(deps: PolicyDeps): readonly Endpoint[] {
  const { policies } = deps;
  const summary = componentRef('PolicySummary', policySummarySchema);
  return [
    endpoint({
      operationId: 'listPolicies',
      summary: 'List policies with their latest and their released revision',
      tag,
      scope: 'policy:read',
      method: 'GET',
      url: '/v1/policies',
      query: pageQuerySchema,
      answer: pageSchema(summary),
      handle: async (call) => {
        const named = policies.names().map((name) => ({ name }));
        return pageOf(call, deps.cursors, named, ({ name }) =>
          summaryOf(policies, name, latestOf(policies, name)),
        );
      },
    }),
    endpoint({
      operationId: 'getPolicy',
      summary: 'Read the latest revision of a policy',
      tag,
      scope: 'policy:read',
      method: 'GET',
      url: '/v1/policies/:name',
      params: policyParams,
      answer: componentRef('Policy', policySchema),
      tagged: true,
      failures: ['not_found'],
      handle: async ({ params: { name } }) => {
        const latest = latestOf(policies, name);
        return { body: await contentOf(policies, name, latest), etag: toEntityTag(latest.digest) };
      },
    }),
    endpoint({
      operationId: 'putPolicy',
      summary: 'Publish a revision of a policy; a release makes it live',
      tag,
      scope: 'policy:write',
      method: 'PUT',
      url: '/v1/policies/:name',
      params: policyParams,
      body: componentRef('PolicySource', policySourceSchema),
      answer: summary,
      tagged: true,
      condition: 'needed',
      takesBundles: true,
      heavy: true,
      failures: ['policy_rejected'],
      handle: (call) => publish(deps, call),
      replay: ({ params: { name } }, { position }) => publishedAnswer(policies, name, position),
    }),
  ];
}

/** Publishing what is the latest revision already is no change: no entry, the same entity tag. */
async function publish(
  deps: PolicyDeps,
  call: Call<{ readonly name: string }, unknown, PolicySource>,
): Promise<Answer<ReturnType<typeof summaryOf>>> {
  const { policies } = deps;
  const { name } = call.params;
  const precondition = call.precondition();
  const check = (): RecordedRevision | undefined => {
    const latest = policies.revisions(name).at(-1);
    checkPrecondition(precondition, latest && toEntityTag(latest.digest));
    return latest;
  };
  await deps.follower.sync(call.signal);
  check(); // before the work, and again in the change: the work takes seconds
  const { draft } = await policies.publish(name, call.body, call.signal);
  await deps.follower.sync(call.signal);
  const latest = check();
  if (latest !== undefined && isSame(latest.body, draft.body)) {
    return { body: summaryOf(policies, name, latest), etag: toEntityTag(latest.digest) };
  }
  const { position } = await commitChange(deps, call, () => {
    check();
    return { result: undefined, drafts: [draft] };
  });
  return publishedAnswer(policies, name, position);
}

function publishedAnswer(
  policies: PolicyAdministration,
  name: string,
  position: Position,
): Answer<ReturnType<typeof summaryOf>> {
  const revisions = policies.revisions(name);
  const published = revisions.findLast(({ digest }) => digest === position.digest);
  if (published === undefined)
    throw new Failure('internal', 'the revision was published, and cannot be read');
  return {
    body: summaryOf(policies, name, published),
    created: published === revisions[0],
    etag: toEntityTag(position.digest),
    position,
  };
}

function revisionReads({ policies, cursors }: PolicyDeps): readonly Endpoint[] {
  return [
    endpoint({
      operationId: 'listRevisions',
      summary: 'List the revisions of a policy',
      tag,
      scope: 'policy:read',
      method: 'GET',
      url: '/v1/policies/:name/revisions',
      params: policyParams,
      query: pageQuerySchema,
      answer: pageSchema(componentRef('Revision', revisionSchema)),
      failures: ['not_found'],
      handle: async (call) => {
        const { name } = call.params;
        latestOf(policies, name);
        const toItem = ({ revision, at, ...place }: RecordedRevision) => ({
          revision,
          position: positionText(place),
          at,
        });
        return historyOf(call, cursors, policies.revisions(name), toItem);
      },
    }),
    endpoint({
      operationId: 'getRevision',
      summary: 'Read one revision of a policy, which never changes',
      tag,
      scope: 'policy:read',
      method: 'GET',
      url: '/v1/policies/:name/revisions/:revision',
      params: revisionParams,
      answer: componentRef('Policy', policySchema),
      tagged: true,
      failures: ['not_found'],
      handle: async ({ params: { name, revision } }) => {
        const found = revisionOf(policies, name, revision);
        return { body: await contentOf(policies, name, found), etag: toEntityTag(found.digest) };
      },
    }),
  ];
}

/** For OPAs: `bundles/{name}` is what OPA asks a service for. */
function bundleReads({ policies }: PolicyDeps): readonly Endpoint[] {
  const bundleAnswer = async (revision: Digest): Promise<Answer<Uint8Array>> => {
    const bytes = await policies.bundle(revision);
    return { body: bytes, etag: toEntityTag(sha256(bytes)) };
  };
  const form = {
    tag,
    scope: 'policy:read',
    method: 'GET',
    answer: Type.Unsafe<Uint8Array>({ description: 'a .tar.gz; the same bytes for the same revision' }),
    answerMediaType: 'application/gzip',
    tagged: true,
    failures: ['not_found'],
  } as const;
  return [
    endpoint({
      ...form,
      operationId: 'getRevisionBundle',
      summary: 'One revision of a policy as an OPA bundle, which can be published again as it is',
      url: '/v1/policies/:name/revisions/:revision/bundle',
      params: revisionParams,
      handle: async ({ params: { name, revision } }) =>
        bundleAnswer(revisionOf(policies, name, revision).revision),
    }),
    endpoint({
      ...form,
      operationId: 'getBundle',
      summary: 'The live revision of a policy as an OPA bundle, for OPAs that poll',
      url: '/v1/bundles/:name',
      params: policyParams,
      handle: async ({ params: { name } }) => {
        const release = policies.released(name);
        if (release === undefined) throw new Failure('not_found', 'no revision of such a policy is live');
        return bundleAnswer(release.revision);
      },
    }),
  ];
}

function revisionOf(policies: PolicyAdministration, name: string, revision: string): RecordedRevision {
  const found = policies.revisions(name).findLast((candidate) => candidate.revision === revision);
  if (found === undefined) throw new Failure('not_found', 'this policy has no such revision');
  return found;
}

function latestOf(policies: PolicyAdministration, name: string): RecordedRevision {
  const latest = policies.revisions(name).at(-1);
  if (latest === undefined) throw new Failure('not_found', 'there is no policy of this name');
  return latest;
}

function summaryOf(policies: PolicyAdministration, name: string, { revision, at, body }: RecordedRevision) {
  const released = policies.released(name)?.revision;
  const { smokeUnits = [] } = body;
  return {
    name,
    revision,
    at,
    ...(released !== undefined && { released }),
    ...(smokeUnits.length > 0 && { smokeUnits }),
  };
}

async function contentOf(policies: PolicyAdministration, name: string, { revision, at }: RecordedRevision) {
  return { ...(await policies.source(revision)), name, revision, at };
}

/** The same source compiled by another toolchain is another artefact, which is worth an entry. */
function isSame({ request: _request, ...a }: RevisionBody, b: object): boolean {
  return toCanonicalJson(a) === toCanonicalJson(b);
}
