/**
 * How far a change has come on a node: pure, from what control knows of the node to one word about one entry.
 *
 * A node is at an entry when what was built for it from that entry or a later one is what it accepted last; an entry
 * that does not concern it is passed without sending anything.
 */
import type { Position } from '../core/position.ts';
import type { NodeStatus } from './node-status.ts';
import type { ResourceType } from './resource-types.ts';
import type { Snapshot } from './snapshot.ts';

/** What a node does not take. */
interface Refusal {
  readonly type: ResourceType;
  readonly version: string;
  /** as the node says it */
  readonly reason: string;
  /** RFC 3339 */
  readonly at: string;
}

export interface NodeProgress {
  readonly connected: boolean;
  /** all that the journal says up to here has been accepted; undefined: not known since this process runs */
  readonly applied?: Position;
  /** what the node is offered is what the journal says up to here */
  readonly offered?: Position;
  /** of what it is offered */
  readonly refusal?: Refusal;
  /** why what the journal says now cannot be built for it */
  readonly trouble?: string;
}

/**
 * - `applied`: it has accepted what the journal says at this entry or later, connected or not
 * - `refused`: it runs what it had before (NACK)
 * - `failed`: what it should have cannot be built; it runs what it had before
 * - `pending`: it has been told, or is about to be
 * - `disconnected`: it has no stream, and what it had is older
 * - `unknown`: this process has no control role
 */
export const NODE_ROLLOUT_STATES = [
  'applied',
  'refused',
  'failed',
  'pending',
  'disconnected',
  'unknown',
] as const;
export type NodeRolloutState = (typeof NODE_ROLLOUT_STATES)[number];

export function rolloutStateOf(progress: NodeProgress | undefined, seq: number): NodeRolloutState {
  if (progress === undefined) return 'unknown';
  const { applied, offered, connected, refusal, trouble } = progress;
  if (applied !== undefined && applied.seq >= seq) return 'applied';
  if (!connected) return 'disconnected';
  if (offered !== undefined && offered.seq >= seq) return refusal === undefined ? 'pending' : 'refused';
  return trouble === undefined ? 'pending' : 'failed';
}

/** One stream of a node. */
export interface NodeStream {
  /** what it accepted as a whole, last */
  readonly applied: Snapshot | undefined;
  readonly refused: readonly ResourceType[];
}

export interface NodeFacts {
  readonly streams: readonly NodeStream[];
  /** what the last stream had accepted when it ended, where there is none now */
  readonly leftWith: Snapshot | undefined;
  readonly offered: Snapshot | undefined;
  /** up to where a snapshot says what the journal says */
  readonly heldThrough: (snapshot: Snapshot) => Position;
  readonly trouble: string | undefined;
  readonly types: NodeStatus['types'];
}

/** With several streams (a hot restart) the node is where the slowest is. */
export function progressOf(facts: NodeFacts): NodeProgress {
  const { streams, leftWith, offered, heldThrough, trouble } = facts;
  const accepted = streams.length > 0 ? streams.map(({ applied }) => applied) : [leftWith];
  const places = accepted.map((snapshot) => snapshot && heldThrough(snapshot));
  const applied = places.reduce((a, b) => (a && b && (a.seq <= b.seq ? a : b)) || undefined);
  const refusal = refusalOf(facts);
  return {
    connected: streams.length > 0,
    ...(applied && { applied }),
    ...(offered && { offered: heldThrough(offered) }),
    ...(refusal && { refusal }),
    ...(trouble !== undefined && { trouble }),
  };
}

function refusalOf({ streams, types }: NodeFacts): Refusal | undefined {
  const [type] = streams.flatMap(({ refused }) => refused);
  const nack = type && types[type].lastNack;
  if (type === undefined || nack === undefined) return undefined;
  const { version, reason, at } = nack;
  return { type, version, reason, at };
}
