import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process; every metric name starts with `chancery_`. */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Count;
  gauge(name: string, help: string, labels?: readonly string[]): Level;
  /** @param buckets upper bounds, in the unit that the name ends with */
  histogram(name: string, help: string, buckets: readonly number[], labels?: readonly string[]): Distribution;
  /**
   * What others count or measure: read when the metrics are.
   *
   * @param labels  needed where `read` has nothing to tell at first
   */
  observed(
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    read: () => readonly Sample[],
    labels?: readonly string[],
  ): void;
  /** every metric that there is, used or not, by name */
  list(): readonly DescribedMetric[];
  /** Prometheus text exposition format 0.0.4 */
  render(): Promise<string>;
}

interface Sample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface DescribedMetric {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
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
  const described: DescribedMetric[] = [];
  return {
    counter(name, help, labels = []) {
      described.push({ name, kind: 'counter', help, labels });
      const counter = new Counter({ name, help, labelNames: [...labels], registers });
      return { add: (values = {}, by = 1) => counter.inc(values, by) };
    },
    gauge(name, help, labels = []) {
      described.push({ name, kind: 'gauge', help, labels });
      const gauge = new Gauge({ name, help, labelNames: [...labels], registers });
      return { set: (value, values = {}) => gauge.set(values, value) };
    },
    histogram(name, help, buckets, labels = []) {
      described.push({ name, kind: 'histogram', help, labels });
      const histogram = new Histogram({
        name,
        help,
        buckets: [...buckets],
        labelNames: [...labels],
        registers,
      });
      return { observe: (value, values = {}) => histogram.observe(values, value) };
    },
    observed(kind, name, help, read, given) {
      const labels = given ?? [...new Set(read().flatMap((sample) => Object.keys(sample.labels ?? {})))];
      described.push({ name, kind, help, labels });
      const form = { name, help, labelNames: [...labels], registers };
      if (kind === 'gauge') {
        const gauge: Gauge = new Gauge({
          ...form,
          collect: () => {
            gauge.reset();
            for (const { value, labels: values = {} } of read()) gauge.set(values, value);
          },
        });
        return;
      }
      const counter: Counter = new Counter({
        ...form,
        collect: () => {
          counter.reset();
          for (const { value, labels: values = {} } of read()) counter.inc(values, value);
        },
      });
    },
    list: () => described.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    render: () => registry.metrics(),
  };
}
