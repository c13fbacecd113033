/**
 * A new file is written beside its place, as a backup, and gets its name when it is whole and on the disk: what has
 * the name of a store is one.
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { Failure } from '../core/failure.ts';
import { openDatabase } from './sqlite-file.ts';
import { BACKUP_FORM, STORE_FORM } from './sqlite-forms.ts';

export interface FinishOptions {
  /** a backup that nobody has open */
  readonly from: string;
  /** in the same folder */
  readonly to: string;
  readonly as: 'store' | 'backup';
}

/** SQLite reads a log by its name alone: one that an earlier file has left would be read over the new one. */
export function expectNoLog(path: string): void {
  if (!existsSync(`${path}-wal`)) return;
  throw new Failure(
    'already_exists',
    'beside the target is a -wal file: of a store that is in use, or was moved',
  );
}

/** Replaces what is at `to`. @throws Failure already_exists  for a -wal beside it; store_unavailable when in use */
export function finishFile({ from, to, as }: FinishOptions): void {
  expectNoLog(to);
  const database = openUnfinished(from);
  if (as === 'store') database.exec(`PRAGMA application_id = ${STORE_FORM.applicationId}`);
  database.close();
  if (existsSync(`${from}-wal`)) {
    throw new Failure('store_unavailable', 'somebody else has the new file open');
  }
  toDisk(from);
  renameSync(from, to);
  rmSync(`${from}-inode`, { force: true });
  toDisk(dirname(to));
}

/** It has the form of a store already when an earlier run ended right before the file got its name. */
function openUnfinished(path: string): DatabaseSync {
  const options = { path, busyTimeoutMs: 1_000, create: false };
  try {
    return openDatabase(options, BACKUP_FORM);
  } catch (thrown) {
    if (Failure.from(thrown).code !== 'store_mismatch') throw thrown;
    return openDatabase(options, STORE_FORM);
  }
}

/** What there is of a file that was not finished. */
export function removeUnfinished(path: string): void {
  for (const end of ['', '-wal', '-shm', '-inode']) rmSync(`${path}${end}`, { force: true });
}

function toDisk(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
