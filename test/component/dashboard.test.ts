import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DescribedMetric } from '../../src/telemetry/metrics.ts';
import { type Stack, startStack } from '../support/stack.ts';

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

const FUNCTIONS = new Set(['sum', 'max', 'min', 'rate', 'histogram_quantile', 'by', 'le']);
const SCRAPED = new Set(['instance', 'job', 'le']);

/** What stands where in a query of PromQL; no grammar, but what a slip of the pen would break. */
function read(expr: string) {
  const selectors = [...expr.matchAll(/\b(chancery_\w+)(\{[^}]*\})?(\[[^\]]+\])?/g)].map(
    ([, name = '', labels = '', range]) => ({
      name,
      labels: [...labels.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"/g)].map(([, label = '']) => label),
      isRange: range !== undefined,
    }),
  );
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '));
  const rest = expr.replaceAll(/"[^"]*"|\[[^\]]*\]|\{[^}]*\}|\bby \([^)]*\)/g, ' ');
  const words = [...rest.matchAll(/[A-Za-z_]\w*/g)].map(([word]) => word);
  const depths = expr
    .replaceAll(/"[^"]*"/g, '')
    .split('')
    .reduce<number[]>(
      (levels, character) => {
        const step = '([{'.includes(character) ? 1 : ')]}'.includes(character) ? -1 : 0;
        return [...levels, (levels.at(-1) ?? 0) + step];
      },
      [0],
    );
  return {
    selectors,
    grouped,
    words,
    isBalanced: depths.at(-1) === 0 && depths.every((depth) => depth >= 0),
  };
}

describe('the Grafana dashboard', () => {
  let stack: Stack;
  let dashboard: Dashboard;
  let metrics: ReadonlyMap<string, DescribedMetric>;
  let shown: string;
  beforeAll(async () => {
    stack = await startStack();
    const file = new URL('../../src/ops/grafana-dashboard.json', import.meta.url);
    dashboard = JSON.parse(await readFile(file, 'utf8')) as Dashboard;
    metrics = new Map(stack.app.world.metrics.list().map((metric) => [metric.name, metric]));
    shown = await (await fetch(`http://127.0.0.1:${stack.app.ports.ops}/metrics`)).text();
  });
  afterAll(() => stack?.stop());

  const queries = () =>
    dashboard.panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
  /** the metric, and whether the name is that of a histogram's buckets */
  const metricOf = (name: string) => {
    const base = name.replace(/_bucket$/, '');
    const metric = metrics.get(base);
    return { metric, isBucket: base !== name && metric?.kind === 'histogram' };
  };

  it('names only metrics and labels that a running program has', () => {
    const selectors = queries().flatMap(({ expr }) => read(expr).selectors);
    expect(selectors.length).toBeGreaterThan(25);
    for (const { expr } of queries()) {
      const { selectors: own, grouped } = read(expr);
      for (const { name, labels } of own) {
        const { metric } = metricOf(name);
        expect(metric, `${name} in ${expr}`).toBeDefined();
        expect(shown).toContain(`# TYPE ${metric?.name} `);
        for (const label of [...labels, ...grouped])
          expect(SCRAPED.has(label) || metric?.labels.includes(label), `${label} of ${name} in ${expr}`).toBe(
            true,
          );
      }
    }
    const variables = dashboard.templating.list.map(({ query }) => JSON.stringify(query)).join(' ');
    for (const [name] of variables.matchAll(/chancery_\w+/g)) expect(metrics.has(name)).toBe(true);
  });

  it('asks each metric as its kind is asked', () => {
    for (const { expr } of queries()) {
      const { selectors, words, isBalanced, grouped } = read(expr);
      expect(isBalanced, `in ${expr}`).toBe(true);
      expect(selectors, `in ${expr}`).toHaveLength(1);
      expect(words.filter((word) => !FUNCTIONS.has(word) && !word.startsWith('chancery_'))).toEqual([]);
      const [{ name, isRange } = { name: '', isRange: false }] = selectors;
      const { metric, isBucket } = metricOf(name);
      const isCounted = metric?.kind === 'counter' || isBucket;
      expect(isRange, `in ${expr}`).toBe(isCounted);
      expect(expr.includes('rate('), `in ${expr}`).toBe(isCounted);
      expect(expr.includes('histogram_quantile('), `in ${expr}`).toBe(isBucket);
      if (isBucket) expect(grouped).toContain('le');
    }
  });

  it('names in its legends only what the query has kept, and no panel lies on another', () => {
    for (const { expr, legendFormat } of queries()) {
      const { grouped } = read(expr);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect(grouped, `in ${expr}`).toContain(label);
    }
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  it('shows every metric of the decision log and of Checks', () => {
    const text = queries()
      .map(({ expr }) => expr)
      .join('\n');
    const wanted = [...metrics.keys()].filter((name) =>
      /^chancery_(check_|checks_|decision_log_)/.test(name),
    );
    expect(wanted.filter((name) => !text.includes(name))).toEqual([]);
  });
});
