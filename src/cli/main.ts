/** The `chancery` command. Each command loads its own modules: most of them need few, and a start should be quick. */
import { Command, CommanderError } from 'commander';
import { ApiError } from '../client/api-error.ts';
import { type ConfigSources, ConfigurationError, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { AdoptFlags } from './adopt-command.ts';
import { AUTHOR_COMMANDS, addAuthorCommands } from './author-commands.ts';
import { addConfigCommands } from './config-commands.ts';
import { addCopyCommands } from './copy-commands.ts';
import { addNodeCommands } from './node-commands.ts';
import { complain, say } from './output.ts';
import { UsageError } from './usage-error.ts';
import type { VerifyFlags } from './verify-command.ts';

interface ConfigFlags {
  readonly config?: string;
  readonly set: readonly string[];
}

/** @returns the exit code: 0 done, 1 refused or failed, 2 not understood; of the author's commands as `opa` has them */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      return AUTHOR_COMMANDS.has(args[0] ?? '') ? 1 : 2;
    }
    for (const line of explain(error)) complain(`chancery: ${line}`);
    return error instanceof ConfigurationError || error instanceof UsageError ? 2 : 1;
  }
}

function buildProgram(finish: (code: number) => void): Command {
  const program = new Command('chancery')
    .description('Envoy external authorization, policy administration and control plane')
    .exitOverride();

  withConfig(program.command('serve'))
    .description('run the roles of the configuration; policy files and folders are for a journal in memory')
    .argument('[policies...]', 'Rego files or folders; each folder is a policy of its name')
    .action(async (policies: string[], flags: ConfigFlags) => {
      const { serveCommand } = await import('./serve-command.ts');
      finish(await serveCommand(toConfig(flags), policies));
    });

  withConfig(program.command('init'))
    .description('begin a journal: store, signing key, genesis, one-time admin token')
    .option('--token-file <file>', 'write the one-time token to a new 0600 file instead of the terminal')
    .action(async (flags: ConfigFlags & { readonly tokenFile?: string }) => {
      const { initInstance, writeSecretFile } = await import('./init-command.ts');
      const { genesisDigest, token } = await initInstance(
        toConfig(flags, true),
        false,
        createLogger('error'),
      );
      say(`journal.genesis: ${genesisDigest}`);
      if (flags.tokenFile === undefined) say(`one-time admin token (one hour, one use): ${token}`);
      else writeSecretFile(flags.tokenFile, token);
    });

  program
    .command('dev')
    .description(
      'everything on this machine: all roles, a real Envoy, a sample upstream, a development issuer',
    )
    .action(async () => {
      const { devCommand } = await import('./dev-command.ts');
      finish(await devCommand());
    });

  const store = program.command('store').description('the store of the journal');
  withConfig(store.command('verify'))
    .description('check every entry, body and blob, and the chain back to the pinned genesis')
    .option('--backup <file>', 'of a backup, and not of the store of the configuration')
    .option('--segments <folder>', 'walk the archived entries too, from genesis')
    .action(async (flags: ConfigFlags & VerifyFlags) => {
      const { verifyCommand } = await import('./verify-command.ts');
      finish(await verifyCommand(toConfig(flags, true), flags, createLogger('error')));
    });
  withConfig(store.command('adopt'))
    .description(
      'go on with a store that has lost entries, in a new epoch; what they had revoked stays revoked',
    )
    .option(
      '--lost-from <folder>',
      'the local copy of a replica that is ahead of the store; may be repeated',
      (value, all: string[]) => [...all, value],
      [],
    )
    .option('--lost-unknown', 'nobody has what was lost')
    .option('--force', 'also when nothing is lost')
    .option('--note <text>', 'for the journal')
    .option('--yes', 'do it, and not only say what it does')
    .action(async (flags: ConfigFlags & AdoptFlags) => {
      const { adoptCommand } = await import('./adopt-command.ts');
      finish(await adoptCommand(toConfig(flags, true), flags, createLogger('error')));
    });
  addAuthorCommands(program, finish);
  addConfigCommands(program, finish);
  addNodeCommands(program, finish);
  addCopyCommands(store, { withConfig, toConfig: (flags: ConfigFlags) => toConfig(flags, true), finish });

  return program;
}

function withConfig(command: Command): Command {
  return command
    .exitOverride()
    .option('--config <file>', 'YAML or JSON')
    .option(
      '--set <path=value>',
      'one setting, for example admin.port=8181; may be repeated',
      (value, all: string[]) => [...all, value],
      [],
    );
}

function toConfig({ config, set }: ConfigFlags, unpinned = false): Config {
  const sources: ConfigSources = { env: 'process', set, ...(config === undefined ? {} : { file: config }) };
  return loadConfig(sources, { unpinned });
}

function explain(error: unknown): readonly string[] {
  if (error instanceof ConfigurationError) return error.message.split('\n');
  if (error instanceof ApiError) return [`${error.detail} (${error.code})`, ...causesOf(error)];
  if (!(error instanceof Failure))
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  const lines = error.issues.map(({ file, line, column, pointer, message }) => {
    const place =
      file === undefined ? pointer : [file, line, column].filter((part) => part !== undefined).join(':');
    return place === undefined ? message : `${place}: ${message}`;
  });
  return [`${error.detail} (${error.code})`, ...lines];
}

/** Why nobody was reached: what a library threw says it in words that help, for example of a certificate. */
function causesOf({ cause }: Error): readonly string[] {
  return cause instanceof Error ? [cause.message, ...causesOf(cause)] : [];
}
