import { existsSync } from 'node:fs';
import { Failure } from '../core/failure.ts';
import { expectNoLog, finishFile, removeUnfinished } from '../store/finish-file.ts';
import { openStore, type Store } from '../store/open.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface NewFileOptions {
  readonly to: string;
  readonly as: 'store' | 'backup';
  /** go on with what a run that was cut off has left; otherwise it is written anew */
  readonly resume: boolean;
  /** a file that is there is replaced; the caller knows that it holds nothing */
  readonly replace?: boolean;
  readonly logger: Logger;
}

/**
 * Fills a file beside `to`, which gets that name when it is whole: what is cut off leaves no file of that name.
 *
 * @throws Failure already_exists, store_unavailable, and what `fill` throws
 */
export async function writeNewFile<T>(
  options: NewFileOptions,
  fill: (store: Store) => Promise<T>,
): Promise<T> {
  const { to, as, logger } = options;
  const from = `${to}.partial`;
  expectFree(options);
  if (!options.resume && existsSync(from)) {
    // opened first: only what is ours is removed
    await (await openUnfinished(from, logger)).close();
    removeUnfinished(from);
  }
  const store = await openUnfinished(from, logger);
  let result: T;
  try {
    result = await fill(store);
  } finally {
    await store.close();
  }
  expectFree(options);
  finishFile({ from, to, as });
  return result;
}

function expectFree({ to, replace = false }: NewFileOptions): void {
  if (!replace && existsSync(to)) {
    throw new Failure('already_exists', 'there is a file of this name already; nothing is written over');
  }
  expectNoLog(to);
}

async function openUnfinished(path: string, logger: Logger): Promise<Store> {
  try {
    return await openStore({ sqlite: { path }, create: true, backup: true }, logger);
  } catch (thrown) {
    // it got the form of a store right before the end
    if (Failure.from(thrown).code !== 'store_mismatch') throw thrown;
    return openStore({ sqlite: { path } }, logger);
  }
}
