/** The commands of `chancery store` that copy it, put one back, and make it smaller; each loads its own modules. */
import type { Command } from 'commander';
import type { Config } from '../config/schema.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { ArchiveFlags } from './archive-command.ts';
import type { BackupFlags } from './backup-command.ts';
import type { CopyFlags } from './copy-command.ts';
import type { RestoreFlags } from './restore-command.ts';

export interface CommandDeps<ConfigFlags> {
  /** adds what names a configuration */
  readonly withConfig: (command: Command) => Command;
  /** of what was named; the key that signs may be missing */
  readonly toConfig: (flags: ConfigFlags) => Config;
  readonly finish: (exitCode: number) => void;
}

export function addCopyCommands<ConfigFlags>(store: Command, deps: CommandDeps<ConfigFlags>): void {
  const { withConfig, toConfig, finish } = deps;
  const logger = createLogger('error');
  const command = (name: string): Command =>
    withConfig(store.command(name)).option('--json', 'print the result as JSON');

  command('copy')
    .description('move an instance to another file: journal, blobs, sealed secrets; run again, it goes on')
    .requiredOption('--to <file>', 'a new file, or an earlier copy')
    .action(async (flags: ConfigFlags & CopyFlags) => {
      const { copyCommand } = await import('./copy-command.ts');
      finish(await copyCommand(toConfig(flags), flags, logger));
    });

  command('backup')
    .description(
      'a copy of the journal and its blobs as they are now, without secrets, also while `serve` runs',
    )
    .requiredOption('--to <file>', 'a new file')
    .action(async (flags: ConfigFlags & BackupFlags) => {
      const { backupCommand } = await import('./backup-command.ts');
      finish(await backupCommand(toConfig(flags), flags, logger));
    });

  command('restore')
    .description('make the store of the configuration from a backup, and begin a new epoch')
    .requiredOption('--from <file>', 'a backup')
    .option(
      '--lost-from <folder>',
      'the local copy of a replica that knows what came after; may be repeated',
      (value, all: string[]) => [...all, value],
      [],
    )
    .action(async (flags: ConfigFlags & RestoreFlags) => {
      const { restoreCommand } = await import('./restore-command.ts');
      finish(await restoreCommand(toConfig(flags), flags, logger));
    });

  withConfig(store.command('archive'))
    .description('move entries up to a checkpoint into a signed segment; the store begins after it')
    .requiredOption(
      '--before <seq | time>',
      'the last entry that may leave: its seq, or a time that it is before',
    )
    .requiredOption(
      '--to <folder>',
      'of the segments, with the earlier ones; keep it: the store has them no more',
    )
    .option('--force', 'also entries that are younger than 24 hours: a retried call may then be done twice')
    .option('--yes', 'do it, and not only say what it does')
    .action(async (flags: ConfigFlags & ArchiveFlags) => {
      const { archiveCommand } = await import('./archive-command.ts');
      finish(await archiveCommand(toConfig(flags), flags, logger));
    });

  command('collect')
    .description('delete blobs that nothing refers to; role admin does it by itself every hour')
    .action(async (flags: ConfigFlags & { readonly json?: boolean }) => {
      const { collectCommand } = await import('./collect-command.ts');
      finish(await collectCommand(toConfig(flags), flags, logger));
    });
}
