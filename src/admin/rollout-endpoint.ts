/** Roll-out over REST: how far an entry of the journal has come, now or as it goes on. */
import { Type } from 'typebox';
import { Failure } from '../core/failure.ts';
import type { Journal } from '../journal/journal.ts';
import type { RegistryView } from '../registry/state.ts';
import type { NodeProgress } from '../xds/rollout.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { watchAsEvents } from './event-stream.ts';
import { type ReplicaProgress, type Rollout, rolloutSchema, toRollout } from './rollout-schema.ts';
import { componentRef } from './route-schema.ts';

export interface RolloutDeps {
  readonly journal: Pick<Journal, 'head'>;
  readonly registry: Pick<RegistryView, 'nodes'>;
  readonly progress: RolloutProgress;
}

/** What this process knows of how far changes have come. */
export interface RolloutProgress {
  /** one per role of a process */
  replicas(): readonly ReplicaProgress[];
  /** undefined: this process has no control role, or does not know the node */
  node(id: string): NodeProgress | undefined;
}

/** Who waits at once; one more is refused. */
const MAX_WATCHERS = 32;

export function rolloutEndpoints({ journal, registry, progress }: RolloutDeps): readonly Endpoint[] {
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
        nodes: registry.nodes().map(({ name }) => [name, progress.node(name)] as const),
      });
    };
  };

  async function* watch(look: () => Rollout, signal: AbortSignal): AsyncGenerator<string> {
    watchers += 1;
    try {
      yield* watchAsEvents({ event: 'rollout', look, isDone: ({ done }) => done, signal });
    } finally {
      watchers -= 1;
    }
  }

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
      events: async ({ params, signal }) => {
        const look = await lookerAt(Number(params.seq));
        if (watchers >= MAX_WATCHERS) throw new Failure('overloaded', 'too many calls wait for roll-outs');
        return watch(look, signal);
      },
    }),
  ];
}
