/** What the calls of the toolchain cost, and how often its worker had to begin anew. */
import { Failure } from '../core/failure.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Toolchain } from './toolchain.ts';

const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** @returns a toolchain that does the same */
export function measureToolchain(toolchain: Toolchain, metrics: Metrics): Toolchain {
  const durations = metrics.histogram(
    'chancery_rego_call_duration_seconds',
    'Time until the toolchain has answered, waiting included',
    BUCKETS,
    ['call'],
  );
  const calls = metrics.counter(
    'chancery_rego_calls_total',
    'Calls of the toolchain; outcome: answered, or the code of the failure',
    ['call', 'outcome'],
  );
  metrics.observed('gauge', 'chancery_rego_calls_waiting', 'Calls that wait for the one in progress', () => [
    { value: toolchain.state().waiting },
  ]);
  metrics.observed(
    'counter',
    'chancery_rego_worker_starts_total',
    'Times that the worker was started: at first use, and after each call that had to be ended',
    () => [{ value: toolchain.state().starts }],
  );
  const measured =
    <A extends unknown[], T>(call: string, work: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      const startedMs = performance.now();
      let outcome: string = 'answered';
      try {
        return await work(...args);
      } catch (thrown) {
        outcome = Failure.from(thrown).code;
        throw thrown;
      } finally {
        calls.add({ call, outcome });
        durations.observe((performance.now() - startedMs) / 1_000, { call });
      }
    };
  return {
    ...toolchain,
    check: measured('check', toolchain.check),
    compile: measured('compile', toolchain.compile),
    test: measured('test', toolchain.test),
    evaluate: measured('evaluate', toolchain.evaluate),
  };
}
