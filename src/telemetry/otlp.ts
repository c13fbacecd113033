/**
 * Exports by OTLP over HTTP. The exporters are loaded when they are needed, and are given finished spans and records:
 * there is no tracer here, since a Check is over when its span is made.
 *
 * @see https://opentelemetry.io/docs/specs/otlp/
 */
import type { HrTime } from '@opentelemetry/api';
import type { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import type { OtlpOptions } from './options.ts';

type Span = Parameters<OTLPTraceExporter['export']>[0][number];
type LogRecord = Parameters<OTLPLogExporter['export']>[0][number];
type Result = Parameters<Parameters<OTLPTraceExporter['export']>[1]>[0];

export interface CheckSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** of a Check within its span; undefined: it is the whole, and its parent is Envoy's */
  readonly stage?: string | undefined;
  /** milliseconds since the epoch, with a fraction */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

export interface LoggedText {
  readonly atMs: number;
  readonly text: string;
  readonly trace?: { readonly traceId: string; readonly spanId: string } | undefined;
}

/** @throws when they were not taken, after the exporter's own retries */
export type Export<T> = (items: readonly T[]) => Promise<void>;

export interface Otlp {
  exportSpans(): Promise<Export<CheckSpan>>;
  exportLogs(): Promise<Export<LoggedText>>;
}

export interface OtlpSource {
  /** of this process */
  readonly instance: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
}

const SCOPE = 'chancery';
/** `SpanKind.INTERNAL`, `SpanKind.SERVER`, `SpanStatusCode.ERROR`, `SeverityNumber.INFO`: numbers, so that nothing is loaded for them */
const INTERNAL = 0;
const SERVER = 1;
const UNSET = 0;
const ERROR = 2;
const INFO = 9;
const SAMPLED = 1;

export function createOtlp({ url, timeoutMs }: OtlpOptions, source: OtlpSource): Otlp {
  const { instance, version, headers } = source;
  const options = (path: string) => ({
    url: `${url}/v1/${path}`,
    timeoutMillis: timeoutMs,
    headers: { ...headers },
  });
  const origin = async () => {
    const { resourceFromAttributes } = await import('@opentelemetry/resources');
    return {
      resource: resourceFromAttributes({
        'service.name': 'chancery',
        'service.version': version,
        'service.instance.id': instance,
      }),
      instrumentationScope: { name: SCOPE, version },
    };
  };
  return {
    async exportSpans() {
      const { OTLPTraceExporter: Exporter } = await import('@opentelemetry/exporter-trace-otlp-http');
      const [exporter, from] = [new Exporter(options('traces')), await origin()];
      return (spans) =>
        ended((done) =>
          exporter.export(
            spans.map((span) => ({ ...from, ...toSpan(span) })),
            done,
          ),
        );
    },
    async exportLogs() {
      const { OTLPLogExporter: Exporter } = await import('@opentelemetry/exporter-logs-otlp-http');
      const [exporter, from] = [new Exporter(options('logs')), await origin()];
      return (texts) =>
        ended((done) =>
          exporter.export(
            texts.map((text) => ({ ...from, ...toLogRecord(text) })),
            done,
          ),
        );
    },
  };
}

function ended(start: (done: (result: Result) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(({ code, error }) =>
      code === 0 ? resolve() : reject(error ?? new Error('the export has failed')),
    );
  });
}

function toSpan(span: CheckSpan): Omit<Span, 'resource' | 'instrumentationScope'> {
  const { traceId, spanId, parentSpanId, stage, startedAtMs, endedAtMs } = span;
  const isWhole = stage === undefined;
  return {
    name: isWhole ? 'envoy.service.auth.v3.Authorization/Check' : `Check ${stage}`,
    kind: isWhole ? SERVER : INTERNAL,
    spanContext: () => ({ traceId, spanId, traceFlags: SAMPLED }),
    parentSpanContext: { traceId, spanId: parentSpanId, traceFlags: SAMPLED, isRemote: isWhole },
    startTime: toHrTime(startedAtMs),
    endTime: toHrTime(endedAtMs),
    duration: toHrTime(endedAtMs - startedAtMs),
    status: { code: span.failed ? ERROR : UNSET },
    attributes: { ...(isWhole && { 'rpc.system.name': 'grpc' }), ...span.attributes },
    links: [],
    events: [],
    ended: true,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function toLogRecord({
  atMs,
  text,
  trace,
}: LoggedText): Omit<LogRecord, 'resource' | 'instrumentationScope'> {
  return {
    hrTime: toHrTime(atMs),
    hrTimeObserved: toHrTime(Date.now()),
    severityNumber: INFO,
    severityText: 'info',
    eventName: 'chancery.decision',
    body: text,
    attributes: {},
    droppedAttributesCount: 0,
    ...(trace && { spanContext: { ...trace, traceFlags: SAMPLED } }),
  };
}

function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
