/** `chancery node …`: what runs on a node, without a configuration. */
import type { Command } from 'commander';
import type { EnrolFlags } from './node-enrol-command.ts';
import { abortWhenSignalled } from './signals.ts';

export function addNodeCommands(program: Command, finish: (code: number) => void): void {
  const node = program.command('node').description('what is done on a node');
  node
    .command('enrol')
    .exitOverride()
    .description('get a certificate for this node with a one-time token, and renew it')
    .requiredOption('--url <url>', 'of the admin REST, https://host:8181')
    .option('--ca-file <file>', 'PEM: authorities of the certificates that Chancery shows')
    .option(
      '--ca-fingerprint <sha256:hex>',
      'of a certificate in the chain that the admin REST shows, instead',
    )
    .option('--token-file <file>', 'the enrolment token of this node')
    .requiredOption(
      '--out <dir>',
      'where key and certificates are put: <dir>/current/*.pem, <dir>/*.sds.json',
    )
    .option('--renew', 'renew the certificate that is there, now')
    .option('--watch', 'stay, and renew in time; a valid certificate that is there is kept')
    .action(async (flags: EnrolFlags) => {
      const { enrolCommand } = await import('./node-enrol-command.ts');
      finish(await enrolCommand(flags, abortWhenSignalled()));
    });
}
