import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOpsServer, type OpsServer } from '../../src/ops/server.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

describe('the ops server', () => {
  const notReady: string[] = [];
  const metrics = createMetrics();
  let server: OpsServer;
  let base = '';
  beforeAll(async () => {
    metrics.counter('chancery_example_total', 'An example', ['kind']).add({ kind: 'a' }, 2);
    server = createOpsServer({ metrics, notReady: () => notReady });
    base = `http://127.0.0.1:${await server.listen({ address: '127.0.0.1', port: 0 })}`;
  });
  afterAll(() => server.close());

  it('is live as long as it answers', async () => {
    expect((await fetch(`${base}/livez`)).status).toBe(200);
  });

  it('is ready when nothing is in the way, and names what is', async () => {
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    notReady.push('store_unavailable');
    const answer = await fetch(`${base}/readyz`);
    expect([answer.status, await answer.text()]).toEqual([503, 'not ready: store_unavailable\n']);
  });

  it('shows the metrics as Prometheus text', async () => {
    const answer = await fetch(`${base}/metrics`);
    expect(answer.headers.get('content-type')).toContain('version=0.0.4');
    expect(await answer.text()).toContain('chancery_example_total{kind="a"} 2');
  });

  it('answers nothing else', async () => {
    expect((await fetch(`${base}/metrics/x`)).status).toBe(404);
    expect((await fetch(`${base}/livez`, { method: 'POST' })).status).toBe(405);
  });
});
