/**
 * The decision log, as the thread that answers Checks sees it: a record is put down when its answer is made, and handed
 * to the worker in a later turn of the event loop, many at once. Everything else is the worker's.
 */

import { createLineLimit } from '../telemetry/line-limit.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { CheckRecord } from './record.ts';
import type { SinkName } from './sink.ts';
import { SinkQueue } from './sink-queue.ts';
import {
  type FromWorker,
  type PolicySlot,
  type SentRecord,
  sizeOf,
  type ToWorker,
} from './worker-protocol.ts';

export interface DecisionLog {
  /**
   * Call it when a Check begins. A place is kept for it in each sink that blocks when it is full.
   *
   * @returns false  when there is none: answer `overloaded`
   */
  admit(): boolean;
  /** Call it once for each Check, admitted or not, when it is answered. */
  offer(record: CheckRecord, admitted: boolean): void;
  /** Call it in place of `offer` where no record could be made: it counts as dropped. */
  lose(admitted: boolean): void;
  /** whether this trace's spans go anywhere */
  readonly traces: boolean;
  /** undefined: what built-ins answered is not recorded */
  readonly ndBuiltinCache: NdBuiltinCacheLimit | undefined;
  readonly queues: readonly SinkQueue[];
  /** Writes what there is, as far as `graceMs` allows; the rest, and what is offered from now on, counts as dropped. */
  close(graceMs: number): Promise<void>;
}

export interface NdBuiltinCacheLimit {
  /** of one event, in characters */
  readonly maxBytes: number;
  /** one was larger */
  dropped(): void;
}

/** The worker, whatever it is: a thread, or a fake. */
export interface WorkerHandle {
  post(message: ToWorker, transfer: readonly ArrayBuffer[]): void;
  /** it has ended, as it was told to or not */
  readonly ended: Promise<unknown>;
  terminate(): Promise<unknown>;
}

export interface DecisionLogDeps {
  readonly queues: readonly SinkQueue[];
  readonly startWorker: (onMessage: (message: FromWorker) => void) => WorkerHandle;
  /** what runs now of the mask and drop policies; compared by reference */
  readonly policies: () => { readonly mask: PolicySlot; readonly drop: PolicySlot };
  readonly onErased: (why: string) => void;
  /** how long a hand-over has kept the thread that answers Checks */
  readonly onHandedOver?: (seconds: number) => void;
  readonly ndBuiltinCache?: NdBuiltinCacheLimit | undefined;
  readonly logger: Logger;
}

/** Of one hand-over: the copying of it takes well below a millisecond. */
const MAX_BATCH_EVENTS = 128;
const MAX_BATCH_BYTES = 262_144;
const FLUSH_MS = 20;
const RESTART_MS = 1_000;
const WARNINGS_PER_SECOND = 1;
/** for the worker to say that it has closed, after what the sinks may take */
const CLOSE_MARGIN_MS = 1_000;

export function createDecisionLog(deps: DecisionLogDeps): DecisionLog {
  const { queues, logger } = deps;
  const warnings = createLineLimit(WARNINGS_PER_SECOND);
  let waiting: { readonly record: CheckRecord; readonly sinks: readonly SinkName[] }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;
  let worker: WorkerHandle | undefined;
  let told: { readonly mask: PolicySlot; readonly drop: PolicySlot } | undefined;
  let closing = false;

  function start(): void {
    let hasEnded = false;
    const started = deps.startWorker((message) => {
      // what it had is counted then as lost
      if (!hasEnded) receive(message);
    });
    worker = started;
    told = undefined;
    void started.ended.then((reason) => {
      hasEnded = true;
      if (worker !== started) return;
      worker = undefined;
      const onTheWay = new Map(queues.map((queue) => [queue.name, queue]));
      // what waits here still is not lost
      const kept = countsOf(waiting);
      for (const [name, queue] of onTheWay) {
        const { events, bytes } = queue.counts();
        const { events: keptEvents = 0, bytes: keptBytes = 0 } = kept.get(name) ?? {};
        queue.settle(events - keptEvents, bytes - keptBytes, closing ? 'stopped' : 'worker_ended');
      }
      if (closing) return;
      logger.error({ err: reason }, 'the worker of the decision log has ended; another one is started');
      setTimeout(() => {
        if (!closing) start();
        schedule();
      }, RESTART_MS).unref();
    });
  }

  function receive(message: FromWorker): void {
    switch (message.type) {
      case 'settled':
        for (const { sink, events, bytes, dropped } of message.settlements)
          queues.find(({ name }) => name === sink)?.settle(events, bytes, dropped);
        return;
      case 'erased':
        deps.onErased(message.why);
        return warn('an event of the decision log was written without some or all of its content', {
          why: message.why,
        });
      case 'warning':
        return warn(message.message, message.fields);
      case 'closed':
        return;
      default:
        return message satisfies never;
    }
  }

  function warn(message: string, fields: Readonly<Record<string, string | number>>): void {
    const leftOut = warnings.take(performance.now());
    if (leftOut !== undefined) logger.warn({ ...fields, ...(leftOut > 0 && { leftOut }) }, message);
  }

  function schedule(): void {
    if (waiting.length >= MAX_BATCH_EVENTS) immediate ??= setImmediate(handOver);
    else if (waiting.length > 0) timer ??= setTimeout(handOver, FLUSH_MS);
  }

  function handOver(): void {
    clearTimeout(timer);
    if (immediate !== undefined) clearImmediate(immediate);
    timer = undefined;
    immediate = undefined;
    if (worker === undefined || waiting.length === 0) return;
    const startedMs = performance.now();
    tellPolicies(worker);
    const { message, taken } = toBatch(waiting);
    waiting = waiting.slice(taken);
    worker.post(message, [message.bytes]);
    deps.onHandedOver?.((performance.now() - startedMs) / 1_000);
    schedule();
  }

  function tellPolicies(to: WorkerHandle): void {
    const { mask, drop } = deps.policies();
    if (told !== undefined && told.mask === mask && told.drop === drop) return;
    told = { mask, drop };
    to.post({ type: 'policies', mask, drop }, []);
  }

  start();
  return {
    queues,
    ndBuiltinCache: deps.ndBuiltinCache,
    traces: queues.some(({ name }) => name === 'traces'),
    admit() {
      if (!queues.every((queue) => queue.hasRoom())) return false;
      for (const queue of queues) queue.reserve();
      return true;
    },
    offer(record, admitted) {
      const size = sizeOf(record);
      const sinks: SinkName[] = [];
      for (const queue of queues) {
        if (queue.name === 'traces' && record.trace?.spanId === undefined) continue;
        if (queue.offer(size, admitted)) sinks.push(queue.name);
      }
      if (sinks.length === 0) return;
      if (closing) {
        for (const queue of queues) if (sinks.includes(queue.name)) queue.settle(1, size, 'stopped');
        return;
      }
      waiting.push({ record, sinks });
      schedule();
    },
    lose(admitted) {
      for (const queue of queues)
        if (queue.name !== 'traces' && queue.offer(0, admitted)) queue.settle(1, 0, 'unwritable');
    },
    async close(graceMs) {
      // the last one has ended, and the next one would come too late
      if (worker === undefined && waiting.length > 0) start();
      while (worker !== undefined && waiting.length > 0) handOver();
      closing = true;
      const last = worker;
      if (last === undefined) return;
      last.post({ type: 'close', graceMs }, []);
      const late = setTimeout(() => void last.terminate(), graceMs + CLOSE_MARGIN_MS);
      await last.ended;
      clearTimeout(late);
    },
  };
}

type Waiting = readonly { readonly record: CheckRecord; readonly sinks: readonly SinkName[] }[];

function toBatch(waiting: Waiting): {
  readonly message: Extract<ToWorker, { type: 'records' }>;
  readonly taken: number;
} {
  let taken = 0;
  let length = 0;
  for (const { record } of waiting) {
    if (taken === MAX_BATCH_EVENTS || (taken > 0 && length + record.request.length > MAX_BATCH_BYTES)) break;
    taken += 1;
    length += record.request.length;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  const records = waiting.slice(0, taken).map(({ record: { request, ...record }, sinks }): SentRecord => {
    bytes.set(request, at);
    const start = at;
    at += request.length;
    return { record, start, end: at, sinks };
  });
  return { message: { type: 'records', records: JSON.stringify(records), bytes: bytes.buffer }, taken };
}

function countsOf(waiting: Waiting): ReadonlyMap<SinkName, { events: number; bytes: number }> {
  const counts = new Map<SinkName, { events: number; bytes: number }>();
  for (const { record, sinks } of waiting) {
    for (const name of sinks) {
      const { events, bytes } = counts.get(name) ?? { events: 0, bytes: 0 };
      counts.set(name, { events: events + 1, bytes: bytes + sizeOf(record) });
    }
  }
  return counts;
}
