import type { Config } from '../config/schema.ts';
import { isDigest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { readSegments } from '../journal/segments.ts';
import { verifyStore } from '../journal/verify-store.ts';
import { openStore } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';
import { say } from './output.ts';

export interface VerifyFlags {
  /** this file, and not the store of the configuration */
  readonly backup?: string;
  /** of an archived journal: all that left it */
  readonly segments?: string;
}

/** @returns 0 when the journal is whole and anchored to its pin, else 1 */
export async function verifyCommand(
  config: Config,
  { backup, segments }: VerifyFlags,
  logger: Logger,
): Promise<number> {
  const options = backup === undefined ? config.store : { sqlite: { path: backup }, backup: true };
  if (options === undefined)
    throw new Failure('request_malformed', '`store verify` needs store.sqlite.path, or --backup');
  const store = await openStore(options, logger);
  try {
    const { genesis } = config.journal;
    const { journal } = store;
    const expectations = isDigest(genesis) ? { genesis } : {};
    const archived = segments === undefined ? undefined : readSegments(segments, journal, expectations);
    const { ok, anchored, head, from, entries, erased, problems } = await verifyStore({
      journal,
      blobs: store.blobs,
      expectations,
      ...(archived && { archived }),
    });
    for (const { seq, message } of problems) say(`seq ${seq}: ${message}`);
    if (erased.length > 0) say(`erased bodies: seq ${erased.join(', ')}`);
    const verdict = ok
      ? `consistent, ${anchored ? 'anchored' : 'not anchored (journal.genesis is not set)'}`
      : 'broken';
    const start = from === 0 ? '' : ` from the checkpoint at seq ${from}`;
    say(`${verdict}${start}: ${entries} entries, head ${head.epoch}.${head.seq} ${head.digest}`);
    return ok && anchored ? 0 : 1;
  } finally {
    await store.close();
  }
}
