/** OpenTelemetry logs, and spans of each Check, in chunks; `telemetry` knows the protocol. */
import { randomBytes } from 'node:crypto';
import type { CheckSpan, Export, LoggedText } from '../telemetry/otlp.ts';
import { createChunks, type Delivery } from './chunks.ts';
import { codeOf } from './console-sink.ts';
import type { CheckRecord, StageEnd } from './record.ts';
import type { LogItem, Sink, SinkDeps } from './sink.ts';

const MAX_ITEMS = 512;
const MAX_BYTES = 1_048_576;
const MAX_DELAY_MS = 2_000;
/** The exporter has tried again by itself before it says that it has failed. */
const MAX_ATTEMPTS = 3;
const NS_PER_MS = 1e6;

export function createOtlpLogSink(send: Export<LoggedText>, deps: SinkDeps): Sink {
  const toText = ({ line, record: { startedAtMs, trace } }: LogItem): LoggedText => ({
    atMs: startedAtMs,
    text: line,
    ...(trace && {
      trace: { traceId: trace.parent.traceId, spanId: trace.spanId ?? trace.parent.spanId },
    }),
  });
  return { name: 'otlp', ...chunksTo((items) => send(items.map(toText)), deps) };
}

export function createTraceSink(send: Export<CheckSpan>, deps: SinkDeps): Sink {
  return {
    name: 'traces',
    ...chunksTo((items) => send(items.flatMap(({ record }) => toSpans(record))), deps),
  };
}

function chunksTo(send: (items: readonly LogItem[]) => Promise<void>, { settle, warn }: SinkDeps) {
  return createChunks({
    maxItems: MAX_ITEMS,
    maxBytes: MAX_BYTES,
    maxDelayMs: MAX_DELAY_MS,
    maxAttempts: MAX_ATTEMPTS,
    settle,
    async deliver(items): Promise<Delivery> {
      try {
        await send(items);
        return 'delivered';
      } catch (error) {
        warn('an export by OTLP has failed', { error: codeOf(error), events: items.length });
        return 'retry';
      }
    },
  });
}

/** That of the Check, and one for each of its stages. */
function toSpans(record: CheckRecord): readonly CheckSpan[] {
  const { trace, startedAtMs, handlerNs, decidedBy, policy = decidedBy?.policy, units } = record;
  if (trace?.spanId === undefined) return [];
  const { traceId, spanId: parentSpanId } = trace.parent;
  const failed = record.effect === 'failure';
  const whole: CheckSpan = {
    traceId,
    spanId: trace.spanId,
    parentSpanId,
    startedAtMs,
    endedAtMs: startedAtMs + handlerNs / NS_PER_MS,
    failed,
    attributes: {
      'chancery.decision_id': record.decisionId,
      'chancery.effect': record.effect,
      'chancery.reason': record.reason,
      ...(policy !== undefined && { 'chancery.policy': policy }),
      ...(decidedBy && { 'chancery.revision': decidedBy.revision, 'chancery.release': decidedBy.seq }),
      ...(units !== undefined && { 'chancery.evaluation_units': units }),
      ...(record.cancelled && { 'chancery.cancelled': true }),
    },
  };
  return [whole, ...stagesOf(trace.stages ?? [], whole)];
}

/** One begins where the one before has ended. */
function stagesOf(stages: readonly StageEnd[], whole: CheckSpan): readonly CheckSpan[] {
  const atMs = (endNs: number): number => whole.startedAtMs + endNs / NS_PER_MS;
  return stages.map(({ stage, endNs, failed }, index) => ({
    traceId: whole.traceId,
    spanId: randomBytes(8).toString('hex'),
    parentSpanId: whole.spanId,
    stage,
    startedAtMs: atMs(stages[index - 1]?.endNs ?? 0),
    endedAtMs: atMs(endNs),
    failed,
    attributes: {},
  }));
}
