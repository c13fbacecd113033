/** From a record to a line in each sink, in the worker: the event, its policies, its redaction, its text. */
import { type DecisionEvent, type EventSource, endOfEvent, toEvent } from './event.ts';
import { isDeeperThan, type LogObject } from './json-text.ts';
import { type LogPolicies, screen } from './log-policies.ts';
import type { CheckRecord } from './record.ts';
import type { Redact } from './redact.ts';
import type { DropReason, LogItem, Sink, SinkName } from './sink.ts';

export interface PipelineDeps extends EventSource {
  readonly policies: LogPolicies;
  readonly redact: Redact;
  readonly sinks: readonly Sink[];
  readonly settle: (sink: SinkName, items: readonly LogItem[], dropped?: DropReason) => void;
  /** an event was written without some or all of its content */
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
        const { line = '', dropped } = isLogged ? writeLine(record, deps) : {};
        for (const name of sinks) {
          const item = { line, record };
          // a span has no content that a policy could mask or drop
          if (dropped !== undefined && name !== 'traces') deps.settle(name, [item], dropped);
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

type LineDeps = Pick<
  PipelineDeps,
  'policies' | 'redact' | 'onErased' | 'labels' | 'writeInput' | 'writeNdBuiltinCache'
>;

/** Never throws: a record that cannot be written takes no other one with it. */
function writeLine(record: CheckRecord, deps: LineDeps): { line?: string; dropped?: DropReason } {
  try {
    const line = toLine(record, deps);
    return line === undefined ? { dropped: 'drop_policy' } : { line };
  } catch {
    try {
      return { line: toLineWithoutContent(record, deps) };
    } catch {
      return { dropped: 'unwritable' };
    }
  }
}

/** Of a result; an input has few more than 1,000. What is much deeper overflows the stack, here and in a mask policy. */
const MAX_DEPTH = 2_000;

/** @returns undefined  when the drop policy says so */
export function toLine(record: CheckRecord, deps: LineDeps): string | undefined {
  const isTooDeep = isDeeperThan(MAX_DEPTH, record.resultText ?? '');
  const event = toEvent(isTooDeep ? { ...record, resultText: undefined } : record, deps);
  const screened = screen(event, deps.policies);
  if (screened.drop) return undefined;
  const failed = [isTooDeep ? 'the result is nested too deeply' : undefined, screened.failed];
  tellFailed(event, failed.filter((why) => why !== undefined).join('; '), deps);
  const redacted = deps.redact(event, screened.changes);
  const erased = [...(isTooDeep ? ['/result'] : []), ...screened.changes.erased, ...redacted.erased];
  const masked = [...screened.changes.masked, ...redacted.masked];
  return textOf(event, erased, masked, record);
}

function toLineWithoutContent(record: CheckRecord, deps: LineDeps): string {
  const { resultText, ndCalls, identity, ...rest } = record;
  const { labels } = deps;
  const event = toEvent(rest, {
    labels,
    writeInput: () => new Uint8Array(),
    writeNdBuiltinCache: () => '{}',
  });
  tellFailed(event, 'the event cannot be written', deps);
  const erased = [
    '/input',
    ...(resultText === undefined ? [] : ['/result']),
    ...(ndCalls === undefined ? [] : ['/nd_builtin_cache']),
    ...(identity === undefined ? [] : ['/chancery/principal']),
  ];
  return textOf(event, erased, [], record);
}

/** @param why  '': nothing has failed */
function tellFailed(event: DecisionEvent, why: string, { onErased }: LineDeps): void {
  if (why === '') return;
  (event['chancery'] as LogObject)['redaction'] = { failed: why };
  onErased(why);
}

function textOf(
  event: DecisionEvent,
  erased: readonly string[],
  masked: readonly string[],
  record: CheckRecord,
): string {
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
