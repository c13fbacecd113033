/** Many changes of the registry as one commit, or as what it would be. */
import { type Static, Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import { revokeCertificates } from '../identity/enrolment.ts';
import type { EnrolmentView } from '../identity/enrolment-state.ts';
import type { Draft } from '../journal/journal.ts';
import { MAX_COMMIT_ENTRIES } from '../journal/limits.ts';
import { type ChangePlan, planChanges } from '../registry/commit.ts';
import type { RegistryChange } from '../registry/objects.ts';
import type { RegistryView } from '../registry/view.ts';
import { type ChangeDeps, commitChange } from './changes.ts';
import type { Answer, Call } from './endpoint.ts';
import { toPointer } from './json-body.ts';
import { policiesOfChange, refuseUnknownPolicies } from './named-policies.ts';
import { diffSchema, toDiff } from './registry-diff.ts';

export interface SetDeps extends ChangeDeps {
  readonly registry: RegistryView;
  readonly enrolments: EnrolmentView;
  readonly isPolicy: (name: string) => boolean;
}

export const dryRunQuery = Type.Object(
  {
    dryRun: Type.Optional(
      Type.Enum(['true', 'false'], { description: '`true`: say what would change, and change nothing' }),
    ),
  },
  { additionalProperties: false },
);

export const changedSchema = Type.Object(
  {
    committed: Type.Boolean({ description: 'false: a dry run, or there was nothing to change' }),
    diff: Type.Optional(
      Type.Unsafe<Static<typeof diffSchema>>({
        ...diffSchema,
        description: 'left out where the call was made before, with the same Idempotency-Key',
      }),
    ),
  },
  { additionalProperties: false },
);
type Changed = Static<typeof changedSchema>;

/** A change, and where its value stands in the body. */
export interface PlacedChange {
  readonly change: RegistryChange;
  readonly path: readonly string[];
}

/**
 * @param changes  judged at the head, and again when somebody else was faster; throws what the caller must be told first
 * @throws Failure registry_rejected, not_found; whatever `changes` throws
 */
export async function commitSet(
  deps: SetDeps,
  call: Call<unknown, { readonly dryRun?: 'true' | 'false' }, unknown>,
  changes: () => readonly PlacedChange[],
): Promise<Answer<Changed>> {
  // "Nothing to do" may only be said of the head: this replica could be behind somebody else's change.
  await deps.follower.sync(call.signal);
  const plan = planAt(deps, changes());
  const diff = toDiff(deps.registry, plan, deps.clock.nowMs());
  if (call.query.dryRun === 'true' || plan.drafts.length === 0) return { body: { committed: false, diff } };
  const { position, result } = await commitChange(deps, call, () => {
    const latest = planAt(deps, changes());
    return { drafts: draftsOf(deps, latest), result: toDiff(deps.registry, latest, deps.clock.nowMs()) };
  });
  return { body: { committed: true, diff: result }, created: true, position };
}

function planAt({ registry, isPolicy }: SetDeps, changes: readonly PlacedChange[]): ChangePlan {
  const pointerOf = (index: number): string => toPointer(changes[index]?.path ?? []);
  const plan = planChanges(
    registry,
    changes.map(({ change }) => change),
    pointerOf,
  );
  refuseUnknownPolicies(
    isPolicy,
    plan.changes.flatMap(({ change, action }, index) =>
      action === 'none'
        ? []
        : policiesOfChange(change).map(([pointer, name]) => [pointerOf(index) + pointer, name] as const),
    ),
  );
  return plan;
}

/** Another node of the id of a deleted one must not find the certificates of this one valid. */
function draftsOf({ enrolments }: SetDeps, { changes, drafts }: ChangePlan): readonly [Draft, ...Draft[]] {
  const revocations = changes.flatMap(({ change: { kind, name, value } }) =>
    kind === 'node' && value === undefined && enrolments.isKnown(name) ? [revokeCertificates(name)] : [],
  );
  const [first, ...rest] = [...revocations, ...drafts];
  if (first === undefined) {
    throw new Failure('object_changed', 'somebody else has made the same changes in the meantime');
  }
  if (rest.length >= MAX_COMMIT_ENTRIES) {
    throw new Failure('registry_rejected', `one commit takes ${MAX_COMMIT_ENTRIES} entries`);
  }
  return [first, ...rest];
}
