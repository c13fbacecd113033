import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/core/digest.ts';
import { Failure } from '../../../src/core/failure.ts';
import { createMemoryShared } from '../../../src/journal/memory-shared.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { MAX_SHARED_VALUE_BYTES, type Shared } from '../../../src/journal/shared.ts';
import { type NodeBoard, startNodeBoard } from '../../../src/roles/node-board.ts';
import { NODES_PREFIX, type NodeTeller, startNodeTeller } from '../../../src/roles/node-teller.ts';
import type { NodeProgress } from '../../../src/xds/rollout.ts';
import { eventually } from '../../support/eventually.ts';
import { type LogLine, recordLog } from '../../support/log-lines.ts';

const HEAD_LIFE_MS = 10_000;
const at = (seq: number, epoch = 1) => ({ epoch, seq });

let nowMs: number;
let away: boolean;
let puts: string[];
let shared: Shared;
let lines: readonly LogLine[];
let tellers: NodeTeller[];
let boards: NodeBoard[];

beforeEach(() => {
  [nowMs, away, puts, tellers, boards] = [1_000_000, false, [], [], []];
  const memory = createMemoryShared({ clock: { nowMs: () => nowMs } });
  shared = {
    ...memory,
    put: (key, value, ttlMs) => {
      puts.push(key);
      return memory.put(key, value, ttlMs);
    },
    list: async (prefix) => {
      if (away) throw new Failure('store_unavailable', 'away');
      return memory.list(prefix);
    },
  };
});
afterEach(async () => {
  for (const teller of tellers) await teller.close();
  for (const board of boards) board.close();
});

interface Control {
  seq: number;
  epoch: number;
  readonly nodes: Map<string, (at: number) => NodeProgress>;
  readonly teller: NodeTeller;
}

function startControl(seq: number): Control {
  const { logger } = recordLog();
  const nodes = new Map<string, (at: number) => NodeProgress>();
  const control = { seq, epoch: 1, nodes };
  const teller = startNodeTeller({
    position: () => at(control.seq, control.epoch),
    nodes: { seenNodes: () => [...nodes.keys()], nodeProgress: (id) => nodes.get(id)?.(control.seq) },
    shared,
    monotonicMs: () => nowMs,
    random: systemRandom,
    logger,
    lookMs: 2,
  });
  tellers.push(teller);
  return Object.assign(control, { teller });
}

function startBoard(except?: string): NodeBoard {
  const recorded = recordLog();
  lines = recorded.lines;
  const { logger } = recorded;
  const board = startNodeBoard({
    position: () => at(9),
    shared,
    except,
    random: systemRandom,
    logger,
    lookMs: 2,
  });
  boards.push(board);
  return board;
}

/** accepted, and offered nothing newer */
const settled = (seq: number): NodeProgress => ({ connected: true, applied: at(seq), offered: at(seq) });

describe('how far the nodes are in other processes', () => {
  it('is told, and an entry that concerns no node changes one value', async () => {
    const control = startControl(5);
    const digest = sha256('');
    for (let n = 0; n < 50; n += 1) {
      control.nodes.set(`edge-${n}`, (seq) => ({ ...settled(seq), applied: { ...at(seq), digest } }));
    }
    const board = startBoard();
    await eventually('it is heard', () => board.progressOf('edge-49', undefined)?.applied);
    expect(board.progressOf('edge-7', undefined)).toEqual(settled(5));
    expect(board.progressOf('edge-50', undefined)).toEqual({ connected: false });

    puts = [];
    control.seq = 6;
    await eventually('the entry has come', () => board.progressOf('edge-7', undefined)?.applied?.seq === 6);
    expect(puts.every((key) => !key.slice(NODES_PREFIX.length).includes('/'))).toBe(true);
  });

  it('is never more than a process said that it is, whatever is read first', async () => {
    const control = startControl(5);
    control.nodes.set('edge', () => settled(8));
    const board = startBoard();
    await eventually('it is heard', () => board.progressOf('edge', undefined)?.applied);
    expect(board.progressOf('edge', undefined)).toEqual(settled(5));
  });

  it('tells a refusal with type, names and reason, however long these are', async () => {
    const control = startControl(5);
    const refusal = (reason: string, names: readonly string[]) => ({
      type: 'routes' as const,
      version: 'v2',
      names,
      reason,
      at: '2026-01-01T00:00:00.000Z',
    });
    const refused = (reason: string, names: readonly string[]) => (): NodeProgress => ({
      connected: true,
      applied: at(4),
      offered: at(5),
      refusal: refusal(reason, names),
    });
    control.nodes.set('edge', refused('cannot bind: Address already in use', ['chancery']));
    for (let n = 0; n < 20; n += 1) {
      control.nodes.set(`long-${n}`, refused('\u{1F600}\n'.repeat(9_000), ['n'.repeat(500), 'o', 'p']));
    }
    control.nodes.set('failed', () => ({ connected: true, offered: at(4), trouble: 'no such service' }));
    const board = startBoard();
    await eventually('all is heard', () => board.progressOf('long-19', undefined)?.refusal);
    expect(board.progressOf('edge', undefined)).toEqual({
      connected: true,
      applied: at(4),
      offered: at(5),
      refusal: refusal('cannot bind: Address already in use', ['chancery']),
    });
    expect(board.progressOf('failed', undefined)).toEqual({
      connected: true,
      offered: at(4),
      trouble: 'no such service',
    });
    const long = board.progressOf('long-3', undefined)?.refusal;
    expect([long?.reason.startsWith('\u{1F600}\n'), long?.names]).toEqual([true, ['n'.repeat(60), 'o']]);
    const values = (await shared.list(NODES_PREFIX)).map(({ value }) => Buffer.byteLength(value));
    expect(Math.max(...values)).toBeLessThanOrEqual(MAX_SHARED_VALUE_BYTES);
  });

  it('is joined with what is known here, and its own words are not heard', async () => {
    const control = startControl(9);
    control.nodes.set('edge', () => settled(9));
    const [board, own] = [startBoard(), startBoard(control.teller.name)];
    const here: NodeProgress = { connected: false, applied: at(3), leftAtMs: 1 };
    await eventually('it is heard', () => board.progressOf('edge', here)?.connected);
    expect(own.progressOf('edge', here)).toEqual(here);
    expect(own.progressOf('edge', undefined)).toBeUndefined();
  });

  it('is forgotten when a process has said nothing for a while, and at once when it leaves', async () => {
    await shared.put(`${NODES_PREFIX}dead:1:x`, JSON.stringify(at(9)), HEAD_LIFE_MS);
    const page = JSON.stringify([{ id: 'edge', connected: true, applied: true, offered: true }]);
    await shared.put(`${NODES_PREFIX}dead:1:x/0`, page, 6 * HEAD_LIFE_MS);
    const board = startBoard();
    await eventually('it is heard', () => board.progressOf('edge', undefined)?.connected);
    nowMs += HEAD_LIFE_MS + 1;
    await eventually('it is forgotten', () => board.progressOf('edge', undefined) === undefined);

    const control = startControl(9);
    control.nodes.set('edge', () => settled(9));
    await eventually('it is heard', () => board.progressOf('edge', undefined)?.connected);
    await control.teller.close();
    await eventually('it has left', () => board.progressOf('edge', undefined) === undefined);
  });

  it('says nothing of where a node is in another epoch', async () => {
    const control = startControl(90);
    control.epoch = 2;
    control.nodes.set('edge', (seq) => ({ connected: true, applied: at(seq, 2), offered: at(seq, 2) }));
    const board = startBoard();
    await eventually('it is heard', () => board.progressOf('edge', undefined)?.connected);
    expect(board.progressOf('edge', undefined)).toEqual({ connected: true });
  });

  it('stays as it was known last while nobody can be heard, and what none of them says is passed over', async () => {
    for (const [index, value] of ['', 'null', '{}', '[{"id":"edge"}]', '[{"id":1}]'].entries()) {
      await shared.put(`${NODES_PREFIX}odd${index}`, value, HEAD_LIFE_MS);
      await shared.put(`${NODES_PREFIX}odd${index}/0`, value, HEAD_LIFE_MS);
    }
    const board = startBoard();
    const control = startControl(9);
    control.nodes.set('edge', () => settled(9));
    await eventually('it is heard', () => board.progressOf('edge', undefined)?.connected);
    away = true;
    await eventually('it is said', () => lines.some(({ level }) => level === 'warn'));
    nowMs += 10 * HEAD_LIFE_MS;
    expect(board.progressOf('edge', undefined)).toEqual(settled(9));
  });
});
