/** The worker's side: records in, lines to sinks, and what became of them back. */

import type { MessagePort } from 'node:worker_threads';
import { parseJson } from '../core/parse-json.ts';
import type { Otlp } from '../telemetry/otlp.ts';
import { createConsoleSink } from './console-sink.ts';
import type { EventSource } from './event.ts';
import { createFileSink } from './file-sink.ts';
import { createHttpSink } from './http-sink.ts';
import type { LogPolicies } from './log-policies.ts';
import { createOtlpLogSink, createTraceSink } from './otlp-sinks.ts';
import { createPipeline } from './pipeline.ts';
import type { CheckRecord } from './record.ts';
import { createRedact } from './redact.ts';
import type { DropReason, LogItem, Sink, SinkDeps, SinkName } from './sink.ts';
import {
  type FromWorker,
  type PolicySlot,
  type SentRecord,
  type Settlement,
  sizeOf,
  type ToWorker,
  type WorkerSettings,
} from './worker-protocol.ts';

export interface WorkerDeps {
  readonly port: Pick<MessagePort, 'on' | 'postMessage' | 'close'>;
  readonly settings: WorkerSettings;
  readonly otlp: Otlp | undefined;
  readonly writeInput: EventSource['writeInput'];
  readonly writeNdBuiltinCache: EventSource['writeNdBuiltinCache'];
  readonly policies: LogPolicies & { replace(mask: PolicySlot, drop: PolicySlot): void };
}

export async function runWorker({ port, settings, otlp, policies, ...source }: WorkerDeps): Promise<void> {
  const { audit, instance, version } = settings;
  const send = (message: FromWorker): void => port.postMessage(message);
  const settlements = new Map<string, Settlement>();
  const flush = (): void => {
    if (settlements.size > 0) send({ type: 'settled', settlements: [...settlements.values()] });
    settlements.clear();
  };
  /** Told once a turn. */
  const settle = (sink: SinkName, items: readonly LogItem[], dropped?: DropReason): void => {
    if (settlements.size === 0) setImmediate(flush);
    const key = `${sink} ${dropped}`;
    const { events = 0, bytes = 0 } = settlements.get(key) ?? {};
    const more = items.reduce((sum, { record }) => sum + sizeOf(record), 0);
    settlements.set(key, { sink, events: events + items.length, bytes: bytes + more, dropped });
  };
  const sinks = await Promise.all(
    settings.sinks.map((name) =>
      openSink(name, settings, otlp, {
        settle: (items, dropped) => settle(name, items, dropped),
        warn: (message, fields) => send({ type: 'warning', message, fields }),
      }),
    ),
  );
  const pipeline = createPipeline({
    labels: { ...audit.labels, id: instance, version },
    ...source,
    policies,
    redact: createRedact(audit.redact),
    sinks,
    settle,
    onErased: (why) => send({ type: 'erased', why, events: 1 }),
  });

  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'records': {
        const records = parseJson(message.records) as readonly SentRecord[];
        return pipeline.take({
          records: records.map((sent) => received(sent, message.bytes)),
          sinks: records.map((sent) => sent.sinks),
        });
      }
      case 'policies':
        return policies.replace(message.mask, message.drop);
      case 'close':
        return void closeAll(message.graceMs);
      default:
        return message satisfies never;
    }
  });

  async function closeAll(graceMs: number): Promise<void> {
    const signal = AbortSignal.timeout(graceMs);
    await Promise.all(sinks.map((sink) => sink.close(signal)));
    flush();
    send({ type: 'closed' });
    port.close();
  }
}

function received({ record, start, end }: SentRecord, bytes: ArrayBuffer): CheckRecord {
  return { ...record, request: new Uint8Array(bytes, start, end - start) };
}

async function openSink(
  name: SinkName,
  { audit, httpToken }: WorkerSettings,
  otlp: Otlp | undefined,
  deps: SinkDeps,
): Promise<Sink> {
  if (name === 'console') return createConsoleSink(deps);
  if (name === 'file' && audit.file !== undefined) return createFileSink(audit.file, deps);
  if (name === 'http' && audit.http !== undefined)
    return createHttpSink(audit.http, { ...deps, token: httpToken });
  if (name === 'otlp' && otlp !== undefined) return createOtlpLogSink(await otlp.exportLogs(), deps);
  if (name === 'traces' && otlp !== undefined) return createTraceSink(await otlp.exportSpans(), deps);
  throw new Error(`the sink ${name} has no settings`);
}
