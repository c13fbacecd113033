/** Roll-out over REST: how far an entry of the journal has come, now or as it goes on. */
import { Type } from 'typebox';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Follower } from '../journal/fold.ts';
import type { Journal } from '../journal/journal.ts';
import type { RegistryView } from '../registry/state.ts';
import type { Tier1Options } from '../xds/options.ts';
import type { NodeProgress } from '../xds/rollout.ts';
import type { ProofStore } from './agent-endpoints.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { watchAsEvents } from './event-stream.ts';
import { type ReplicaProgress, type Rollout, rolloutSchema, toRollout } from './rollout-schema.ts';
import { componentRef } from './route-schema.ts';
import type { TokenState } from './token-state.ts';
import { isUsable } from './tokens.ts';

export interface RolloutDeps {
  readonly journal: Pick<Journal, 'head'>;
  readonly registry: Pick<RegistryView, 'nodes' | 'lastChangeOf'>;
  readonly follower: Pick<Follower, 'position'>;
  readonly progress: RolloutProgress;
  readonly proofs: Pick<ProofStore, 'of'>;
  readonly bounds: Tier1Options;
  readonly tokens: Pick<TokenState, 'get'>;
  readonly clock: Clock;
}

/** What is known here of how far changes have come, in all processes. */
export interface RolloutProgress {
  /** one per role of a process */
  replicas(): readonly ReplicaProgress[];
  /** undefined: no control process is heard */
  node(id: string): NodeProgress | undefined;
}

/** Who waits at once; one more is refused. */
const MAX_WATCHERS = 32;

export function rolloutEndpoints({
  journal,
  registry,
  follower,
  progress,
  proofs,
  bounds,
  tokens,
  clock,
}: RolloutDeps): readonly Endpoint[] {
  let watchers = 0;

  /** @throws Failure not_found  when there is no such entry, or none yet */
  const lookerAt = async (seq: number): Promise<() => Rollout> => {
    const head = await journal.head();
    if (seq > head.seq) throw new Failure('not_found', 'there is no such entry in the journal');
    return () => {
      const replicas = progress.replicas();
      return toRollout({
        seq,
        head: Math.max(head.seq, ...replicas.map((replica) => replica.seq)),
        replicas,
        folded: follower.position(),
        nodes: registry.nodes().map(({ name }) => ({
          id: name,
          progress: progress.node(name),
          concerned: registry.lastChangeOf(name),
          proof: proofs.of(name),
        })),
        bounds,
      });
    };
  };

  /** @returns what gives the place back; a stream that nobody began to read is told by the signal only */
  const takePlace = (signal: AbortSignal): (() => void) => {
    if (watchers >= MAX_WATCHERS) throw new Failure('overloaded', 'too many calls wait for roll-outs');
    watchers += 1;
    const leave = (): void => {
      signal.removeEventListener('abort', leave);
      watchers -= 1;
    };
    signal.addEventListener('abort', leave);
    return leave;
  };

  return [
    endpoint({
      operationId: 'getRollout',
      summary:
        'How far an entry has come: each replica, each node. As text/event-stream: each change until it is done',
      tag: 'journal',
      scope: 'registry:read',
      method: 'GET',
      url: '/v1/journal/:seq/rollout',
      params: Type.Object({ seq: Type.String({ pattern: '^[1-9][0-9]{0,14}$' }) }),
      answer: componentRef('Rollout', rolloutSchema),
      failures: ['not_found', 'overloaded'],
      handle: async ({ params }) => ({ body: (await lookerAt(Number(params.seq)))() }),
      events: async ({ params, signal, caller }) => {
        const leave = takePlace(signal);
        try {
          const look = await lookerAt(Number(params.seq));
          // The caller was let in once, and stays: a token that is revoked meanwhile ends the stream.
          const mayLook = (): boolean => isUsable(tokens.get(caller.id), clock);
          return watchAsEvents({ event: 'rollout', look, isDone: ({ done }) => done, mayLook, signal });
        } catch (thrown) {
          leave();
          throw thrown;
        }
      },
    }),
  ];
}
