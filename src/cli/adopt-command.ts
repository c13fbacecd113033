import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { type AdoptionPlan, adoptJournal } from '../journal/adopt.ts';
import { MAX_NOTE_LENGTH } from '../journal/adopt-body.ts';
import { toText } from '../journal/known-head.ts';
import { type LocalCopy, readLocalCopy } from '../journal/local-copy.ts';
import { systemRandom } from '../journal/random.ts';
import { readSigningKeyFile } from '../journal/signing-key.ts';
import type { Expectations } from '../journal/verify.ts';
import { planStoreAdoption } from '../roles/adoption.ts';
import { openStore } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';
import { say } from './output.ts';
import { abortWhenSignalled } from './signals.ts';
import { expectPinnedStore } from './store-flags.ts';

export interface AdoptFlags {
  readonly lostFrom: readonly string[];
  readonly lostUnknown?: boolean;
  readonly force?: boolean;
  readonly note?: string;
  readonly yes?: boolean;
}

const MAX_SHOWN = 100;

/** Says what an adoption does, and with `--yes` does it. @returns 0 when it was done, else 1 */
export async function adoptCommand(config: Config, flags: AdoptFlags, logger: Logger): Promise<number> {
  const { store: options, expectations } = expectPinnedStore(config, 'store adopt');
  const { signingKeyFile } = config.journal;
  if (signingKeyFile === undefined) {
    throw new Failure('request_malformed', '`store adopt` needs journal.signingKeyFile');
  }
  const { note } = flags;
  if (note !== undefined && (note.length === 0 || note.length > MAX_NOTE_LENGTH)) {
    throw new Failure('request_malformed', `--note holds 1 to ${MAX_NOTE_LENGTH} characters`);
  }
  const signingKey = readSigningKeyFile(signingKeyFile);
  const lost = await readLost(flags, expectations);
  const store = await openStore(options, logger);
  try {
    const { journal, blobs } = store;
    const signal = abortWhenSignalled();
    const plan = await planStoreAdoption({ journal, blobs, expectations, lost, logger, signal });
    describe(plan);
    if (plan.lost === 'none' && flags.force !== true) {
      throw new Failure(
        'request_malformed',
        'the store has all of it: nothing is lost (--force begins a new epoch all the same)',
      );
    }
    if (flags.yes !== true) {
      say('nothing was changed; the same with --yes does it');
      return 1;
    }
    const ambient = { clock: systemClock, random: systemRandom };
    const head = await adoptJournal(plan, { journal, signingKey, reason: 'adopt', note, ...ambient });
    say(`adopted: the journal goes on in epoch ${head.epoch}, head ${toText(head)}`);
    return 0;
  } finally {
    await store.close();
  }
}

async function readLost(
  { lostFrom, lostUnknown, force }: AdoptFlags,
  expectations: Expectations,
): Promise<readonly LocalCopy[] | 'unknown' | 'none'> {
  if (lostFrom.length > 0 && lostUnknown === true) {
    throw new Failure('request_malformed', '--lost-from and --lost-unknown contradict each other');
  }
  if (lostUnknown === true) return 'unknown';
  if (lostFrom.length > 0) return Promise.all(lostFrom.map((folder) => readCopy(folder, expectations)));
  if (force === true) return 'none';
  throw new Failure(
    'request_malformed',
    'name the local copies of the replicas that are ahead of the store (--lost-from, may be repeated), or say that ' +
      'nobody has what was lost (--lost-unknown): then nothing of it stays revoked',
  );
}

export async function readCopy(folder: string, expectations: Expectations): Promise<LocalCopy> {
  const copy = await readLocalCopy(folder, expectations);
  if (copy !== undefined) return copy;
  throw new Failure('not_found', `there is no local copy in ${folder}`);
}

export function describe({ base, lost, lostEntries, kept }: AdoptionPlan): void {
  say(`head of the store: ${toText(base.position)}`);
  if (lost === 'unknown') say('lost: unknown; what it had revoked is allowed again');
  if (typeof lost === 'string') return;
  say(`lost: ${lostEntries} entries, through ${toText(lost.through)}`);
  sayList(lost.entries.map(({ seq, kind, at }) => `${seq} ${at} ${kind}`));
  const releases = lost.entries.filter(({ kind }) => kind === 'policy.release');
  if (releases.length > 0) {
    say(`policies go back to the releases before seq ${releases[0]?.seq}: release again what shall run`);
  }
  say(`stays revoked until somebody makes it anew: ${kept.length}`);
  sayList(kept.map(({ kind, key }) => `${kind} ${key}`));
}

function sayList(lines: readonly string[]): void {
  for (const line of lines.slice(0, MAX_SHOWN)) say(`  ${line}`);
  if (lines.length > MAX_SHOWN) say(`  … and ${lines.length - MAX_SHOWN} more`);
}
