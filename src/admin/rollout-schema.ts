/** How far an entry of the journal has come, as the API shows it. */
import { type Static, Type } from 'typebox';
import type { Place } from '../xds/node-status.ts';
import type { Tier1Options } from '../xds/options.ts';
import { RESOURCE_TYPES } from '../xds/resource-types.ts';
import { isProven, NODE_ROLLOUT_STATES, type NodeProgress, rolloutStateOf } from '../xds/rollout.ts';
import type { Proof } from './agent-endpoints.ts';
import { positionSchema, positionText } from './position-text.ts';

const seq = (description: string) => Type.Integer({ minimum: 0, description });

/** A response may carry thousands, and a roll-out is told for each node. */
const MAX_NAMES = 16;

const replicaSchema = Type.Object(
  {
    id: Type.String({ description: 'of the process' }),
    role: Type.String(),
    seq: seq('it works with everything up to here'),
    error: Type.Optional(Type.String({ description: 'what keeps it from going on' })),
  },
  { additionalProperties: false },
);

const nodeRolloutSchema = Type.Object(
  {
    id: Type.String(),
    connected: Type.Boolean({ description: 'to any control process, now' }),
    state: Type.Enum([...NODE_ROLLOUT_STATES], {
      description:
        'applied: it has accepted what the journal says at this entry or later, also where nothing had to be sent; ' +
        'refused: it runs what it had before; failed: what it should have cannot be built; halted: it waits, since a node that had the change first has not ' +
        'accepted it; pending: it has been ' +
        'told, or is about to be; disconnected: what it had is older; unknown: no control process is heard',
    }),
    seq: Type.Optional(seq('it has accepted everything up to here')),
    nack: Type.Optional(
      Type.Object(
        {
          version: Type.String(),
          type: Type.Enum([...RESOURCE_TYPES]),
          names: Type.Array(Type.String(), {
            description: 'resources of the refused response, the first few',
          }),
          reason: Type.String({ description: 'as the node says it' }),
          at: Type.String({ format: 'date-time' }),
        },
        { additionalProperties: false, description: 'what it refuses of what it is offered now' },
      ),
    ),
    halt: Type.Optional(
      Type.Object(
        {
          node: Type.String({ description: 'which had the change first' }),
          reason: Type.String({ description: 'as that node says it, or that it did not answer' }),
        },
        { additionalProperties: false, description: 'why the change is withheld from this node' },
      ),
    ),
    error: Type.Optional(Type.String({ description: 'why what it should have now cannot be built' })),
    proven: Type.Boolean({
      description: 'its listener was seen to enforce what the journal says at this entry, or later',
    }),
    proof: Type.Optional(
      Type.Object(
        { position: positionSchema, at: Type.String({ format: 'date-time' }) },
        {
          additionalProperties: false,
          description: 'the position that its listener has answered last, as its agent told within a minute',
        },
      ),
    ),
  },
  { additionalProperties: false },
);

export const rolloutSchema = Type.Object(
  {
    seq: seq('the entry that was asked for'),
    head: seq('of the journal'),
    done: Type.Boolean({ description: 'every replica and every registered node is at this entry or later' }),
    proven: Type.Boolean({ description: 'every registered node was seen to enforce it' }),
    bounds: Type.Object(
      {
        streamSeconds: Type.Integer({
          description:
            'the revocation bound: a stream that was open before has ended by then (`tier1.maxStreamSeconds`)',
        }),
        offlineSeconds: Type.Integer({
          description:
            'how long a node that is cut off may go on with its last rules (`tier1.maxOfflineSeconds`)',
        }),
      },
      { additionalProperties: false, description: 'how long what was right before may still be enforced' },
    ),
    replicas: Type.Array(replicaSchema),
    nodes: Type.Array(nodeRolloutSchema),
  },
  { additionalProperties: false },
);

export type Rollout = Static<typeof rolloutSchema>;
/** Where one role of one process is. */
export type ReplicaProgress = Readonly<Static<typeof replicaSchema>>;

interface RolloutFacts {
  readonly seq: number;
  readonly head: number;
  readonly replicas: readonly ReplicaProgress[];
  /** how far the process is that answers */
  readonly folded: Place;
  readonly nodes: readonly NodeFacts[];
  readonly bounds: Tier1Options;
}

interface NodeFacts {
  readonly id: string;
  /** undefined: no control process is heard */
  readonly progress: NodeProgress | undefined;
  /** the last entry that concerns it */
  readonly concerned: Place | undefined;
  readonly proof: Proof | undefined;
}

export function toRollout({ seq, head, replicas, folded, nodes, bounds }: RolloutFacts): Rollout {
  const seen = nodes.map((node) => toNodeRollout(node, seq, folded));
  const done =
    replicas.every((replica) => replica.seq >= seq) && seen.every(({ state }) => state === 'applied');
  return {
    seq,
    head,
    done,
    proven: seen.every(({ proven }) => proven),
    bounds: { streamSeconds: bounds.maxStreamSeconds, offlineSeconds: bounds.maxOfflineSeconds },
    replicas: [...replicas],
    nodes: seen,
  };
}

function toNodeRollout(
  { id, progress, concerned, proof }: NodeFacts,
  seq: number,
  folded: Place,
): Rollout['nodes'][number] {
  const { connected = false, applied, refusal, trouble, halt } = progress ?? {};
  return {
    id,
    connected,
    state: rolloutStateOf(progress, seq),
    ...(applied && { seq: applied.seq }),
    ...(refusal && { nack: { ...refusal, names: refusal.names.slice(0, MAX_NAMES) } }),
    ...(halt && { halt }),
    ...(trouble !== undefined && { error: trouble }),
    proven: isProven(seq, { enforced: proof, concerned, folded }),
    ...(proof && { proof: { position: positionText(proof), at: proof.at } }),
  };
}

/** Where the roll-out of an entry is to be read. */
export function rolloutPath({ seq }: { readonly seq: number }): string {
  return `/v1/journal/${seq}/rollout`;
}
