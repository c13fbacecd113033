import { existsSync, realpathSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { samePosition } from '../journal/append-rules.ts';
import { type CopyResult, copyStore } from '../journal/copy.ts';
import { copySealedSecrets } from '../journal/copy-secrets.ts';
import { openStore, type Store } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';
import { writeNewFile } from './new-store-file.ts';
import { complain, say } from './output.ts';
import { createProgressPrinter } from './progress.ts';
import { abortWhenSignalled } from './signals.ts';
import { expectPinnedStore } from './store-flags.ts';

export interface CopyFlags {
  readonly to: string;
  readonly json?: boolean;
}

/**
 * Moves an instance to another file: journal, blobs, and secrets as they are sealed.
 *
 * @returns 0 when the copy is whole and the source has not gone on meanwhile, else 1
 */
export async function copyCommand(config: Config, { to, json }: CopyFlags, logger: Logger): Promise<number> {
  const { store: options, expectations } = expectPinnedStore(config, 'store copy');
  if (isSameFile(to, options.sqlite.path)) {
    throw new Failure('request_malformed', '--to is the store of the configuration itself');
  }
  const source = await openStore(options, logger);
  try {
    const printer = createProgressPrinter('copied');
    const fill = async (target: Store): Promise<CopyResult & { readonly secrets: number }> => {
      const signal = abortWhenSignalled();
      const copied = await copyStore({ source, target, expectations, onProgress: printer.show, signal });
      return { ...copied, secrets: await copySealedSecrets(source.sealedSecrets, target.sealedSecrets) };
    };
    const result = await (existsSync(to)
      ? goOn(to, fill, logger)
      : writeNewFile({ to, as: 'store', resume: true, logger }, fill)
    ).finally(() => printer.end());
    if (json === true) say(JSON.stringify(result));
    else say(describeCopy('copied', result, `, ${result.secrets} secrets`));

    const now = await source.journal.head();
    if (samePosition(now, result.head)) return 0;
    complain(
      `chancery: the source has gone on to seq ${now.seq} meanwhile; stop what writes to it, and run this again`,
    );
    return 1;
  } finally {
    await source.close();
  }
}

function isSameFile(a: string, b: string): boolean {
  return existsSync(a) && existsSync(b) && realpathSync(a) === realpathSync(b);
}

/** An earlier copy: a whole store, which gets what came since. */
async function goOn<T>(path: string, fill: (store: Store) => Promise<T>, logger: Logger): Promise<T> {
  const store = await openStore({ sqlite: { path } }, logger);
  try {
    return await fill(store);
  } finally {
    await store.close();
  }
}

/** @param more  what else was copied */
export function describeCopy(verb: string, result: CopyResult, more = ''): string {
  const { entries, copied, blobs, head } = result;
  const place = `head ${head.epoch}.${head.seq} ${head.digest}`;
  return `${verb}: ${entries} entries (${copied} new), ${blobs} blobs${more}; ${place}`;
}
