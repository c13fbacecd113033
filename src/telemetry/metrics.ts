import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process; every metric name starts with `chancery_`. */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Count;
  gauge(name: string, help: string, labels?: readonly string[]): Level;
  /** @param buckets upper bounds, in the unit that the name ends with */
  histogram(name: string, help: string, buckets: readonly number[], labels?: readonly string[]): Distribution;
  /** Prometheus text exposition format 0.0.4 */
  render(): Promise<string>;
}

export interface Count {
  add(labels?: Readonly<Record<string, string>>, by?: number): void;
}
export interface Level {
  set(value: number, labels?: Readonly<Record<string, string>>): void;
}
export interface Distribution {
  observe(value: number, labels?: Readonly<Record<string, string>>): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    counter(name, help, labels = []) {
      const counter = new Counter({ name, help, labelNames: [...labels], registers });
      return { add: (values = {}, by = 1) => counter.inc(values, by) };
    },
    gauge(name, help, labels = []) {
      const gauge = new Gauge({ name, help, labelNames: [...labels], registers });
      return { set: (value, values = {}) => gauge.set(values, value) };
    },
    histogram(name, help, buckets, labels = []) {
      const histogram = new Histogram({
        name,
        help,
        buckets: [...buckets],
        labelNames: [...labels],
        registers,
      });
      return { observe: (value, values = {}) => histogram.observe(values, value) };
    },
    render: () => registry.metrics(),
  };
}
