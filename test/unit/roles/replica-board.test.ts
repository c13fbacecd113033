import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReplicaProgress } from '../../../src/admin/rollout-schema.ts';
import { Failure } from '../../../src/core/failure.ts';
import { createMemoryShared } from '../../../src/journal/memory-shared.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import type { Shared } from '../../../src/journal/shared.ts';
import { createReplicaBoard, type ReplicaBoard } from '../../../src/roles/replica-board.ts';
import { eventually } from '../../support/eventually.ts';
import { type LogLine, recordLog } from '../../support/log-lines.ts';

const LIFE_MS = 10_000;

let nowMs: number;
let away: boolean;
let shared: Shared;
let lines: readonly LogLine[];
let boards: ReplicaBoard[];
let start: (id: string, own: () => readonly Omit<ReplicaProgress, 'id'>[]) => ReplicaBoard;

beforeEach(() => {
  [nowMs, away, boards] = [1_000_000, false, []];
  const clock = { nowMs: () => nowMs };
  const { logger, lines: written } = recordLog();
  lines = written;
  shared = createMemoryShared({ clock });
  const list: Shared['list'] = async (prefix) => {
    if (away) throw new Failure('store_unavailable', 'away');
    return shared.list(prefix);
  };
  start = (id, own) => {
    const board = createReplicaBoard({
      own: () => own().map((each) => ({ id, ...each })),
      shared: { put: shared.put, remove: shared.remove, list },
      clock,
      random: systemRandom,
      logger,
      lookMs: 2,
    });
    boards.push(board);
    board.start();
    return board;
  };
});
afterEach(async () => {
  for (const board of boards) await board.close();
});

const idsOf = (board: ReplicaBoard): readonly string[] => board.all().map(({ id }) => id);

describe('the replicas of an instance', () => {
  it('know of each other, with what each is at now', async () => {
    let seq = 5;
    const first = start('a:1', () => [{ role: 'admin', seq: 9 }]);
    const second = start('b:1', () => [{ role: 'authz', seq, error: 'policy p: gone' }]);
    const seen = { id: 'b:1', role: 'authz', seq: 5, error: 'policy p: gone' };
    await eventually('they have met', () => idsOf(first).length === 2 && idsOf(second).length === 2);
    expect(first.all()).toEqual([{ id: 'a:1', role: 'admin', seq: 9 }, seen]);
    expect(second.all()).toEqual([seen, { id: 'a:1', role: 'admin', seq: 9 }]);
    seq = 9;
    await eventually('the change is heard of', () => first.all()[1]?.seq === 9);
  });

  it('are forgotten when they leave, and when they say nothing any more', async () => {
    const first = start('a:1', () => [{ role: 'admin', seq: 9 }]);
    const second = start('b:1', () => [{ role: 'authz', seq: 9 }]);
    await shared.put(
      'replica/dead',
      JSON.stringify({ id: 'dead', roles: [{ role: 'authz', seq: 1 }] }),
      LIFE_MS,
    );
    await eventually('all are known', () => idsOf(first).length === 3);
    await second.close();
    await eventually('it has left', () => !idsOf(first).includes('b:1'));
    expect(idsOf(first)).toContain('dead');
    nowMs += LIFE_MS + 1;
    await eventually('it is forgotten', () => !idsOf(first).includes('dead'));
  });

  it('stay as they were known last while nobody can be heard', async () => {
    const first = start('a:1', () => [{ role: 'admin', seq: 9 }]);
    start('b:1', () => [{ role: 'authz', seq: 3 }]);
    await eventually('they have met', () => idsOf(first).length === 2);
    away = true;
    await eventually('it is said', () => lines.some(({ level }) => level === 'warn'));
    nowMs += 10 * LIFE_MS;
    expect(first.all()[1]).toEqual({ id: 'b:1', role: 'authz', seq: 3 });
    away = false;
    await eventually('they are heard again', () => idsOf(first).length === 2);
  });

  it('find room for an error of any length, and take no notice of what none of them says', async () => {
    const first = start('a:1', () => [{ role: 'admin', seq: 9 }]);
    const long = '\u{1F600}'.repeat(5_000);
    const second = ['admin', 'authz', 'control'].map((role) => ({ role, seq: 4, error: `x${long}` }));
    start('h'.repeat(64), () => second);
    for (const [index, value] of [
      '',
      'null',
      '[]',
      '{"id":"x"}',
      '{"id":"x","roles":[{"role":"root","seq":1}]}',
    ].entries()) {
      await shared.put(`replica/odd${index}`, value, LIFE_MS);
    }
    await eventually('they have met', () => first.all().length === 4);
    const errors = first
      .all()
      .slice(1)
      .map(({ error = '' }) => error);
    expect(errors.every((error) => error.startsWith('x\u{1F600}') && error.length < 201)).toBe(true);
  });
});
