/** `chancery node …`: what runs on a node, without a configuration. */
import type { Command } from 'commander';
import type { EnrolFlags } from './node-enrol-command.ts';
import type { ProbeFlags, RunFlags } from './node-run-command.ts';
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
  node
    .command('run')
    .exitOverride()
    .description('run the Envoy of this node, also while Chancery is away, and tell what it enforces')
    .requiredOption('--id <id>', 'of this node')
    .requiredOption('--url <url>', 'of the admin REST, https://host:8181')
    .requiredOption(
      '--out <dir>',
      'the folder of `node enrol`; what is needed without Chancery is kept there',
    )
    .option(
      '--ca-file <file>',
      'PEM: authorities of the certificates that Chancery shows; default: as enrolled',
    )
    .option('--ca-fingerprint <sha256:hex>', 'as of `node enrol`, where there is no certificate yet')
    .option('--token-file <file>', 'the enrolment token, where there is no certificate yet')
    .option('--envoy <file>', 'the binary; default: the one that the set-up has fetched')
    .option('--concurrency <n>', 'workers of Envoy')
    .option('--admin-port <port>', "of Envoy's administration on 127.0.0.1; 0: any free one")
    .action(async (flags: RunFlags) => {
      const { runCommand } = await import('./node-run-command.ts');
      finish(await runCommand(flags, abortWhenSignalled()));
    });
  node
    .command('probe')
    .exitOverride()
    .description("ask this node's listener which position of the journal it enforces")
    .requiredOption('--port <port>', 'of the listener')
    .option('--address <ip>', 'of the listener', '127.0.0.1')
    .option('--tls', 'the listener has TLS')
    .option('--out <dir>', 'the folder of `node enrol`: its certificate is shown to the listener')
    .action(async (flags: ProbeFlags) => {
      const { probeCommand } = await import('./node-run-command.ts');
      finish(await probeCommand(flags));
    });
}
