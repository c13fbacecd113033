/** What policy authors run: no configuration, no store. Flags are those of `opa` where it has them. */
import { type Command, Option } from 'commander';
import { EXPLAIN_MODES } from '../rego/test-messages.ts';
import { toInteger, toMilliseconds, toPercent, withFormat, withIgnore } from './author-flags.ts';
import { telling } from './author-issues.ts';
import type { CheckFlags } from './check-command.ts';
import type { FmtFlags } from './fmt-command.ts';
import { addQueryCommands } from './query-commands.ts';
import type { TestFlags } from './test-command.ts';

type Finish = (code: number) => void;

/** A command line that they cannot read is 1, as with `opa`: 2 says that a test fails. */
export const AUTHOR_COMMANDS: ReadonlySet<string> = new Set([
  'check',
  'fmt',
  'test',
  'eval',
  'build',
  'deps',
  'bench',
]);

export function addAuthorCommands(program: Command, finish: Finish): void {
  addCheck(program, finish);
  addFmt(program, finish);
  addTest(program, finish);
  addQueryCommands(program, finish);
}

function addCheck(program: Command, finish: Finish): void {
  const command = program
    .command('check')
    .description('check Rego files: that they parse, and compile as they would when they are published')
    .argument('<paths...>', 'files or folders')
    .option('-S, --strict', 'unused variables and imports are errors too')
    .option('-m, --max-errors <number>', 'how many errors are told; 0: all', toInteger, 10);
  withFormat(withIgnore(command), ['pretty', 'json']).action(async (paths: string[], flags: CheckFlags) => {
    const { checkCommand } = await import('./check-command.ts');
    finish(await checkCommand(paths, flags));
  });
}

function addFmt(program: Command, finish: Finish): void {
  program
    .command('fmt')
    .description('write Rego files as OPA formats them')
    .argument('<paths...>', 'files or folders')
    .option('-w, --write', 'rewrite the files')
    .option('-l, --list', 'say only which files would change')
    .option('-d, --diff', 'say only what would change')
    .option('--fail', 'exit code 2 when something would change')
    .action(async (paths: string[], flags: FmtFlags) => {
      const { fmtCommand } = await import('./fmt-command.ts');
      finish(await telling(() => fmtCommand(paths, flags)));
    });
}

function addTest(program: Command, finish: Finish): void {
  const command = program
    .command('test')
    .description("run Rego tests on OPA's evaluator and on the compiled module; a difference fails")
    .argument('<paths...>', 'files or folders')
    .option('-v, --verbose', 'tell of each test')
    .option('-r, --run <regex>', 'only tests whose full name matches')
    .option('--timeout <duration>', 'of one test, for example 500ms or 5s', toMilliseconds, 5_000)
    .option('-c, --coverage', 'print which lines the tests have reached')
    .option('--threshold <percent>', 'of lines that the tests must reach; measures coverage', toPercent, 0)
    .option('--var-values', 'show the values of variables in expressions that failed')
    .option('--fail-on-empty', 'no test at all is an error')
    .option('-z, --exit-zero-on-skipped', 'skipped tests do not count as failed')
    .option('-w, --watch', 'run again whenever a file changes')
    .option('--count <number>', 'how often each test is run', toInteger, 1)
    .addOption(new Option('--explain <mode>', 'show a trace of failed tests').choices(EXPLAIN_MODES));
  withFormat(withIgnore(command), ['pretty', 'json', 'junit']).action(
    async (paths: string[], flags: TestFlags) => {
      const { testCommand } = await import('./test-command.ts');
      finish(await testCommand(paths, flags));
    },
  );
}
