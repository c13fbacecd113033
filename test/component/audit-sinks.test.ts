import { mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createConsoleSink } from '../../src/audit/console-sink.ts';
import { createFileSink } from '../../src/audit/file-sink.ts';
import { createHttpSink } from '../../src/audit/http-sink.ts';
import type { DropReason, LogItem, SinkDeps } from '../../src/audit/sink.ts';
import { aRecord } from '../support/decision-record.ts';
import { eventually } from '../support/eventually.ts';
import { startLogReceiver, type Upload } from '../support/log-receiver.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const items = (from: number, count: number, bytes = 10): LogItem[] =>
  Array.from({ length: count }, (_, index) => ({
    line: JSON.stringify({ n: from + index, pad: 'x'.repeat(bytes) }),
    record: aRecord(),
  }));

function settled() {
  const counts: Partial<Record<DropReason | 'written', number>> = {};
  const warnings: string[] = [];
  const deps: SinkDeps = {
    settle: (some, dropped) => {
      counts[dropped ?? 'written'] = (counts[dropped ?? 'written'] ?? 0) + some.length;
    },
    warn: (message) => void warnings.push(message),
  };
  return { counts, warnings, deps };
}
const soon = (ms: number) => AbortSignal.timeout(ms);
async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chancery-sinks-'));
  closers.push(() => rm(folder, { recursive: true }));
  return folder;
}
const receiver = async (answer?: (upload: Upload) => number) => {
  const started = await startLogReceiver(answer);
  closers.push(() => started.close());
  return started;
};
const http = (url: string, more: object = {}) => ({
  url,
  maxChunkBytes: 1_024,
  maxDelayMs: 10,
  timeoutMs: 5_000,
  whenFull: 'drop' as const,
  ...more,
});

describe('the sink console', () => {
  it("writes JSON lines in OPA's console form, in order", async () => {
    const path = join(await aFolder(), 'out');
    const file = await open(path, 'w');
    closers.push(() => file.close());
    const { counts, deps } = settled();
    const sink = createConsoleSink(deps, file.fd);
    sink.write(items(0, 2));
    sink.write(items(2, 1));
    await sink.close(soon(5_000));
    const lines = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ n }) => n)).toEqual([0, 1, 2]);
    expect(lines[0]).toMatchObject({
      level: 'info',
      msg: 'Decision Log',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      type: 'openpolicyagent.org/decision_logs',
    });
    expect(counts).toEqual({ written: 3 });
  });

  it('counts what cannot be written', async () => {
    const { counts, warnings, deps } = settled();
    const sink = createConsoleSink(deps, 1_000_000);
    sink.write(items(0, 2));
    await sink.close(soon(5_000));
    expect(counts).toEqual({ sink_failed: 2 });
    expect(warnings).toHaveLength(1);
  });
});

describe('the sink file', () => {
  it('begins a new file at the size limit, keeps so many older ones, and lets nobody else read them', async () => {
    const folder = await aFolder();
    const path = join(folder, 'deep', 'decisions.jsonl');
    const { counts, deps } = settled();
    const sink = createFileSink({ path, maxFileMiB: 1, maxFiles: 2, whenFull: 'drop' }, deps);
    for (let n = 0; n < 50; n += 1) sink.write(items(n * 10, 10, 10_000));
    await sink.close(soon(30_000));
    expect(counts).toEqual({ written: 500 });
    const names = (await readdir(join(folder, 'deep'))).toSorted();
    expect(names).toEqual(['decisions.jsonl', 'decisions.jsonl.1', 'decisions.jsonl.2']);
    const numbers: number[] = [];
    for (const name of ['decisions.jsonl.2', 'decisions.jsonl.1', 'decisions.jsonl']) {
      const file = join(folder, 'deep', name);
      const { size, mode } = await stat(file);
      expect(size).toBeLessThan(1_300_000);
      expect(mode & 0o777).toBe(0o600);
      const lines = (await readFile(file, 'utf8')).split('\n').filter(Boolean);
      numbers.push(...lines.map((line) => (JSON.parse(line) as { n: number }).n));
    }
    // the newest ones, each once and in order
    expect(numbers).toEqual(
      Array.from({ length: numbers.length }, (_, index) => 500 - numbers.length + index),
    );
    expect(numbers.length).toBeGreaterThan(200);
  });

  it('goes on behind what is there after a restart', async () => {
    const path = join(await aFolder(), 'decisions.jsonl');
    for (const from of [0, 1]) {
      const sink = createFileSink({ path, maxFileMiB: 1, maxFiles: 1, whenFull: 'drop' }, settled().deps);
      sink.write(items(from, 1));
      await sink.close(soon(5_000));
    }
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { n: number }).n)).toEqual([0, 1]);
  });

  it('counts what a place that is no file does not take, and tells of it', async () => {
    const { counts, warnings, deps } = settled();
    const sink = createFileSink(
      { path: await aFolder(), maxFileMiB: 1, maxFiles: 1, whenFull: 'drop' },
      deps,
    );
    sink.write(items(0, 3));
    await eventually('settled', () => counts.sink_failed === 3);
    sink.write(items(3, 2));
    expect(counts).toEqual({ sink_failed: 5 });
    expect(warnings.length).toBeGreaterThan(0);
    await sink.close(soon(1_000));
  });
});

describe('the sink http', () => {
  it('uploads gzip JSON arrays below the limit of a chunk, as OPA does, with its token', async () => {
    const other = await receiver();
    const { counts, deps } = settled();
    const sink = createHttpSink(http(`${other.url}/opa/`), { ...deps, token: 'token-1' });
    sink.write(items(0, 20, 100));
    sink.write(items(20, 1, 5_000));
    await sink.close(soon(10_000));
    expect(counts).toEqual({ written: 21 });
    expect(other.events().map(({ n }) => n)).toEqual(Array.from({ length: 21 }, (_, index) => index));
    expect(other.uploads.length).toBeGreaterThan(2);
    for (const { path, headers, body } of other.uploads) {
      expect(path).toBe('/opa/logs');
      expect(headers).toMatchObject({
        'content-type': 'application/json',
        'content-encoding': 'gzip',
        authorization: 'Bearer token-1',
      });
      const events = body as { pad: string }[];
      if (events.length > 1) expect(JSON.stringify(events).length).toBeLessThan(1_200);
    }
  });

  it('uploads a chunk that is not full after a while', async () => {
    const other = await receiver();
    const { counts, deps } = settled();
    const sink = createHttpSink(http(other.url), deps);
    sink.write(items(0, 1));
    await eventually('uploaded', () => counts.written === 1);
    await sink.close(soon(1_000));
  });

  it.each([429, 500, 503, 401, 302])('tries again after %d, in order and without loss', async (status) => {
    let failures = 2;
    const other = await receiver(() => (failures-- > 0 ? status : 200));
    const { counts, warnings, deps } = settled();
    const sink = createHttpSink(http(other.url), deps);
    sink.write(items(0, 3));
    await eventually('uploaded', () => counts.written === 3);
    expect(other.events().map(({ n }) => n)).toEqual([0, 1, 2]);
    expect(other.refused).toEqual([status, status]);
    expect(warnings).toHaveLength(2);
    await sink.close(soon(1_000));
  });

  it('loses and counts a chunk that is refused for what it is, and goes on with the next', async () => {
    const other = await receiver(({ body }) => ((body as { n: number }[])[0]?.n === 0 ? 413 : 200));
    const { counts, deps } = settled();
    const sink = createHttpSink(http(other.url), deps);
    sink.write([...items(0, 1, 2_000), ...items(1, 1, 2_000)]);
    await sink.close(soon(10_000));
    expect(counts).toEqual({ refused: 1, written: 1 });
  });

  it('counts what the end of the process cuts off', async () => {
    const other = await receiver(() => 503);
    const { counts, deps } = settled();
    const sink = createHttpSink(http(other.url), deps);
    sink.write(items(0, 30, 100));
    await eventually('tried', () => other.refused.length > 0);
    await sink.close(soon(50));
    expect(counts).toEqual({ stopped: 30 });
  });
});
