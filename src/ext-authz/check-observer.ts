/**
 * What is told of each Check, however it ends: its metrics, and its record for the decision log and the trace. Times
 * are taken on the way; nothing is made text of here, since the answer waits.
 */
import { randomFillSync } from 'node:crypto';
import type { NdBuiltinCacheLimit } from '../audit/decision-log.ts';
import { type CheckRecord, type StageEnd, sizeOfCall, type TracePlace } from '../audit/record.ts';
import type { Clock } from '../core/clock.ts';
import type { Decision } from '../core/decision.ts';
import type { Failure } from '../core/failure.ts';
import type { DecisionNotes } from '../decision/decide.ts';
import type { ByteCall } from '../grpc/byte-service.ts';
import { createLineLimit } from '../telemetry/line-limit.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { readTraceParent } from '../telemetry/trace-context.ts';
import { causeOf } from './check-log.ts';
import { type CheckMeasures, createCheckMeasures } from './check-measures.ts';
import type { CheckRequest } from './check-request.ts';

/** What the decision log needs of a Check, and says of itself. */
export interface DecisionRecorder {
  /** whether spans go anywhere */
  readonly traces: boolean;
  /** undefined: what built-ins answered is not recorded */
  readonly ndBuiltinCache?: NdBuiltinCacheLimit | undefined;
  admit(): boolean;
  offer(record: CheckRecord, admitted: boolean): void;
  /** in place of `offer`, where no record could be made */
  lose(admitted: boolean): void;
  /** that is applied here now */
  position(): { readonly epoch: number; readonly seq: number };
}

export interface CheckObserverDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly recorder?: DecisionRecorder | undefined;
}

/** One Check; each step is told once, `end` last and always. */
export interface ObservedCheck {
  /** false: the decision log has no room, and must not be gone around */
  readonly admitted: boolean;
  readonly notes: DecisionNotes;
  parsed(request: CheckRequest, believed: boolean): void;
  /** the answer is written, too */
  decided(decision: Decision): void;
  failed(failure: Failure): void;
  /** never throws: the answer is made, and must stay what it is */
  end(): void;
}

export interface CheckObserver {
  begin(decisionId: string, request: Uint8Array, call: ByteCall): ObservedCheck;
}

const NS_PER_MS = 1e6;
const LINES_PER_SECOND = 1;

export function createCheckObserver(deps: CheckObserverDeps, inProgress: () => number): CheckObserver {
  const measures = createCheckMeasures(deps.metrics, inProgress);
  const lines = createLineLimit(LINES_PER_SECOND);
  const unrecorded = (decisionId: string, thrown: unknown): void => {
    measures.unrecorded();
    const leftOut = lines.take(performance.now());
    if (leftOut === undefined) return;
    const fields = { decisionId, ...causeOf(thrown), ...(leftOut > 0 && { leftOut }) };
    deps.logger.error(fields, 'a Check was answered and could not be recorded');
  };
  const all = { ...deps, measures, unrecorded };
  return { begin: (decisionId, request, call) => new Observed(decisionId, request, call, all) };
}

interface ObservedDeps extends Pick<CheckObserverDeps, 'clock' | 'recorder'> {
  readonly measures: CheckMeasures;
  readonly unrecorded: (decisionId: string, thrown: unknown) => void;
}

class Observed implements ObservedCheck {
  readonly admitted: boolean;
  readonly notes: DecisionNotes = {};
  readonly #startedMs = performance.now();
  readonly #startedAtMs: number;
  readonly #decisionId: string;
  readonly #bytes: Uint8Array;
  readonly #call: ByteCall;
  readonly #deps: ObservedDeps;
  #parsedMs: number | undefined;
  #request: CheckRequest | undefined;
  #believed = false;
  #outcome: Pick<CheckRecord, 'effect' | 'reason' | 'error'> = { effect: 'failure', reason: 'internal' };

  constructor(decisionId: string, bytes: Uint8Array, call: ByteCall, deps: ObservedDeps) {
    this.#decisionId = decisionId;
    this.#bytes = bytes;
    this.#call = call;
    this.#deps = deps;
    this.#startedAtMs = deps.clock.nowMs();
    this.admitted = deps.recorder?.admit() ?? true;
  }

  parsed(request: CheckRequest, believed: boolean): void {
    this.#parsedMs = performance.now();
    this.#request = request;
    this.#believed = believed;
  }

  decided({ effect, reason }: Decision): void {
    this.#outcome = { effect, reason };
  }

  failed({ code, detail }: Failure): void {
    this.#outcome = { effect: 'failure', reason: code, error: { code, message: detail } };
  }

  end(): void {
    try {
      this.#end();
    } catch (thrown) {
      this.#deps.unrecorded(this.#decisionId, thrown);
    }
  }

  #end(): void {
    const endedMs = performance.now();
    try {
      const { effect, reason } = this.#outcome;
      // of a policy that runs, or of none: never a name that only a request has said
      const { measures } = this.#deps;
      measures.count(effect, reason, this.notes.decidedBy?.policy ?? '');
      measures.time(this.#startedMs, this.#parsedMs, this.notes, endedMs);
    } finally {
      if (this.#deps.recorder !== undefined) this.#tell(this.#deps.recorder, endedMs);
    }
  }

  #tell(recorder: DecisionRecorder, endedMs: number): void {
    let record: CheckRecord;
    try {
      record = this.#record(recorder, endedMs);
    } catch (thrown) {
      recorder.lose(this.admitted);
      throw thrown;
    }
    recorder.offer(record, this.admitted);
  }

  #record(recorder: DecisionRecorder, endedMs: number): CheckRecord {
    const { selection, identity, decidedBy, result, units, authenticatedAtMs, evaluatedAtMs } = this.notes;
    return {
      decisionId: this.#decisionId,
      startedAtMs: this.#startedAtMs,
      handlerNs: nanoseconds(this.#startedMs, endedMs),
      evaluationNs:
        authenticatedAtMs === undefined || evaluatedAtMs === undefined
          ? undefined
          : nanoseconds(authenticatedAtMs, evaluatedAtMs),
      units,
      ...this.#outcome,
      cancelled: this.#call.isCancelled === true,
      policy: selection?.policy,
      entrypoint: selection?.entrypoint,
      decidedBy,
      position: recorder.position(),
      identity,
      resultText: result?.defined === true ? result.text : undefined,
      ndCalls: this.#ndCalls(recorder.ndBuiltinCache),
      request: this.#bytes,
      believed: this.#believed,
      trace: this.#trace(recorder.traces, endedMs),
    };
  }

  /** References to texts that are there already, and only as many as may be recorded. */
  #ndCalls(limit: DecisionRecorder['ndBuiltinCache']): CheckRecord['ndCalls'] {
    const { answered } = this.notes;
    if (limit === undefined || answered === undefined || answered.size === 0) return undefined;
    const calls = [...answered.values()].filter(({ text }) => text !== undefined);
    const size = calls.reduce((sum, call) => sum + sizeOfCall(call), 0);
    if (size <= limit.maxBytes) return calls;
    limit.dropped();
    return 'too_large';
  }

  /** Envoy's span of this very call, if it tells it, else that of the request. */
  #trace(traces: boolean, endedMs: number): TracePlace | undefined {
    const { metadata } = this.#call;
    const parent =
      (metadata && readTraceParent((name) => metadata(name))) ??
      readTraceParent((name) => this.#header(name));
    if (parent === undefined) return undefined;
    if (!traces || !parent.sampled) return { parent };
    return { parent, spanId: newSpanId(), stages: this.#stages(endedMs) };
  }

  /** The same as the histogram of stages counts (`check-measures.ts`). */
  #stages(endedMs: number): readonly StageEnd[] {
    const { authenticatedAtMs, evaluatedAtMs, result } = this.notes;
    const ends: [StageEnd['stage'], number][] = [['parse', this.#parsedMs ?? endedMs]];
    if (this.#parsedMs !== undefined) ends.push(['authenticate', authenticatedAtMs ?? endedMs]);
    if (authenticatedAtMs !== undefined && evaluatedAtMs !== undefined)
      ends.push(['evaluate', evaluatedAtMs], ['encode', endedMs]);
    // an evaluation that threw is followed by the answer that says so
    const last = evaluatedAtMs !== undefined && result === undefined ? 'evaluate' : ends.at(-1)?.[0];
    const failed = this.#outcome.effect === 'failure' ? last : undefined;
    return ends.map(([stage, atMs]) => ({
      stage,
      endNs: nanoseconds(this.#startedMs, atMs),
      failed: stage === failed,
    }));
  }

  /** To look through all headers costs more than to find that the name is nowhere in the bytes. */
  #header(name: string): string | undefined {
    const bytes = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return bytes.includes(name) ? this.#request?.headerValues(name)[0] : undefined;
  }
}

function nanoseconds(fromMs: number, toMs: number): number {
  return Math.round((toMs - fromMs) * NS_PER_MS);
}

const ids = Buffer.alloc(8 * 256);
let nextId = ids.length;

/** 8 random bytes that are not all zero (Trace Context, section 3.2.2.4); 256 of them are made at once. */
function newSpanId(): string {
  for (;;) {
    if (nextId === ids.length) {
      randomFillSync(ids);
      nextId = 0;
    }
    const id = ids.toString('hex', nextId, nextId + 8);
    nextId += 8;
    if (id !== '0000000000000000') return id;
  }
}
