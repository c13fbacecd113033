/** What the runtime says of this process: read when the metrics are, so that nobody pays who does not ask. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.ts';

/** How often the delay is measured; the monitor counts this wait too. */
const RESOLUTION_MS = 10;
const QUANTILES = [50, 90, 99] as const;
const NS = 1e9;

/** @returns what ends the measuring */
export function observeProcess(metrics: Metrics): { stop(): void } {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  const delaySeconds = (ns: number): number => Math.max(0, ns / NS - RESOLUTION_MS / 1_000);

  metrics.observed(
    'gauge',
    'chancery_event_loop_delay_seconds',
    'How long the event loop kept what was due waiting, since the last scrape; quantile 1 is the longest',
    () => {
      const measured = delays.count > 0;
      const seen = QUANTILES.map((percent) => ({
        labels: { quantile: String(percent / 100) },
        value: measured ? delaySeconds(delays.percentile(percent)) : 0,
      }));
      const longest = { labels: { quantile: '1' }, value: measured ? delaySeconds(delays.max) : 0 };
      delays.reset();
      return [...seen, longest];
    },
  );
  metrics.observed('counter', 'chancery_process_cpu_seconds_total', 'Processor time used', () => {
    const { user, system } = process.cpuUsage();
    return [
      { labels: { mode: 'user' }, value: user / 1e6 },
      { labels: { mode: 'system' }, value: system / 1e6 },
    ];
  });
  metrics.observed(
    'gauge',
    'chancery_process_resident_memory_bytes',
    'Memory that the system has given',
    () => [{ value: process.memoryUsage.rss() }],
  );
  metrics.observed('gauge', 'chancery_process_heap_bytes', 'Memory of JavaScript, by what it is', () => {
    const { heapTotal, heapUsed, external } = process.memoryUsage();
    return [
      { labels: { kind: 'total' }, value: heapTotal },
      { labels: { kind: 'used' }, value: heapUsed },
      { labels: { kind: 'external' }, value: external },
    ];
  });
  const startedAtSeconds = Date.now() / 1_000 - process.uptime();
  metrics.observed('gauge', 'chancery_process_start_time_seconds', 'When it was started, since 1970', () => [
    { value: startedAtSeconds },
  ]);
  return { stop: () => delays.disable() };
}
