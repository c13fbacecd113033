import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { archive, planArchive } from '../journal/archive.ts';
import { readSigningKeyFile } from '../journal/signing-key.ts';
import { createFreshReducers } from '../roles/adoption.ts';
import { openStore } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';
import { say } from './output.ts';
import { abortWhenSignalled } from './signals.ts';
import { expectPinnedStore } from './store-flags.ts';

export interface ArchiveFlags {
  readonly before: string;
  readonly to: string;
  readonly force?: boolean;
  readonly yes?: boolean;
}

/** The life of an Idempotency-Key: as long, its entry must be found. */
const YOUNGEST_MS = 24 * 3_600_000;
/** To delete a million entries takes a while. */
const CALL_TIMEOUT_MS = 120_000;

/** Says what would leave the store, and with `--yes` does it. @returns 0 when it was done, else 1 */
export async function archiveCommand(config: Config, flags: ArchiveFlags, logger: Logger): Promise<number> {
  const { store: options, expectations } = expectPinnedStore(config, 'store archive');
  const { signingKeyFile } = config.journal;
  if (signingKeyFile === undefined) {
    throw new Failure('request_malformed', '`store archive` needs journal.signingKeyFile');
  }
  const signingKey = readSigningKeyFile(signingKeyFile);
  const before = parseBefore(flags.before);
  const store = await openStore(
    { ...options, sqlite: { ...options.sqlite, callTimeoutMs: CALL_TIMEOUT_MS } },
    logger,
  );
  try {
    const { journal, blobs, checkpoints } = store;
    const youngestMs = flags.force === true ? Number.POSITIVE_INFINITY : Date.now() - YOUNGEST_MS;
    const signal = abortWhenSignalled();
    const common = {
      journal,
      blobs,
      checkpoints,
      expectations,
      before,
      youngestMs,
      createReducers: createFreshReducers,
      logger,
    };
    const plan = await planArchive({ ...common, signal });
    const { position, at } = plan.checkpoint;
    say(
      `${plan.entries} entries leave the store: seq ${plan.firstSeq} to ${position.seq}, the last of ${at}`,
    );
    if (flags.yes !== true) {
      say('nothing was changed; the same with --yes does it');
      return 1;
    }
    const name = await archive(plan, { ...common, signal, signingKey, folder: flags.to });
    say(`archived: ${name}; the journal begins with seq ${position.seq + 1}`);
    return 0;
  } finally {
    await store.close();
  }
}

const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2}))?$/;

/** @throws Failure request_malformed */
function parseBefore(text: string): number | Date {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  const time = new Date(text);
  if (TIME.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new Failure('request_malformed', '--before is a seq, a date or a time of RFC 3339');
}
