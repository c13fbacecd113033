/** What the calls of a store cost, and which fail; around any implementation, in memory too. */
import { Failure } from '../core/failure.ts';
import type { Blobs, Journal } from '../journal/journal.ts';
import type { Metrics } from '../telemetry/metrics.ts';

const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type Measure = <A extends unknown[], T>(
  call: string,
  work: (...args: A) => Promise<T>,
) => (...args: A) => Promise<T>;

/** @returns a store that does the same */
export function measureStore<J extends Journal, B extends Blobs>(
  { journal, blobs }: { readonly journal: J; readonly blobs: B },
  metrics: Metrics,
): { readonly journal: J; readonly blobs: B } {
  const measured = createMeasure(metrics);
  return {
    journal: {
      ...journal,
      append: measured('append', journal.append),
      find: measured('find', journal.find),
      read: measured('read', journal.read),
      head: measured('head', journal.head),
    },
    blobs: { ...blobs, put: measured('put_blob', blobs.put), get: measured('get_blob', blobs.get) },
  };
}

function createMeasure(metrics: Metrics): Measure {
  const durations = metrics.histogram(
    'chancery_store_call_duration_seconds',
    'Time until the store has answered, good or bad',
    BUCKETS,
    ['call'],
  );
  const failures = metrics.counter('chancery_store_failures_total', 'Calls of the store that failed', [
    'call',
    'code',
  ]);
  let waiting = 0;
  metrics.observed(
    'gauge',
    'chancery_store_calls_waiting',
    'Calls that the store has not answered yet',
    () => [{ value: waiting }],
  );
  return (call, work) =>
    async (...args) => {
      const startedMs = performance.now();
      waiting += 1;
      try {
        return await work(...args);
      } catch (thrown) {
        failures.add({ call, code: Failure.from(thrown).code });
        throw thrown;
      } finally {
        waiting -= 1;
        durations.observe((performance.now() - startedMs) / 1_000, { call });
      }
    };
}
