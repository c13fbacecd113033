/** The queues as metrics. At rest, `offered` is `written` and all of `dropped` together. */
import type { Count, Metrics } from '../telemetry/metrics.ts';
import type { SinkQueue } from './sink-queue.ts';

/** @returns what counts the events that were written without input and result */
export function observeQueues(metrics: Metrics, queues: readonly SinkQueue[]): Count {
  const each = (read: (queue: SinkQueue) => number) => () =>
    queues.map((queue) => ({ value: read(queue), labels: { sink: queue.name } }));
  metrics.observed(
    'counter',
    'chancery_decision_log_offered_total',
    'Events (for the sink traces: spans) that a sink should write',
    each((queue) => queue.counts().offered),
    ['sink'],
  );
  metrics.observed(
    'counter',
    'chancery_decision_log_written_total',
    'Events that a sink has written, or its other end has taken',
    each((queue) => queue.counts().written),
    ['sink'],
  );
  metrics.observed(
    'counter',
    'chancery_decision_log_dropped_total',
    'Events that a sink will never write, by why',
    () =>
      queues.flatMap((queue) =>
        [...queue.counts().dropped].map(([reason, value]) => ({
          value,
          labels: { sink: queue.name, reason },
        })),
      ),
    ['sink', 'reason'],
  );
  metrics.observed(
    'gauge',
    'chancery_decision_log_queue_events',
    'Events that a sink has not written yet',
    each((queue) => queue.counts().events),
    ['sink'],
  );
  metrics.observed(
    'gauge',
    'chancery_decision_log_queue_bytes',
    'Size of the requests and results in the queue of a sink',
    each((queue) => queue.counts().bytes),
    ['sink'],
  );
  return metrics.counter(
    'chancery_decision_log_erased_total',
    'Events that were written without input and result, since a mask or drop policy has failed',
  );
}
