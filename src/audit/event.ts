/**
 * A decision log event in OPA's form (`EventV1`), and `chancery` with what OPA has no word for.
 *
 * @see https://www.openpolicyagent.org/docs/management-decision-logs
 */

import { type LogJson, type LogObject, parseJsonText } from './json-text.ts';
import type { CheckRecord, NdCall } from './record.ts';

/** What policies see: OPA adds `error` and `metrics` after it has masked. */
export interface DecisionEvent extends LogObject {
  decision_id: string;
}

export interface EventSource {
  readonly labels: Readonly<Record<string, string>>;
  /** @throws when the bytes are no CheckRequest that could be evaluated */
  writeInput(record: CheckRecord): Uint8Array;
  /**
   * @returns JSON, as OPA has it in `nd_builtin_cache`
   * @throws when it cannot be written
   */
  writeNdBuiltinCache(calls: readonly NdCall[]): string;
}

/** @returns without `error` and `metrics` */
export function toEvent(record: CheckRecord, source: EventSource): DecisionEvent {
  const { labels, writeInput } = source;
  const { trace, decidedBy, resultText } = record;
  const answered = ndBuiltinCacheOf(record, source);
  const input = inputOf(record, writeInput);
  return {
    labels: { ...labels },
    decision_id: record.decisionId,
    ...(trace && { trace_id: trace.parent.traceId, span_id: trace.spanId ?? trace.parent.spanId }),
    ...(decidedBy && { bundles: { [decidedBy.policy]: { revision: decidedBy.revision } } }),
    ...(record.entrypoint !== undefined && { path: record.entrypoint }),
    ...(input !== undefined && { input }),
    ...(resultText !== undefined && { result: parseJsonText(resultText) }),
    ...(answered.value !== undefined && { nd_builtin_cache: answered.value }),
    timestamp: new Date(record.startedAtMs).toISOString(),
    chancery: {
      ...ownMembers(record),
      ...(answered.isDropped && { nd_builtin_cache_dropped: true }),
    },
  };
}

interface NdBuiltinCache {
  readonly value?: LogJson;
  readonly isDropped?: boolean;
}

/** What cannot be written, since it is nested too deeply, takes nothing else with it. */
function ndBuiltinCacheOf({ ndCalls }: CheckRecord, source: EventSource): NdBuiltinCache {
  if (ndCalls === undefined) return {};
  if (ndCalls === 'too_large') return { isDropped: true };
  try {
    return { value: parseJsonText(source.writeNdBuiltinCache(ndCalls)) };
  } catch {
    return { isDropped: true };
  }
}

/** What is written behind everything that a policy may change. */
export function endOfEvent(record: CheckRecord): LogObject {
  const { error, evaluationNs, units } = record;
  return {
    ...(error && { error: { ...error } }),
    metrics: {
      timer_server_handler_ns: record.handlerNs,
      ...(evaluationNs !== undefined && { timer_rego_query_eval_ns: evaluationNs }),
      ...(units !== undefined && { counter_chancery_evaluation_units: units }),
    },
  };
}

function ownMembers(record: CheckRecord): LogObject {
  const { decidedBy, position, identity, cancelled, policy = decidedBy?.policy } = record;
  return {
    effect: record.effect,
    reason: record.reason,
    ...(policy !== undefined && { policy }),
    ...(decidedBy && { release: decidedBy.seq }),
    position: { epoch: position.epoch, seq: position.seq },
    ...(identity !== undefined && { principal: principalOf(identity as LogObject) }),
    ...(cancelled && { cancelled }),
  };
}

/** Who it was, without what a token claims. */
function principalOf({ workload, user }: LogObject): LogObject {
  const { issuer = null, subject = null } = (user ?? {}) as LogObject;
  return {
    ...(workload !== undefined && { workload: structuredClone(workload) }),
    ...(user !== undefined && { user: { issuer, subject } }),
  };
}

function inputOf(record: CheckRecord, writeInput: EventSource['writeInput']): LogJson | undefined {
  try {
    return parseJsonText(Buffer.from(writeInput(record)).toString('utf8'));
  } catch {
    // it is malformed, which `error` says; what cannot be read cannot be redacted
    return undefined;
  }
}
