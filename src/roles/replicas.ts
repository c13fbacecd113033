/** How far this process has come, per role: what a roll-out shows of it. */
import { hostname } from 'node:os';
import type { ReplicaProgress } from '../admin/rollout-schema.ts';
import type { Config } from '../config/schema.ts';
import type { Follower } from '../journal/fold.ts';
import type { ActivePolicies } from '../policy/active.ts';
import type { PolicyView } from '../policy/state.ts';

interface ReplicaDeps {
  readonly follower: Pick<Follower, 'position' | 'trouble'>;
  readonly state: { readonly policies: { readonly view: Pick<PolicyView, 'releases'> } };
  readonly policies: Pick<ActivePolicies, 'releasedNames' | 'select' | 'trouble'>;
}

export function replicaProgress(roles: Config['roles'], deps: ReplicaDeps): readonly ReplicaProgress[] {
  const id = `${hostname()}:${process.pid}`;
  const folded: Place = { seq: deps.follower.position().seq, error: deps.follower.trouble() };
  return roles.map((role) => {
    const { seq, error = folded.error } = role === 'authz' ? policyProgress(deps) : folded;
    return { id, role, seq, ...(error !== undefined && { error }) };
  });
}

interface Place {
  readonly seq: number;
  readonly error: string | undefined;
}

/** An authorizer is where the first release is that it does not run yet. */
function policyProgress({ follower, state, policies }: ReplicaDeps): Place {
  const { view } = state.policies;
  let { seq } = follower.position();
  const troubles: string[] = [];
  for (const name of policies.releasedNames()) {
    const running = policies.select(name);
    const releases = view.releases(name);
    // one that is none of them was lost with a part of the journal that was adopted without it
    const runs = releases.findLastIndex(
      (release) => release.seq === running?.seq && release.revision === running.revision,
    );
    const next = releases[runs + 1];
    if (next === undefined) continue;
    seq = Math.min(seq, next.seq - 1);
    const trouble = policies.trouble(name);
    if (trouble !== undefined) troubles.push(`policy ${name}: ${trouble}`);
  }
  return { seq, error: troubles.length > 0 ? troubles.join('; ') : undefined };
}
