import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../support/stack.ts';

interface Row {
  readonly kind: string;
  readonly unit: string;
  readonly labels: readonly string[];
}

/** `| name | kind | unit | labels | … |` */
function rowsOf(table: string): Map<string, Row> {
  const rows = table.matchAll(/^\| `(\w+)` \| (\w+) \| (\S+) \| ([^|]+) \| .+ \|$/gm);
  return new Map(
    [...rows].map(([, name = '', kind = '', unit = '', labels = '']) => [
      name,
      { kind, unit, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label) },
    ]),
  );
}

describe('the table of metrics', () => {
  let stack: Stack;
  let rows: Map<string, Row>;
  beforeAll(async () => {
    stack = await startStack();
    rows = rowsOf(await readFile(new URL('../../src/ops/metrics.md', import.meta.url), 'utf8'));
  });
  afterAll(() => stack?.stop());

  it('has every metric of the running program with its kind and labels, and no other', () => {
    const metrics = stack.app.world.metrics.list();
    expect(metrics.length).toBeGreaterThan(10);
    expect(
      Object.fromEntries([...rows].map(([name, { kind, labels }]) => [name, { kind, labels }])),
      'run node .scripts/generate-metrics.mjs',
    ).toEqual(Object.fromEntries(metrics.map(({ name, kind, labels }) => [name, { kind, labels }])));
  });

  it('is as the script writes it', async () => {
    const script = new URL('../../.scripts/generate-metrics.mjs', import.meta.url).pathname;
    await promisify(execFile)(process.execPath, [script, '--check'], { timeout: 50_000 });
  });

  it('is what the ops port shows, each with a unit in its name where it has one', async () => {
    const text = await (await fetch(`http://127.0.0.1:${stack.app.ports.ops}/metrics`)).text();
    const shown = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, kind]) => [name, kind]);
    expect(shown.toSorted()).toEqual([...rows].map(([name, { kind }]) => [name, kind]).toSorted());
    for (const [name, { kind, unit }] of rows) {
      expect(name).toMatch(/^chancery_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(kind === 'counter');
      if (['seconds', 'bytes'].includes(unit)) expect(name).toContain(`_${unit}`);
    }
  });
});
