/**
 * How far a change has come on a node: pure, from what control knows of the node to one word about one entry.
 *
 * A node is at an entry when what was built for it from that entry or a later one is what it accepted last; an entry
 * that does not concern it is passed without sending anything.
 */
import type { Position } from '../core/position.ts';
import { type NodeStatus, type Place, UNKNOWN_NODE } from './node-status.ts';
import type { Refusals } from './refusals.ts';
import type { ResourceType } from './resource-types.ts';
import type { Snapshot } from './snapshot.ts';
import type { Halt } from './staging.ts';

/** What a node does not take. */
export interface Refusal {
  readonly type: ResourceType;
  /** of all resources of the type, as they were sent */
  readonly version: string;
  /** of the resources that the refused response carried */
  readonly names: readonly string[];
  /** as the node says it */
  readonly reason: string;
  /** RFC 3339 */
  readonly at: string;
}

export interface NodeProgress {
  readonly connected: boolean;
  /** all that the journal says up to here has been accepted; undefined: not known since the process runs */
  readonly applied?: Place;
  /** what the node is offered is what the journal says up to here */
  readonly offered?: Place;
  /** of what it is offered */
  readonly refusal?: Refusal;
  /** why what the journal says now cannot be built for it */
  readonly trouble?: string;
  /** why what the journal says now is withheld from it: another node, and what that one said */
  readonly halt?: Halt;
  /** when its last stream ended, epoch ms; undefined: it has one, or never had one here */
  readonly leftAtMs?: number;
}

/**
 * - `applied`: it has accepted what the journal says at this entry or later, connected or not
 * - `refused`: it runs what it had before (NACK)
 * - `failed`: what it should have cannot be built; it runs what it had before
 * - `halted`: it waits, since a node that had the change first has refused it or has not answered
 * - `pending`: it has been told, or is about to be
 * - `disconnected`: it has no stream, and what it had is older
 * - `unknown`: no control process can be heard
 */
export const NODE_ROLLOUT_STATES = [
  'applied',
  'refused',
  'failed',
  'halted',
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
  if (progress.halt !== undefined) return 'halted';
  return trouble === undefined ? 'pending' : 'failed';
}

interface ProofFacts {
  /** what it was seen to enforce */
  readonly enforced: Place | undefined;
  /** the last entry that concerns it, as the journal says up to `folded` */
  readonly concerned: Place | undefined;
  readonly folded: Place;
}

/**
 * Whether a node was seen to enforce what the journal says at `seq`. It answers the position of the last change that
 * concerns it, which may be older: then nothing between the two may concern it. A position of another epoch may be of
 * entries that were lost, so it counts only where the journal still names the same one.
 */
export function isProven(seq: number, { enforced, concerned, folded }: ProofFacts): boolean {
  if (enforced === undefined) return false;
  if (enforced.epoch === folded.epoch && enforced.seq >= seq) return true;
  return (
    concerned !== undefined &&
    folded.seq >= seq &&
    concerned.epoch === enforced.epoch &&
    concerned.seq === enforced.seq
  );
}

/** One stream of a node. */
export interface NodeStream {
  /** what it accepted as a whole, last */
  readonly applied: Snapshot | undefined;
  readonly refused: readonly ResourceType[];
}

export interface LeftStream {
  /** what it had accepted as a whole */
  readonly applied: Snapshot | undefined;
  /** epoch ms */
  readonly atMs: number;
}

export interface NodeFacts {
  readonly streams: readonly NodeStream[];
  /** its last stream, where there is none now */
  readonly left: LeftStream | undefined;
  readonly offered: Snapshot | undefined;
  /** what it has refused, on streams that have ended too */
  readonly remembered: Pick<Refusals, 'typesOf'> | undefined;
  /** up to where a snapshot says what the journal says */
  readonly heldThrough: (snapshot: Snapshot) => Position;
  readonly trouble: string | undefined;
  readonly halt?: Halt | undefined;
  readonly types: NodeStatus['types'];
}

/** With several streams (a hot restart) the node is where the slowest is. */
export function progressOf(facts: NodeFacts): NodeProgress {
  const { streams, left, offered, heldThrough, trouble, halt } = facts;
  const accepted = streams.length > 0 ? streams.map(({ applied }) => applied) : [left?.applied];
  const applied = slowest(accepted.map((snapshot) => snapshot && heldThrough(snapshot)));
  const refusal = refusalOf(facts);
  return {
    connected: streams.length > 0,
    ...(applied && { applied }),
    ...(offered && { offered: heldThrough(offered) }),
    ...(refusal && { refusal }),
    ...(trouble !== undefined && { trouble }),
    ...(halt && { halt }),
    ...(streams.length === 0 && left && { leftAtMs: left.atMs }),
  };
}

/**
 * What several control processes know of one node. Where it is connected counts, and of several the slowest (a hot
 * restart); where it is connected nowhere, what the process knows that it left last.
 */
export function joinProgress(all: readonly NodeProgress[]): NodeProgress | undefined {
  const connected = all.filter((each) => each.connected);
  const [first, ...rest] = connected;
  if (first === undefined) return all.toSorted((a, b) => (b.leftAtMs ?? 0) - (a.leftAtMs ?? 0))[0];
  if (rest.length === 0) return first;
  const applied = slowest(connected.map((each) => each.applied));
  const offered = slowest(connected.map((each) => each.offered));
  const refusal = connected.find((each) => each.refusal)?.refusal;
  const trouble = connected.find((each) => each.trouble !== undefined)?.trouble;
  const halt = connected.find((each) => each.halt)?.halt;
  return {
    connected: true,
    ...(applied && { applied }),
    ...(offered && { offered }),
    ...(refusal && { refusal }),
    ...(trouble !== undefined && { trouble }),
    ...(halt && { halt }),
  };
}

/** What this process knows of a node; where it is connected to another one, what that one tells. */
export function withProgress(
  own: NodeStatus | undefined,
  progress: NodeProgress | undefined,
): NodeStatus | undefined {
  if (own?.connected || progress === undefined) return own;
  const { types } = own ?? UNKNOWN_NODE;
  const { connected, applied, offered, refusal } = progress;
  const { type, ...lastNack } = refusal ?? {};
  return {
    connected,
    ...(offered && { offeredPosition: offered }),
    ...(applied && { appliedPosition: applied }),
    types: type && refusal ? { ...types, [type]: { ...types[type], lastNack } } : types,
  };
}

/** undefined: it is not known of one of them */
function slowest(places: readonly (Place | undefined)[]): Place | undefined {
  return places.reduce((a, b) => (a && b && (a.seq <= b.seq ? a : b)) || undefined);
}

function refusalOf({ streams, types, offered, remembered }: NodeFacts): Refusal | undefined {
  const [type] = [
    ...streams.flatMap(({ refused }) => refused),
    ...((offered && remembered?.typesOf(offered)) ?? []),
  ];
  const nack = type && types[type].lastNack;
  if (type === undefined || nack === undefined) return undefined;
  return { type, ...nack };
}
