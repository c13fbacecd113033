import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { collectBlobs } from '../journal/collect.ts';
import { openStore } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';
import { say } from './output.ts';
import { abortWhenSignalled } from './signals.ts';

/** Deletes the blobs that nothing refers to, at most as many as one run of role admin does. @returns 0 */
export async function collectCommand(
  { store: options }: Config,
  { json }: { readonly json?: boolean },
  logger: Logger,
): Promise<number> {
  if (options === undefined)
    throw new Failure('request_malformed', '`store collect` needs store.sqlite.path');
  const store = await openStore(options, logger);
  try {
    const graceMs = options.blobGraceSeconds * 1_000;
    const result = await collectBlobs({ ...store, graceMs, signal: abortWhenSignalled() });
    if (json === true) say(JSON.stringify(result));
    else {
      const rest = result.more ? '; there may be more: run it again' : '';
      say(`deleted: ${result.blobs} blobs that nothing refers to, ${result.bytes} bytes${rest}`);
    }
    return 0;
  } finally {
    await store.close();
  }
}
