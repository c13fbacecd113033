import type { Metrics } from '../telemetry/metrics.ts';

export interface SendMeasures {
  /** a response was kept, and no request was made */
  hit(): void;
  sent(outcome: 'answered' | 'failed' | 'late', seconds: number): void;
}

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function observeSends(metrics: Metrics, waiting: () => number): SendMeasures {
  const hits = metrics.counter(
    'chancery_http_send_cache_hits_total',
    'Calls of http.send that were answered with a response to another evaluation',
  );
  const sent = metrics.histogram(
    'chancery_http_send_duration_seconds',
    'Requests that policies have made, redirects included: answered (whatever the status), failed, or late for the Check',
    BUCKETS,
    ['outcome'],
  );
  metrics.observed(
    'gauge',
    'chancery_http_send_waiting',
    'Requests of policies that wait since too many are in progress',
    () => [{ value: waiting() }],
  );
  return { hit: () => hits.add(), sent: (outcome, seconds) => sent.observe(seconds, { outcome }) };
}
