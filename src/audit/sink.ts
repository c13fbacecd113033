/** Where events go. What a sink has taken, it says of each, sooner or later, whether it was written. */
import type { CheckRecord } from './record.ts';

export const SINK_NAMES = ['console', 'file', 'http', 'otlp', 'traces'] as const;
export type SinkName = (typeof SINK_NAMES)[number];

/** Why an event did not reach a sink. */
export const DROP_REASONS = [
  'queue_full',
  'overloaded',
  'drop_policy',
  'unwritable',
  'refused',
  'sink_failed',
  'stopped',
  'worker_ended',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export interface LogItem {
  /** JSON without a line break */
  readonly line: string;
  readonly record: CheckRecord;
}

export interface Sink {
  readonly name: SinkName;
  write(items: readonly LogItem[]): void;
  /** Writes what it holds, if it can before the deadline; all of it is settled when this resolves. */
  close(signal: AbortSignal): Promise<void>;
}

export interface SinkDeps {
  /** these have been written, or (with a reason) never will be */
  readonly settle: (items: readonly LogItem[], dropped?: DropReason) => void;
  /** something that an operator should know; no content of events */
  readonly warn: (message: string, fields: Readonly<Record<string, string | number>>) => void;
}
