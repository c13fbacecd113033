/**
 * `npm run bench:audit`: what the decision log costs a Check. Servers with the quickstart policy, one without a log and one
 * with, are asked in turns; the ratio of each pair counts. Once with one Check at a time and once with sixteen, with a
 * file that takes all events; and with sixteen and an upload that takes half of what is offered, so that the queue is
 * full. Nothing is pinned: the worker of the log takes the core that is free.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeCheckResponse } from '../support/check-client.ts';
import { startLogReceiver } from '../support/log-receiver.ts';
import { createLoadClient, type LoadClient } from './load.ts';
import { createRequests } from './requests.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const POLICY = fileURLToPath(new URL('../../policies/quickstart', import.meta.url));
const QUEUE_EVENTS = 200;
const PAIRS = 16;
const MIN_PAIRS = 10;
const BUDGET_SECONDS = 55;
const WARM_UP_CHECKS = 3_000;
const HAND_OVER = 'chancery_decision_log_hand_over_duration_seconds';

interface Sample {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly meanMs: number;
  readonly cpuMicros: number;
}
interface Contender {
  readonly server: ServerProcess;
  readonly client: LoadClient;
}

await using stack = new AsyncDisposableStack();
const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'chancery-bench-')), (it) =>
  rm(it, { recursive: true }),
);
const requests = createRequests().map(({ bytes }) => bytes);

async function contender(...set: readonly string[]): Promise<Contender> {
  const server = stack.adopt(await startServer(['policy', POLICY, ...set]), (it) => it.stop());
  return { server, client: stack.adopt(createLoadClient(server.target), (it) => it.close()) };
}

const without = await contender();
const withLog = await contender(
  `audit.file.path=${join(folder, 'decisions.jsonl')}`,
  'audit.queueEvents=100000',
);
/** that the upload takes; set as soon as it is known how fast Checks are answered */
let eventsPerSecond = 1_000;
/** Of its end of the upload: events are taken one after the other, at that pace. */
let freeAtMs = 0;
const receiver = stack.adopt(
  await startLogReceiver(async ({ body }) => {
    const takesMs = ((body as readonly unknown[]).length / eventsPerSecond) * 1_000;
    freeAtMs = Math.max(freeAtMs, performance.now()) + takesMs;
    await new Promise((resolve) => setTimeout(resolve, freeAtMs - performance.now()));
    return 200;
  }),
  (it) => it.close(),
);
const overloaded = await contender(
  `audit.http.url=${receiver.url}`,
  'audit.http.maxChunkBytes=16384',
  'audit.http.maxDelayMs=10',
  `audit.queueEvents=${QUEUE_EVENTS}`,
);
const LOADS = [
  { name: 'one at a time', log: withLog, concurrency: 1, checks: 400 },
  { name: 'sixteen at a time', log: withLog, concurrency: 16, checks: 1_600 },
  { name: 'sixteen at a time, twice what the sink takes', log: overloaded, concurrency: 16, checks: 1_600 },
];

const asked = new Map<Contender, number>();
for (const each of [without, withLog, overloaded]) {
  await each.client.run(requests, WARM_UP_CHECKS, 16);
  asked.set(each, WARM_UP_CHECKS);
}
async function measure(each: Contender, concurrency: number, checks: number): Promise<Sample> {
  const { server, client } = each;
  const before = await server.usage();
  const { answers, latenciesMs, seconds } = await client.run(requests, checks, concurrency);
  asked.set(each, (asked.get(each) ?? 0) + checks);
  if (each === without) eventsPerSecond = checks / seconds / 2;
  const cpuMicros = ((await server.usage()).cpuMicros - before.cpuMicros) / checks;
  // 13 and above: no decision was made
  if (answers.some((answer) => ![0, 7].includes(decodeCheckResponse(answer).status?.code ?? 0)))
    throw new Error('a Check was not decided');
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN;
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    meanMs: sorted.reduce((sum, ms) => sum + ms, 0) / checks,
    cpuMicros,
  };
}

const figures: Record<string, unknown> = {};
for (const [index, { name, log, concurrency, checks }] of LOADS.entries()) {
  const pairs: (readonly [without: Sample, withLog: Sample])[] = [];
  const endSeconds = (BUDGET_SECONDS * (index + 1)) / LOADS.length;
  for (
    let pair = 0;
    pair < PAIRS && (pair < MIN_PAIRS || performance.now() < endSeconds * 1_000);
    pair += 1
  ) {
    process.stderr.write(`${name}, pair ${pair + 1} …\n`);
    const order = pair % 2 === 0 ? [without, log] : [log, without];
    const samples = [];
    for (const each of order) samples.push(await measure(each, concurrency, checks));
    const [first, second] = samples as [Sample, Sample];
    pairs.push(pair % 2 === 0 ? [first, second] : [second, first]);
  }
  const of = (read: (sample: Sample) => number) => ({
    ratio: spread(pairs.map(([plain, logged]) => read(logged) / read(plain))),
    without: spread(pairs.map(([plain]) => read(plain))).median,
    with: spread(pairs.map(([, logged]) => read(logged))).median,
  });
  figures[name] = {
    pairs: pairs.length,
    checksPerRun: checks,
    p50Ms: of(({ p50Ms }) => p50Ms),
    meanMs: of(({ meanMs }) => meanMs),
    p99Ms: of(({ p99Ms }) => p99Ms),
    /** of the whole process, the worker included */
    cpuMicrosPerCheck: of(({ cpuMicros }) => cpuMicros),
  };
}

eventsPerSecond = Number.MAX_VALUE;
const logs = { file: await untilSettled(withLog), upload: await untilSettled(overloaded) };
process.stdout.write(
  `${JSON.stringify({ node: process.version, cores: availableParallelism(), ...figures, logs }, undefined, 2)}\n`,
);
for (const [each, { offered, written, dropped }] of [
  [withLog, logs.file],
  [overloaded, logs.upload],
] as const)
  if (offered !== written + dropped || offered !== asked.get(each)) process.exitCode = 1;
const { upload } = logs;
if (upload.longestQueue > QUEUE_EVENTS || upload.dropped === 0) process.exitCode = 1;
if (receiver.events().length !== upload.written) process.exitCode = 1;

/** The worker writes what it still has. */
async function untilSettled({ server }: Contender) {
  for (const endMs = performance.now() + 20_000; ; ) {
    const text = await (await fetch(`http://127.0.0.1:${server.ops}/metrics`)).text();
    const sum = (name: string): number =>
      text
        .split('\n')
        .filter((line) => line.startsWith(`chancery_decision_log_${name}`))
        .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
    if (sum('queue_events') === 0 || performance.now() > endMs) {
      return {
        offered: sum('offered_total'),
        written: sum('written_total'),
        dropped: sum('dropped_total'),
        longestQueue: sum('queue_highest_events'),
        /** seconds to how many hand-overs took no longer */
        handOvers: Object.fromEntries(
          [...text.matchAll(new RegExp(`^${HAND_OVER}_bucket\\{le="([^"]+)"\\} (\\d+)`, 'gm'))].map(
            ([, le = '', count]) => [le, Number(count)],
          ),
        ),
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function spread(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN) * 1_000) / 1_000;
  return { min: at(0), low: at(0.25), median: at(0.5), high: at(0.75), max: at(1) };
}
