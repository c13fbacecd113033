import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/core/digest.ts';
import type { Position } from '../../../src/core/position.ts';
import { type Place, UNKNOWN_NODE } from '../../../src/xds/node-status.ts';
import { ofEachType } from '../../../src/xds/resource-types.ts';
import {
  isProven,
  joinProgress,
  type NodeFacts,
  type NodeProgress,
  progressOf,
  rolloutStateOf,
} from '../../../src/xds/rollout.ts';
import { NO_RESOURCES, type Snapshot } from '../../../src/xds/snapshot.ts';

const at = (seq: number): Position => ({ epoch: 1, seq, digest: sha256(`${seq}`) });
const snapshot = (seq: number): Snapshot => ({
  position: at(seq),
  types: ofEachType(() => NO_RESOURCES),
});
const refusal = {
  type: 'listener',
  version: 'v',
  names: ['l'],
  reason: 'no',
  at: '2026-01-01T00:00:00.000Z',
} as const;

describe('the state of a node at an entry', () => {
  it.each<[string, NodeProgress | undefined, string]>([
    ['unknown when no control process is heard', undefined, 'unknown'],
    [
      'applied when it has accepted that entry',
      { connected: true, applied: at(5), offered: at(5) },
      'applied',
    ],
    [
      'applied when it has accepted a later one',
      { connected: true, applied: at(9), offered: at(9) },
      'applied',
    ],
    ['applied also after its stream has ended', { connected: false, applied: at(5) }, 'applied'],
    [
      'applied although it refuses a later one',
      { connected: true, applied: at(5), offered: at(6), refusal },
      'applied',
    ],
    [
      'refused when it refuses what it is offered',
      { connected: true, applied: at(4), offered: at(5), refusal },
      'refused',
    ],
    ['pending when it has not answered', { connected: true, applied: at(4), offered: at(5) }, 'pending'],
    ['pending while it is not built', { connected: true, applied: at(4), offered: at(4) }, 'pending'],
    [
      'pending when what it refuses is older than the entry',
      { connected: true, applied: at(3), offered: at(4), refusal },
      'pending',
    ],
    [
      'failed when it cannot be built',
      { connected: true, applied: at(4), offered: at(4), trouble: 'why' },
      'failed',
    ],
    ['disconnected when what it had is older', { connected: false, applied: at(4) }, 'disconnected'],
    ['disconnected when nobody knows what it has', { connected: false }, 'disconnected'],
  ])('is %s', (_, progress, state) => {
    expect(rolloutStateOf(progress, 5)).toBe(state);
  });
});

describe('the progress of a node', () => {
  const [old, current] = [snapshot(3), snapshot(5)];
  const facts = (change: Partial<NodeFacts>): NodeFacts => ({
    streams: [],
    left: undefined,
    offered: current,
    remembered: undefined,
    heldThrough: (each) => (each === current ? at(8) : at(4)),
    trouble: undefined,
    types: UNKNOWN_NODE.types,
    ...change,
  });

  it('reaches as far as what it accepted says what the journal says', () => {
    expect(progressOf(facts({ streams: [{ applied: current, refused: [] }] }))).toEqual({
      connected: true,
      applied: at(8),
      offered: at(8),
    });
  });

  it('is that of the slowest of its streams', () => {
    const [fast, slow] = [
      { applied: current, refused: [] },
      { applied: old, refused: [] },
    ];
    expect(progressOf(facts({ streams: [fast, slow] })).applied).toEqual(at(4));
    expect(progressOf(facts({ streams: [slow, fast] })).applied).toEqual(at(4));
  });

  it('is not known while one of its streams has nothing whole yet, whatever the node had before', () => {
    const streams = [
      { applied: undefined, refused: [] },
      { applied: current, refused: [] },
    ];
    expect(progressOf(facts({ streams, left: { applied: current, atMs: 7 } })).applied).toBeUndefined();
    expect(progressOf(facts({ streams: streams.toReversed() })).applied).toBeUndefined();
  });

  it('is what the last stream had when there is none', () => {
    expect(progressOf(facts({ left: { applied: current, atMs: 7 } }))).toEqual({
      connected: false,
      applied: at(8),
      offered: at(8),
      leftAtMs: 7,
    });
    expect(progressOf(facts({}))).not.toHaveProperty('applied');
  });

  it('shows what is refused now, not what was once', () => {
    const { type: _type, ...nack } = refusal;
    const types = { ...UNKNOWN_NODE.types, listener: { lastNack: nack } };
    const refused = { applied: old, refused: ['listener'] } as const;
    expect(progressOf(facts({ types, streams: [refused] })).refusal).toEqual(refusal);
    expect(progressOf(facts({ types, streams: [{ applied: current, refused: [] }] }))).not.toHaveProperty(
      'refusal',
    );
  });
});

describe('what several control processes know of a node', () => {
  it('is what the one knows that it is connected to, however old, and not what others remember', () => {
    const here: NodeProgress = { connected: true, applied: at(3), offered: at(5), refusal };
    const left: NodeProgress = { connected: false, applied: at(9), leftAtMs: 99 };
    expect(joinProgress([left, here])).toEqual(here);
    expect(joinProgress([here, left])).toEqual(here);
  });

  it('is the slowest of those that it is connected to, with what any of them has heard it refuse', () => {
    const fast: NodeProgress = { connected: true, applied: at(9), offered: at(9) };
    const slow: NodeProgress = { connected: true, applied: at(4), offered: at(8), refusal };
    const joined = { connected: true, applied: at(4), offered: at(8), refusal };
    expect(joinProgress([fast, slow])).toEqual(joined);
    expect(joinProgress([slow, fast])).toEqual(joined);
    expect(joinProgress([fast, { connected: true }])).toEqual({ connected: true });
  });

  it('is what the process knows that it left last, when it is connected nowhere', () => {
    const older: NodeProgress = { connected: false, applied: at(9), leftAtMs: 10 };
    const newer: NodeProgress = { connected: false, applied: at(4), leftAtMs: 11 };
    expect(joinProgress([older, { connected: false }, newer])).toEqual(newer);
    expect(joinProgress([{ connected: false }])).toEqual({ connected: false });
    expect(joinProgress([])).toBeUndefined();
  });
});

describe('a node is proven at an entry', () => {
  const at = (seq: number, epoch = 1) => ({ epoch, seq });
  const proven = (seq: number, enforced: Place | undefined, concerned: Place | undefined, folded = at(9)) =>
    isProven(seq, { enforced, concerned, folded });

  it('once it enforces that entry or a later one', () => {
    expect(proven(5, at(5), at(5))).toBe(true);
    expect(proven(5, at(7), at(7))).toBe(true);
    expect(proven(5, at(4), at(5))).toBe(false);
    expect(proven(5, undefined, at(5))).toBe(false);
  });

  it('when nothing since what it enforces concerns it', () => {
    expect(proven(8, at(4), at(4))).toBe(true);
    expect(proven(8, at(4), at(6))).toBe(false);
  });

  it('only as far as the journal is known here', () => {
    expect(proven(8, at(4), at(4), at(7))).toBe(false);
  });

  it('by a position of another epoch only where the journal still names it', () => {
    expect(proven(5, at(7, 1), at(6, 2), at(9, 2))).toBe(false);
    expect(proven(5, at(7, 1), at(4, 1), at(9, 2))).toBe(false);
    expect(proven(5, at(4, 1), at(4, 1), at(9, 2))).toBe(true);
  });
});
