/** `chancery config …`: the registry as one document, over the admin REST. */
import type { Command } from 'commander';
import type { ConfigDocumentFlags } from './config-command.ts';

const ACTIONS = {
  plan: 'say what a document would change, and change nothing',
  apply: 'make the registry what a document says; what it does not describe is deleted',
} as const;

export function addConfigCommands(program: Command, finish: (code: number) => void): void {
  const config = program.command('config').description('the registry as one document, YAML or JSON');
  for (const action of ['plan', 'apply'] as const) {
    config
      .command(action)
      .exitOverride()
      .description(ACTIONS[action])
      .argument('<file>', 'as `GET /v1/config` gives it')
      .requiredOption('--url <url>', 'of the admin REST')
      .requiredOption('--token-file <file>', 'an API token with registry:write')
      .option('--ca-file <file>', 'PEM: authorities of the certificate that Chancery shows')
      .option('--if-match <etag>', 'of `GET /v1/config`: refuse when the journal has gone on since')
      .action(async (file: string, flags: ConfigDocumentFlags) => {
        const { configCommand } = await import('./config-command.ts');
        finish(await configCommand(action, file, flags));
      });
  }
}
