/** What policy authors ask about a policy, and the bundle of it. */
import { type Command, Option } from 'commander';
import { EXPLAIN_MODES } from '../rego/test-messages.ts';
import { toInteger, withFormat, withIgnore } from './author-flags.ts';
import { telling } from './author-issues.ts';
import type { BenchFlags } from './bench-command.ts';
import type { BuildFlags } from './build-command.ts';
import type { DepsFlags } from './deps-command.ts';
import type { EvalFlags } from './eval-command.ts';
import { EVAL_FORMATS, EVAL_TARGETS } from './eval-formats.ts';

type Finish = (code: number) => void;

const collect = (value: string, all: readonly string[]): readonly string[] => [...all, value];

export function addQueryCommands(program: Command, finish: Finish): void {
  addEval(program, finish);
  addBuild(program, finish);
  addDeps(program, finish);
  addBench(program, finish);
}

function addEval(program: Command, finish: Finish): void {
  const command = program
    .command('eval')
    .description("answer a query by OPA's evaluator and by the compiled module, which must agree")
    .argument('<query>', 'for example data.envoy.authz.allow')
    .option('-d, --data <path>', 'file or folder of Rego and data; may be repeated', collect, [])
    .option('-i, --input <file>', 'JSON')
    .option('-I, --stdin-input', 'read the input from standard input')
    .addOption(new Option('-t, --target <target>', 'who answers').choices(EVAL_TARGETS).default('both'))
    .addOption(new Option('--explain <mode>', 'show a trace, on standard error').choices(EXPLAIN_MODES))
    .option('--fail', 'exit code 1 when the query is undefined')
    .option('--fail-defined', 'exit code 1 when the query is defined')
    .option('--strict-builtin-errors', "errors of built-in functions end OPA's evaluation");
  withFormat(withIgnore(command), EVAL_FORMATS).action(async (query: string, flags: EvalFlags) => {
    const { evalCommand } = await import('./eval-command.ts');
    finish(await evalCommand(query, flags));
  });
}

function addBuild(program: Command, finish: Finish): void {
  const command = program
    .command('build')
    .description('write an OPA bundle with the compiled module')
    .argument('<paths...>', 'files or folders')
    .option(
      '-e, --entrypoint <path>',
      'a rule that can be asked, default envoy/authz/allow; may be repeated',
      collect,
      [],
    )
    .option('-o, --output <file>', 'the bundle', 'bundle.tar.gz')
    .option('-r, --revision <text>', 'of the manifest', '');
  withIgnore(command).action(async (paths: string[], flags: BuildFlags) => {
    const { buildCommand } = await import('./build-command.ts');
    finish(await telling(() => buildCommand(paths, flags)));
  });
}

function addDeps(program: Command, finish: Finish): void {
  const command = program
    .command('deps')
    .description('say what an answer depends on: data, rules, and what of the input is read')
    .argument('<path>', 'file or folder')
    .argument('<ref>', 'for example data.envoy.authz.allow');
  withFormat(withIgnore(command), ['pretty', 'json']).action(
    async (path: string, ref: string, flags: DepsFlags) => {
      const { depsCommand } = await import('./deps-command.ts');
      finish(await telling(() => depsCommand(path, ref, flags)));
    },
  );
}

function addBench(program: Command, finish: Finish): void {
  const command = program
    .command('bench')
    .description('say what an evaluation costs in units, and how fast it is beside OPA in the toolchain')
    .argument('<path>', 'file or folder')
    .argument('<rule>', 'for example data.envoy.authz.allow')
    .option('-i, --input <file>', 'JSON; default {}')
    .option('--count <rounds>', 'how often both are measured, 0.4 s each', toInteger, 10);
  withFormat(withIgnore(command), ['pretty', 'json']).action(
    async (path: string, rule: string, flags: BenchFlags) => {
      const { benchCommand } = await import('./bench-command.ts');
      finish(await telling(() => benchCommand(path, rule, flags)));
    },
  );
}
