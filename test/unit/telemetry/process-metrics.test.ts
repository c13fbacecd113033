import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { observeProcess } from '../../../src/telemetry/process-metrics.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

describe('the metrics of the process', () => {
  const start = () => {
    const metrics = createMetrics();
    const { stop } = observeProcess(metrics);
    stops.push(stop);
    const read = async (sample: string): Promise<number> => {
      const line = (await metrics.render()).split('\n').find((each) => each.startsWith(`${sample} `));
      return Number(line?.slice(sample.length + 1));
    };
    return { metrics, read };
  };
  const turn = () => new Promise((resolve) => setTimeout(resolve, 15));

  it('show how long the event loop was held up', async () => {
    const { read } = start();
    await turn();
    const until = performance.now() + 80;
    while (performance.now() < until);
    await turn();
    expect(await read('chancery_event_loop_delay_seconds{quantile="1"}')).toBeGreaterThan(0.04);
  });

  it('show processor time and memory in seconds and bytes', async () => {
    const { read } = start();
    expect(await read('chancery_process_cpu_seconds_total{mode="user"}')).toBeGreaterThan(0.001);
    expect(await read('chancery_process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(await read('chancery_process_heap_bytes{kind="used"}')).toBeGreaterThan(100_000);
    expect(await read('chancery_process_start_time_seconds')).toBeCloseTo(
      Date.now() / 1000 - process.uptime(),
      0,
    );
  });
});

describe('the list of metrics', () => {
  it('names what was never used, in order of name', () => {
    const metrics = createMetrics();
    metrics.counter('b_total', 'B', ['kind']);
    metrics.gauge('a', 'A');
    metrics.histogram('c_seconds', 'C', [1]);
    expect(metrics.list()).toEqual([
      { name: 'a', kind: 'gauge', help: 'A', labels: [] },
      { name: 'b_total', kind: 'counter', help: 'B', labels: ['kind'] },
      { name: 'c_seconds', kind: 'histogram', help: 'C', labels: [] },
    ]);
  });
});
