import { existsSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { type AdoptionPlan, adoptJournal } from '../journal/adopt.ts';
import { type CopyResult, copyStore } from '../journal/copy.ts';
import { toText } from '../journal/known-head.ts';
import { systemRandom } from '../journal/random.ts';
import { readSigningKeyFile } from '../journal/signing-key.ts';
import { planStoreAdoption } from '../roles/adoption.ts';
import { openStore, type Store } from '../store/open.ts';
import type { StoreOptions } from '../store/options.ts';
import type { Logger } from '../telemetry/logger.ts';
import { describe as describePlan, readCopy } from './adopt-command.ts';
import { describeCopy } from './copy-command.ts';
import { writeNewFile } from './new-store-file.ts';
import { complain, say } from './output.ts';
import { createProgressPrinter } from './progress.ts';
import { abortWhenSignalled } from './signals.ts';
import { expectPinnedStore } from './store-flags.ts';

export interface RestoreFlags {
  readonly from: string;
  readonly lostFrom: readonly string[];
  readonly json?: boolean;
}

/**
 * Makes the store of the configuration from a backup: everything is verified on its way, and the journal goes on in a
 * new epoch, so that no replica takes it for what it knew. The file gets its name at the very end.
 *
 * @returns 0
 */
export async function restoreCommand(
  config: Config,
  { from, lostFrom, json }: RestoreFlags,
  logger: Logger,
): Promise<number> {
  const { store: options, expectations } = expectPinnedStore(config, 'store restore');
  const { signingKeyFile } = config.journal;
  if (signingKeyFile === undefined) {
    throw new Failure('request_malformed', '`store restore` needs journal.signingKeyFile');
  }
  const signingKey = readSigningKeyFile(signingKeyFile);
  const copies = await Promise.all(lostFrom.map((folder) => readCopy(folder, expectations)));
  const lost = copies.length === 0 ? 'unknown' : copies;
  await expectEmpty(options, logger);

  const signal = abortWhenSignalled();
  const printer = createProgressPrinter('restored');
  const fill = async (source: Store, target: Store): Promise<Restored> => {
    const copied = await copyStore({ source, target, expectations, onProgress: printer.show, signal });
    const { journal, blobs } = target;
    const plan = await planStoreAdoption({ journal, blobs, expectations, lost, logger, signal });
    const ambient = { clock: systemClock, random: systemRandom };
    const head = await adoptJournal(plan, { journal, signingKey, reason: 'restore', ...ambient });
    return { copied, plan, head };
  };
  const backup = await openStore({ sqlite: { path: from }, backup: true }, logger);
  try {
    const file = { to: options.sqlite.path, as: 'store', resume: false, replace: true, logger } as const;
    const restored = await writeNewFile(file, (target) => fill(backup, target)).finally(() => printer.end());
    report(restored, json === true);
    return 0;
  } finally {
    await backup.close();
  }
}

interface Restored {
  readonly copied: CopyResult;
  readonly plan: AdoptionPlan;
  /** in the new epoch */
  readonly head: Position;
}

function report({ copied, plan, head }: Restored, json: boolean): void {
  if (json) {
    const { lostEntries, kept } = plan;
    const lost = plan.lost === 'unknown' ? { lost: 'unknown' } : { lostEntries, kept: kept.length };
    say(JSON.stringify({ ...copied, head, ...lost }));
  } else {
    say(describeCopy('restored', copied));
    describePlan(plan);
    say(`the journal goes on in epoch ${head.epoch}, head ${toText(head)}`);
  }
  if (plan.lost === 'unknown') {
    complain(
      'chancery: WARNING: whatever was revoked after this backup is in force again: tokens, grants, issuers, nodes. ' +
        '`--lost-from` with the local copy of a replica keeps it revoked',
    );
  }
  complain(
    'chancery: a backup has no secrets: the next start of role admin makes a new authority of nodes, and a node ' +
      'whose certificate is younger than the backup, or has ended, enrols again',
  );
}

/** @throws Failure already_exists */
async function expectEmpty(options: StoreOptions, logger: Logger): Promise<void> {
  if (!existsSync(options.sqlite.path)) return;
  const store = await openStore(options, logger);
  try {
    if ((await store.journal.head()).seq > 0) {
      throw new Failure('already_exists', 'the store of the configuration is not empty; move it away first');
    }
  } finally {
    await store.close();
  }
}
