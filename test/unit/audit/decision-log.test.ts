import { describe, expect, it } from 'vitest';
import { createDecisionLog, type DecisionLog } from '../../../src/audit/decision-log.ts';
import { SinkQueue } from '../../../src/audit/sink-queue.ts';
import type { FromWorker, PolicySlot, SentRecord, ToWorker } from '../../../src/audit/worker-protocol.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { aRecord } from '../../support/decision-record.ts';
import { eventually } from '../../support/eventually.ts';

interface FakeWorker {
  readonly got: ToWorker[];
  say(message: FromWorker): void;
  end(): void;
}

function start(
  queue: SinkQueue,
  policies: () => { mask: PolicySlot; drop: PolicySlot } = () => ({ mask: undefined, drop: undefined }),
) {
  const workers: FakeWorker[] = [];
  const log: DecisionLog = createDecisionLog({
    queues: [queue],
    policies,
    onErased: () => {},
    logger: silentLogger,
    startWorker(onMessage) {
      const got: ToWorker[] = [];
      const { promise: ended, resolve } = Promise.withResolvers<unknown>();
      workers.push({ got, say: onMessage, end: () => resolve('killed') });
      return {
        post: (message) => {
          got.push(message);
          if (message.type === 'close') resolve(0);
        },
        ended,
        terminate: async () => resolve(1),
      };
    },
  });
  return { log, workers };
}

const limits = { events: 3, bytes: 1_000_000 };
const isSettled = (queue: SinkQueue): boolean => {
  const { offered, written, dropped, events } = queue.counts();
  return offered === written + [...dropped.values()].reduce((sum, n) => sum + n, 0) + events;
};
const records = ({ got }: FakeWorker) =>
  got.flatMap((message) =>
    message.type === 'records'
      ? (JSON.parse(message.records) as SentRecord[]).map((each) => each.record.decisionId)
      : [],
  );

describe('a queue of the decision log', () => {
  it('that drops never holds more than its bound, and counts the rest', () => {
    const queue = new SinkQueue('file', 'drop', limits);
    const { log } = start(queue);
    for (let n = 0; n < 10; n += 1) {
      expect(log.admit()).toBe(true);
      log.offer(aRecord(), true);
    }
    expect(queue.counts()).toMatchObject({ offered: 10, events: 3, highest: 3, written: 0 });
    expect(queue.counts().dropped).toEqual(new Map([['queue_full', 7]]));
    expect(isSettled(queue)).toBe(true);
  });

  it('that drops counts bytes, too', () => {
    const { request } = aRecord();
    const queue = new SinkQueue('file', 'drop', { events: 100, bytes: (request.length + 4) * 2 });
    const { log } = start(queue);
    for (let n = 0; n < 3; n += 1) log.offer(aRecord(), true);
    expect(queue.counts()).toMatchObject({ events: 2, bytes: (request.length + 4) * 2 });
  });

  it('that blocks admits no Check for which it has no place, those in progress included', () => {
    const queue = new SinkQueue('file', 'block', limits);
    const { log } = start(queue);
    expect([1, 2, 3, 4].map(() => log.admit())).toEqual([true, true, true, false]);
    for (const admitted of [true, true, true, false]) log.offer(aRecord(), admitted);
    expect(log.admit()).toBe(false);
    expect(queue.counts()).toMatchObject({ offered: 4, events: 3, highest: 3 });
    expect(queue.counts().dropped).toEqual(new Map([['overloaded', 1]]));
    queue.settle(1, 10);
    expect(log.admit()).toBe(true);
  });
});

describe('a Check of which there is no record', () => {
  it('is counted as dropped, and its place in a queue that blocks is free again', () => {
    const queue = new SinkQueue('file', 'block', limits);
    const { log } = start(queue);
    for (const admitted of [log.admit(), log.admit(), log.admit(), log.admit()]) log.lose(admitted);
    expect(queue.counts()).toMatchObject({ offered: 4, events: 0, bytes: 0, written: 0 });
    expect(queue.counts().dropped).toEqual(
      new Map([
        ['unwritable', 3],
        ['overloaded', 1],
      ]),
    );
    expect([1, 2, 3, 4].map(() => log.admit())).toEqual([true, true, true, false]);
  });

  it('is no span that was lost', () => {
    const queue = new SinkQueue('traces', 'drop', limits);
    const { log } = start(queue);
    log.lose(log.admit());
    expect(queue.counts()).toMatchObject({ offered: 0, events: 0 });
  });
});

describe('the hand-over to the worker', () => {
  it('happens in a later turn, with the policies before the first records', async () => {
    const { log, workers } = start(new SinkQueue('file', 'drop', limits), () => ({
      mask: 'missing',
      drop: undefined,
    }));
    log.offer(aRecord({ decisionId: 'a' }), true);
    log.offer(aRecord({ decisionId: 'b' }), true);
    expect(workers[0]?.got).toEqual([]);
    await eventually('handed over', () => workers[0]?.got.length === 2);
    expect(workers[0]?.got[0]).toEqual({ type: 'policies', mask: 'missing', drop: undefined });
    expect(records(workers[0]!)).toEqual(['a', 'b']);
  });

  it('tells of policies again only when they have changed', async () => {
    let mask: PolicySlot;
    const { log, workers } = start(new SinkQueue('file', 'drop', { ...limits, events: 100 }), () => ({
      mask,
      drop: undefined,
    }));
    for (const [count, now] of [
      [1, undefined],
      [2, undefined],
      [3, 'missing'],
    ] as const) {
      mask = now;
      log.offer(aRecord(), true);
      await eventually('handed over', () => records(workers[0]!).length === count);
    }
    expect(workers[0]?.got.filter(({ type }) => type === 'policies')).toHaveLength(2);
  });

  it('counts what a worker took with it, starts another one, and gives it what waits', async () => {
    const queue = new SinkQueue('file', 'drop', { ...limits, events: 100 });
    const { log, workers } = start(queue);
    log.offer(aRecord({ decisionId: 'lost' }), true);
    await eventually('handed over', () => records(workers[0]!).length === 1);
    workers[0]?.end();
    log.offer(aRecord({ decisionId: 'kept' }), true);
    await eventually('another worker', () => workers[1] && records(workers[1]).length === 1);
    expect(records(workers[1]!)).toEqual(['kept']);
    expect(queue.counts().dropped).toEqual(new Map([['worker_ended', 1]]));
    workers[1]?.say({
      type: 'settled',
      settlements: [{ sink: 'file', events: 1, bytes: queue.counts().bytes }],
    });
    expect(queue.counts()).toMatchObject({ offered: 2, written: 1, events: 0, bytes: 0 });
    expect(isSettled(queue)).toBe(true);
  });

  it('hands everything over before it closes', async () => {
    const queue = new SinkQueue('file', 'drop', { ...limits, events: 1_000 });
    const { log, workers } = start(queue);
    for (let n = 0; n < 300; n += 1) log.offer(aRecord(), true);
    await log.close(1_000);
    const [worker] = workers;
    expect(records(worker!)).toHaveLength(300);
    expect(worker?.got.at(-1)).toEqual({ type: 'close', graceMs: 1_000 });
  });

  it('gives what waits to another worker when it closes while there is none', async () => {
    const queue = new SinkQueue('file', 'block', { ...limits, events: 100 });
    const { log, workers } = start(queue);
    log.offer(aRecord({ decisionId: 'lost' }), log.admit());
    await eventually('handed over', () => records(workers[0]!).length === 1);
    workers[0]?.end();
    await eventually('ended', () => queue.counts().events === 0);
    for (const decisionId of ['a', 'b']) log.offer(aRecord({ decisionId }), log.admit());
    await log.close(1_000);
    expect(workers).toHaveLength(2);
    expect(records(workers[1]!)).toEqual(['a', 'b']);
    expect(workers[1]?.got.at(-1)).toEqual({ type: 'close', graceMs: 1_000 });
    // this one settles nothing
    expect(queue.counts()).toMatchObject({ offered: 3, events: 0, bytes: 0 });
    expect(queue.counts().dropped).toEqual(
      new Map([
        ['worker_ended', 1],
        ['stopped', 2],
      ]),
    );
    expect(isSettled(queue)).toBe(true);
  });

  it('counts as dropped what is offered when it is closing, and after that', async () => {
    const queue = new SinkQueue('file', 'block', limits);
    const { log, workers } = start(queue);
    const admitted = [log.admit(), log.admit()];
    const closing = log.close(1_000);
    log.offer(aRecord(), admitted[0]!);
    await closing;
    log.offer(aRecord(), admitted[1]!);
    await eventually('a turn later', () => true);
    expect(records(workers[0]!)).toEqual([]);
    expect(queue.counts()).toMatchObject({ offered: 2, events: 0, bytes: 0 });
    expect(queue.counts().dropped).toEqual(new Map([['stopped', 2]]));
    expect(isSettled(queue)).toBe(true);
  });

  it('counts nothing twice when a worker is heard of after its end', async () => {
    const queue = new SinkQueue('file', 'drop', limits);
    const { log, workers } = start(queue);
    log.offer(aRecord(), true);
    await eventually('handed over', () => records(workers[0]!).length === 1);
    const { bytes } = queue.counts();
    workers[0]?.end();
    await eventually('ended', () => queue.counts().events === 0);
    workers[0]?.say({ type: 'settled', settlements: [{ sink: 'file', events: 1, bytes }] });
    expect(queue.counts()).toMatchObject({ offered: 1, written: 0, events: 0, bytes: 0 });
    expect(isSettled(queue)).toBe(true);
  });
});
