import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { watchAsEvents } from '../../src/admin/event-stream.ts';
import type { NodeProgress } from '../../src/xds/rollout.ts';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';
import { eventually } from '../support/eventually.ts';

const node = { services: [], listener: { address: '127.0.0.1', port: 10000 } };

describe('the events of a roll-out', () => {
  let admin: AdminHarness;
  let seq: number;
  beforeEach(async () => {
    admin = await startAdmin();
    await admin.call('PUT', '/v1/nodes/edge', { body: node, headers: { 'if-none-match': '*' } });
    seq = await admin.length();
  });
  afterEach(() => admin.close());

  const open = (signal?: AbortSignal, at = seq) =>
    fetch(`${admin.url}/v1/journal/${at}/rollout`, {
      headers: { authorization: `Bearer ${admin.token}`, accept: 'text/event-stream' },
      ...(signal && { signal }),
    });
  const progress = (applied: number): NodeProgress => ({
    connected: true,
    applied: { epoch: 1, seq: applied },
  });

  it('tell each change, and end when it is done', async () => {
    admin.setNodeProgress(progress(seq - 1));
    const response = await open();
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader.read();
    expect(first.value).toMatch(/^event: rollout\ndata: \{.*"state":"pending".*\}\n\n$/);
    admin.setNodeProgress(progress(seq));
    const second = await reader.read();
    expect(second.value).toMatch(/^event: rollout\ndata: \{.*"done":true.*"state":"applied".*\}\n\n$/);
    expect((await reader.read()).done).toBe(true);
  });

  it('are a problem before they begin where there is no such entry, and need the scope', async () => {
    const missing = await open(undefined, seq + 1);
    expect([missing.status, missing.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
    const nobody = await fetch(`${admin.url}/v1/journal/${seq}/rollout`, {
      headers: { accept: 'text/event-stream' },
    });
    expect(nobody.status).toBe(401);
  });

  it('are for so many at once, and whoever leaves makes room', async () => {
    const leaving = new AbortController();
    const opened = await Promise.all(Array.from({ length: 32 }, () => open(leaving.signal)));
    const readers = opened.map((response) => response.body!.getReader());
    for (const reader of readers) await reader.read();
    expect((await open()).status).toBe(503);
    leaving.abort();
    const again = await eventually('there is room', async () => {
      const response = await open();
      if (response.status === 200) return response;
      await response.body?.cancel();
      return undefined;
    });
    await again.body?.cancel();
  });

  it('are never for more, however many ask at the same moment, and a refused call gives its place back', async () => {
    const opened = await Promise.all(Array.from({ length: 48 }, () => open()));
    expect(opened.filter(({ status }) => status === 200)).toHaveLength(32);
    expect(opened.filter(({ status }) => status === 503)).toHaveLength(16);
    for (const response of opened) await response.body?.cancel();
    const missing = await eventually('there is room', async () => {
      const answers = await Promise.all(Array.from({ length: 32 }, () => open(undefined, seq + 1_000)));
      return answers.every(({ status }) => status === 404) ? answers : undefined;
    });
    expect(missing).toHaveLength(32);
    const again = await Promise.all(Array.from({ length: 32 }, () => open()));
    expect(again.every(({ status }) => status === 200)).toBe(true);
    for (const response of again) await response.body?.cancel();
  });

  it('end when the token is revoked, and tell nothing more', async () => {
    admin.setNodeProgress(progress(seq - 1));
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const issued = await admin.call('POST', '/v1/tokens', { body: { name: 'watcher', expiresAt } });
    const response = await fetch(`${admin.url}/v1/journal/${seq}/rollout`, {
      headers: { authorization: `Bearer ${issued.body.token}`, accept: 'text/event-stream' },
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toContain('"state":"pending"');
    await admin.call('DELETE', `/v1/tokens/${issued.body.id}`);
    admin.setNodeProgress(progress(seq));
    const rest: string[] = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) rest.push(next.value);
    expect(rest.join('')).not.toContain('"done":true');
  });

  it('end when the server stops', async () => {
    const reader = (await open()).body!.getReader();
    await reader.read();
    const [end] = await Promise.all([reader.read(), admin.close()]);
    expect(end.done).toBe(true);
    admin = await startAdmin();
  });

  it('end after their time, with a comment where nothing changes', async () => {
    const pieces: string[] = [];
    const times = { intervalMs: 1, heartbeatMs: 3, maxMs: 60 };
    const { signal } = new AbortController();
    const look = () => ({ done: false });
    const watch = { event: 'rollout', look, isDone: () => false, mayLook: () => true, signal, times };
    for await (const piece of watchAsEvents(watch)) pieces.push(piece);
    expect(pieces[0]).toBe('event: rollout\ndata: {"done":false}\n\n');
    expect(pieces.length).toBeGreaterThan(1);
    expect(new Set(pieces.slice(1))).toEqual(new Set([': no change\n\n']));
  });
});
