/**
 * `npm run bench`: CPU per Check and Checks per second of one core, for an allow-all policy, for the quickstart policy
 * and for a grpc-js server with a constant answer, in one run. What counts is ours ÷ constant: the speed of a machine
 * changes from minute to minute, the ratio hardly does. Every answer is compared with OPA's own evaluator; one that
 * differs makes the bench fail.
 *
 * CPU is that of the whole server process, from the operating system. `checksPerSecond` is bounded by the load too,
 * which needs a core of its own: where `busy` is well below 1, read `checksPerCoreSecond`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compare, evaluateWithOpa } from './expected.ts';
import { createLoadClient, type LoadClient } from './load.ts';
import { createRequests } from './requests.ts';
import { type Pinning, pinLoad, type ServerProcess, startServer } from './server-process.ts';
import { CONSTANT_ANSWER } from './wire.ts';

const CONCURRENCY = 16;
const WARM_UP_CHECKS = 3_000;
/** Short runs, many of them: whatever else the machine does meets all contenders. */
const CHECKS = 1_500;
const ROUNDS = 15;
/** When so much time has passed no more rounds begin, on a machine that others use too; but some there must be. */
const BUDGET_SECONDS = 55;
const MIN_ROUNDS = 3;
const SHOWN_DIFFERENCES = 5;

const QUICKSTART = fileURLToPath(new URL('../../policies/quickstart', import.meta.url));
const ALLOW_ALL = 'package envoy.authz\n\nallow := true\n';

interface Contender {
  readonly name: 'constant' | 'allowAll' | 'quickstart';
  readonly server: ServerProcess;
  readonly client: LoadClient;
  /** @returns what is wrong with the answer to the request of this index */
  readonly judge: (answer: Buffer, index: number) => string | undefined;
  readonly samples: Sample[];
}

interface Sample {
  readonly cpuMicros: number;
  readonly checksPerSecond: number;
  readonly busy: number;
}

await using stack = new AsyncDisposableStack();
const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'chancery-bench-')), (it) =>
  rm(it, { recursive: true }),
);
const allowAll = join(folder, 'allow-all.rego');
await writeFile(allowAll, ALLOW_ALL);

say('asking OPA …');
const requests = createRequests();
const inputs = requests.map(({ input }) => input);
const expected = {
  allowAll: await evaluateWithOpa(allowAll, inputs),
  quickstart: await evaluateWithOpa(QUICKSTART, inputs),
};
const denied = expected.quickstart.filter(({ allowed }) => !allowed).length;
if (denied < 0.3 * requests.length) throw new Error(`the quickstart policy denies only ${denied} requests`);

say('starting the servers …');
const pinning = pinLoad();
const contenders = [
  await contender('constant', ['constant'], pinning, (answer) =>
    answer.equals(CONSTANT_ANSWER) ? undefined : 'another answer than the constant one',
  ),
  await contender('allowAll', ['policy', allowAll], pinning, (answer, index) =>
    compare(answer, expected.allowAll[index]!),
  ),
  await contender('quickstart', ['policy', QUICKSTART], pinning, (answer, index) =>
    compare(answer, expected.quickstart[index]!),
  ),
] as const;

const bytes = requests.map((request) => request.bytes);
const differences: string[] = [];
let compared = 0;
say('warming up …');
for (const each of contenders) await measure(each, WARM_UP_CHECKS);
for (let round = 1; round <= ROUNDS && (round <= MIN_ROUNDS || isInTime()); round += 1) {
  say(`round ${round} of ${ROUNDS} …`);
  // each round begins with another one, so that none always follows the same
  for (let turn = 0; turn < contenders.length; turn += 1) {
    const each = contenders[(round + turn) % contenders.length]!;
    each.samples.push(await measure(each, CHECKS));
  }
}

const [constant, ...ours] = await Promise.all(contenders.map(toReport));
const report = {
  date: new Date().toISOString(),
  machine: {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 1_048_576),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    /** of the last minute, the bench included: above `cores`, others were at work */
    loadAverage: round(loadavg()[0] ?? 0),
    pinned: pinning ?? 'no: it takes taskset and two cores',
  },
  load: {
    requests: requests.length,
    requestBytes: Math.round(bytes.reduce((sum, { length }) => sum + length, 0) / bytes.length),
    deniedByQuickstart: denied,
    concurrency: CONCURRENCY,
    checksPerRun: CHECKS,
    rounds: contenders[0].samples.length,
    answersCompared: compared,
    answersThatDiffer: differences.length,
  },
  constant: constant!.figures,
  ...Object.fromEntries(
    ours.map(({ name, figures }) => [
      name,
      {
        ...figures,
        overConstant: {
          cpuMicrosPerCheck: ratio(
            figures.cpuMicrosPerCheck.median,
            constant!.figures.cpuMicrosPerCheck.median,
          ),
          checksPerSecond: ratio(figures.checksPerSecond.median, constant!.figures.checksPerSecond.median),
        },
      },
    ]),
  ),
};
process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
for (const difference of differences.slice(0, SHOWN_DIFFERENCES)) say(difference);
if (differences.length > 0) process.exitCode = 1;

async function contender(
  name: Contender['name'],
  args: readonly string[],
  pinned: Pinning | undefined,
  judge: Contender['judge'],
): Promise<Contender> {
  const server = stack.adopt(await startServer(args, pinned), (it) => it.stop());
  const client = stack.adopt(createLoadClient(server.target), (it) => it.close());
  return { name, server, client, judge, samples: [] };
}

/** The answers are judged after the clock has stopped. */
async function measure({ name, server, client, judge }: Contender, count: number): Promise<Sample> {
  const before = await server.usage();
  const { answers, seconds } = await client.run(bytes, count, CONCURRENCY);
  const cpuMicros = (await server.usage()).cpuMicros - before.cpuMicros;
  for (const [at, answer] of answers.entries()) {
    const index = at % bytes.length;
    const difference = judge(answer, index);
    compared += 1;
    if (difference !== undefined) differences.push(`${name}, request ${index}: ${difference}`);
  }
  return {
    cpuMicros: cpuMicros / count,
    checksPerSecond: count / seconds,
    busy: cpuMicros / (seconds * 1e6),
  };
}

async function toReport({ name, server, samples }: Contender) {
  const cpu = spread(samples.map(({ cpuMicros }) => cpuMicros));
  const figures = {
    cpuMicrosPerCheck: cpu,
    checksPerSecond: spread(samples.map(({ checksPerSecond }) => checksPerSecond)),
    busy: spread(samples.map(({ busy }) => busy)).median,
    checksPerCoreSecond: Math.round(1e6 / cpu.median),
    rssMiB: (await server.usage()).rssMiB,
  };
  return { name, figures };
}

function spread(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => round(sorted[index] ?? Number.NaN);
  return { median: at(Math.floor(sorted.length / 2)), min: at(0), max: at(sorted.length - 1) };
}

function ratio(ours: number, other: number): number {
  return round(ours / other);
}

function round(value: number): number {
  return value > 1_000 ? Math.round(value) : Math.round(value * 100) / 100;
}

function isInTime(): boolean {
  return performance.now() < BUDGET_SECONDS * 1000;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
