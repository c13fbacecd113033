/** What the thread that answers Checks and the worker that writes the decision log say to each other. */
import type { OtlpOptions } from '../telemetry/options.ts';
import type { AuditOptions } from './options.ts';
import { type CheckRecord, sizeOfCall } from './record.ts';
import type { DropReason, SinkName } from './sink.ts';

/** `workerData` */
export interface WorkerSettings {
  readonly audit: AuditOptions;
  readonly sinks: readonly SinkName[];
  readonly otlp?: OtlpOptions | undefined;
  /** of `telemetry.otlp.headersFile` */
  readonly otlpHeaders: Readonly<Record<string, string>>;
  /** of `audit.http.tokenFile` */
  readonly httpToken?: string | undefined;
  readonly instance: string;
  readonly version: string;
}

/** A released policy as it runs; `missing`: it is configured, and nothing of it runs. */
export interface SentPolicy {
  readonly module: WebAssembly.Module;
  /** static data, a JSON object as UTF-8 */
  readonly data: Uint8Array;
  readonly maxMemoryMiB: number;
  readonly maxUnits: number;
}
export type PolicySlot = SentPolicy | 'missing' | undefined;

/** A record whose CheckRequest lies in the bytes of its batch. */
export interface SentRecord {
  readonly record: Omit<CheckRecord, 'request'>;
  readonly start: number;
  readonly end: number;
  readonly sinks: readonly SinkName[];
}

export type ToWorker =
  /** `records`: JSON of `SentRecord`s, which costs the sender half of what a clone does */
  | { readonly type: 'records'; readonly records: string; readonly bytes: ArrayBuffer }
  | { readonly type: 'policies'; readonly mask: PolicySlot; readonly drop: PolicySlot }
  | { readonly type: 'close'; readonly graceMs: number };

export interface Settlement {
  readonly sink: SinkName;
  readonly events: number;
  readonly bytes: number;
  readonly dropped?: DropReason | undefined;
}

export type FromWorker =
  | { readonly type: 'settled'; readonly settlements: readonly Settlement[] }
  | { readonly type: 'erased'; readonly why: string; readonly events: number }
  | {
      readonly type: 'warning';
      readonly message: string;
      readonly fields: Readonly<Record<string, string | number>>;
    }
  | { readonly type: 'closed' };

/** What a queue counts as the size of an event: what grows with the request and its answer. */
export function sizeOf({
  request,
  resultText = '',
  ndCalls = [],
}: Pick<CheckRecord, 'request' | 'resultText' | 'ndCalls'>): number {
  const calls = ndCalls === 'too_large' ? [] : ndCalls;
  return calls.reduce((sum, call) => sum + sizeOfCall(call), request.length + resultText.length);
}
