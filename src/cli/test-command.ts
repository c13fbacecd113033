/**
 * `chancery test`: the tests of a policy on OPA's evaluator, and each of them once more on the compiled module that
 * production runs. Formats and exit codes are those of `opa test`; a difference between the two counts as a failure.
 */
import { Failure } from '../core/failure.ts';
import type { ExplainMode } from '../rego/test-messages.ts';
import type { Toolchain } from '../rego/toolchain.ts';
import { telling } from './author-issues.ts';
import { readSource, withToolchain } from './author-source.ts';
import { complain, say } from './output.ts';
import { abortWhenSignalled } from './signals.ts';
import { type ComparedTest, compareTests } from './test-comparison.ts';
import { type FinishedRun, toJson, toJunit, toPretty } from './test-formats.ts';
import { untilChanged } from './watch.ts';

export interface TestFlags {
  readonly verbose?: boolean;
  readonly run?: string;
  readonly timeout: number;
  readonly coverage?: boolean;
  /** percent; more than 0 measures coverage */
  readonly threshold: number;
  readonly format: 'pretty' | 'json' | 'junit';
  readonly ignore: readonly string[];
  readonly explain?: ExplainMode;
  readonly varValues?: boolean;
  readonly failOnEmpty?: boolean;
  readonly exitZeroOnSkipped?: boolean;
  readonly watch?: boolean;
  readonly count: number;
}

const FAILED = 2;
const RULE = '*'.repeat(80);

/** @returns 0 all pass, 2 a test fails or the coverage is below the threshold, 1 the tests cannot be run */
export function testCommand(paths: readonly string[], flags: TestFlags): Promise<number> {
  return withToolchain(async (toolchain) => {
    const once = (): Promise<number> => telling(() => runRepeatedly(paths, flags, toolchain));
    if (flags.watch !== true) return once();
    const stop = abortWhenSignalled();
    while (!stop.aborted) {
      await once();
      say(RULE);
      say('Watching for changes ...');
      await untilChanged(paths, stop);
    }
    return 0;
  });
}

async function runRepeatedly(
  paths: readonly string[],
  flags: TestFlags,
  toolchain: Toolchain,
): Promise<number> {
  for (let round = 0; round < flags.count; round += 1) {
    const code = await runOnce(paths, flags, toolchain);
    if (code !== 0) return code;
  }
  return 0;
}

async function runOnce(paths: readonly string[], flags: TestFlags, toolchain: Toolchain): Promise<number> {
  const { verbose = false, varValues = false, explain, run, threshold } = flags;
  const source = await readSource(paths, flags.ignore, toolchain);
  const coverage = flags.coverage === true || threshold > 0;
  const report = await toolchain.test({
    ...source,
    run,
    coverage,
    timeoutMs: flags.timeout,
    report: { verbose, varValues, explain },
    compiled: true,
  });
  if (report.compiled === undefined) throw new Failure('internal', 'The tests were not compiled');
  const tests = compareTests(report.tests, report.compiled, source.data ?? {});
  print({ report, tests, verbose }, flags, coverage);
  if (tests.length === 0 && flags.failOnEmpty === true) {
    complain('no tests were run');
    return 1;
  }
  if (tests.some((each) => isFailed(each, flags))) return FAILED;
  const reached = report.coverage?.report?.coverage ?? 0;
  if (coverage && reached < threshold) {
    complain(`Code coverage threshold not met: got ${reached.toFixed(2)} instead of ${threshold.toFixed(2)}`);
    return FAILED;
  }
  return 0;
}

/** With coverage `opa` prints nothing else, unless a test fails: then it prints that. */
function print(run: FinishedRun, flags: TestFlags, coverage: boolean): void {
  if (flags.format === 'junit') process.stdout.write(toJunit(run));
  const failed = run.tests.some((each) => isFailed(each, flags));
  if (coverage && !failed) {
    const text = JSON.stringify(run.report.coverage?.report, undefined, 2);
    if (flags.format === 'junit') complain(text);
    else say(text);
  } else if (flags.format === 'json') process.stdout.write(toJson(run));
  else if (flags.format === 'pretty') process.stdout.write(toPretty(run));
}

function isFailed({ test, comparison }: ComparedTest, { exitZeroOnSkipped = false }: TestFlags): boolean {
  if (comparison?.outcome === 'different' || test.outcome === 'fail' || test.outcome === 'error') return true;
  return test.outcome === 'skip' && !exitZeroOnSkipped;
}
