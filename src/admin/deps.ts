/** What the admin API is built from; `app.ts` brings it together. */
import type { Follower, Writer } from '../journal/fold.ts';
import type { Journal } from '../journal/journal.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { AgentDeps } from './agent-endpoints.ts';
import type { EnrolmentDeps } from './enrolment-endpoints.ts';
import type { HttpDeps } from './http-app.ts';
import type { IssuerDeps } from './issuer-endpoints.ts';
import type { PolicyDeps } from './policy-endpoints.ts';
import type { RegistryDeps } from './registry-endpoints.ts';
import type { RolloutDeps } from './rollout-endpoint.ts';

export interface AdminDeps
  extends HttpDeps,
    Omit<RegistryDeps, 'isPolicy'>,
    PolicyDeps,
    IssuerDeps,
    EnrolmentDeps,
    Pick<AgentDeps, 'agentConfiguration' | 'proofs'> {
  readonly progress: RolloutDeps['progress'];
  readonly bounds: RolloutDeps['bounds'];
  readonly journal: Pick<Journal, 'find' | 'read' | 'head' | 'base'>;
  readonly follower: Pick<Follower, 'sync' | 'position'>;
  readonly writer: Writer;
  readonly random: RandomBytes;
}
