import type { Config } from '../config/schema.ts';
import { copyStore } from '../journal/copy.ts';
import { openStore } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';
import { describeCopy } from './copy-command.ts';
import { writeNewFile } from './new-store-file.ts';
import { say } from './output.ts';
import { createProgressPrinter } from './progress.ts';
import { abortWhenSignalled } from './signals.ts';
import { expectPinnedStore } from './store-flags.ts';

export interface BackupFlags {
  readonly to: string;
  readonly json?: boolean;
}

/**
 * A copy of one head, also while others write: the journal only grows, so what was there at the beginning is what is
 * copied. No secrets, and nothing of the shared state.
 *
 * @returns 0
 */
export async function backupCommand(
  config: Config,
  { to, json }: BackupFlags,
  logger: Logger,
): Promise<number> {
  const { store: options, expectations } = expectPinnedStore(config, 'store backup');
  const source = await openStore(options, logger);
  try {
    const printer = createProgressPrinter('backed up');
    const signal = abortWhenSignalled();
    const result = await writeNewFile({ to, as: 'backup', resume: true, logger }, (target) =>
      copyStore({ source, target, expectations, onProgress: printer.show, signal }),
    ).finally(() => printer.end());
    if (json === true) say(JSON.stringify(result));
    else say(describeCopy('backed up', result));
    return 0;
  } finally {
    await source.close();
  }
}
