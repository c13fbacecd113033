/** From a record to a line in each sink, in the worker: the event, its policies, its redaction, its text. */
import { type EventSource, endOfEvent, toEvent } from './event.ts';
import type { LogObject } from './json-text.ts';
import { type LogPolicies, screen } from './log-policies.ts';
import type { CheckRecord } from './record.ts';
import type { Redact } from './redact.ts';
import type { DropReason, LogItem, Sink, SinkName } from './sink.ts';

export interface PipelineDeps extends EventSource {
  readonly policies: LogPolicies;
  readonly redact: Redact;
  readonly sinks: readonly Sink[];
  readonly settle: (sink: SinkName, items: readonly LogItem[], dropped?: DropReason) => void;
  /** an event was written without its input and result */
  readonly onErased: (why: string) => void;
}

export interface Batch {
  readonly records: readonly CheckRecord[];
  /** of each record: the sinks that it is for */
  readonly sinks: readonly (readonly SinkName[])[];
}

export interface Pipeline {
  take(batch: Batch): void;
}

export function createPipeline(deps: PipelineDeps): Pipeline {
  return {
    take({ records, sinks: wanted }) {
      const items = new Map<SinkName, LogItem[]>();
      records.forEach((record, index) => {
        const sinks = wanted[index] ?? [];
        const isLogged = sinks.some((name) => name !== 'traces');
        const line = isLogged ? toLine(record, deps) : '';
        for (const name of sinks) {
          const item = { line: line ?? '', record };
          // a span has no content that a policy could mask or drop
          if (line === undefined && name !== 'traces') deps.settle(name, [item], 'drop_policy');
          else listIn(items, name).push(item);
        }
      });
      for (const sink of deps.sinks) {
        const own = items.get(sink.name);
        if (own !== undefined) sink.write(own);
      }
    },
  };
}

/** @returns undefined  when the drop policy says so */
export function toLine(
  record: CheckRecord,
  deps: Pick<PipelineDeps, 'policies' | 'redact' | 'onErased' | 'labels' | 'writeInput'>,
): string | undefined {
  const event = toEvent(record, deps);
  const screened = screen(event, deps.policies);
  if (screened.drop) return undefined;
  if (screened.failed !== undefined) {
    (event['chancery'] as LogObject)['redaction'] = { failed: screened.failed };
    deps.onErased(screened.failed);
  }
  const redacted = deps.redact(event, screened.changes);
  const erased = [...screened.changes.erased, ...redacted.erased];
  const masked = [...screened.changes.masked, ...redacted.masked];
  return JSON.stringify({
    ...event,
    ...(erased.length > 0 && { erased }),
    ...(masked.length > 0 && { masked }),
    ...endOfEvent(record),
  });
}

function listIn(items: Map<SinkName, LogItem[]>, name: SinkName): LogItem[] {
  const list = items.get(name) ?? [];
  items.set(name, list);
  return list;
}
