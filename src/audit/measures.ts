/** The queues as metrics. At rest, `offered` is `written` and all of `dropped` together. */
import type { Count, Distribution, Metrics } from '../telemetry/metrics.ts';
import type { SinkQueue } from './sink-queue.ts';

export interface LogMeasures {
  /** events that were written without some or all of their content */
  readonly erased: Count;
  /** events whose `nd_builtin_cache` was too large */
  readonly ndDropped: Count;
  /** of the thread that answers Checks */
  readonly handOvers: Distribution;
}

const HAND_OVER_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01];

export function observeQueues(metrics: Metrics, queues: readonly SinkQueue[]): LogMeasures {
  const each = (read: (queue: SinkQueue) => number) => () =>
    queues.map((queue) => ({ value: read(queue), labels: { sink: queue.name } }));
  metrics.observed(
    'counter',
    'chancery_decision_log_offered_total',
    'Events (for the sink traces: Checks whose trace is sampled) that a sink should write',
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
    'chancery_decision_log_queue_highest_events',
    'The most events that the queue of a sink has held since the start',
    each((queue) => queue.counts().highest),
    ['sink'],
  );
  metrics.observed(
    'gauge',
    'chancery_decision_log_queue_bytes',
    'Size of the requests and results in the queue of a sink',
    each((queue) => queue.counts().bytes),
    ['sink'],
  );
  return {
    erased: metrics.counter(
      'chancery_decision_log_erased_total',
      'Events that were written without some or all of their content: a mask or drop policy has failed, or the ' +
        'result is nested too deeply',
    ),
    ndDropped: metrics.counter(
      'chancery_decision_log_nd_builtin_cache_dropped_total',
      'Events that were offered without their `nd_builtin_cache`, which was too large',
    ),
    handOvers: metrics.histogram(
      'chancery_decision_log_hand_over_duration_seconds',
      'Time that the thread that answers Checks has taken to hand a batch of events to the worker',
      HAND_OVER_BUCKETS,
    ),
  };
}
