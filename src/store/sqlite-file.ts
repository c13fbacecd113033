/** Opens a database file, and makes or lifts its tables. A missing or foreign file is never an empty world. */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Failure } from '../core/failure.ts';
import { SQLITE_BUSY, sqliteCode } from './sqlite-code.ts';
import { monotonicMs } from './sqlite-protocol.ts';

/** What a file must hold. */
export interface FileForm {
  /** says whose file it is (PRAGMA application_id) */
  readonly applicationId: number;
  /** the same for people */
  readonly what: string;
  /** what to say of files that are taken for one, by application id */
  readonly others?: Readonly<Record<number, string>>;
  /** Step n makes layout n from layout n - 1 (PRAGMA user_version); a step that was released is never changed. */
  readonly steps: readonly string[];
  /** PRAGMA synchronous */
  readonly synchronous: 'FULL' | 'NORMAL';
}

export interface OpenFileOptions {
  readonly path: string;
  readonly busyTimeoutMs: number;
  /** make the file when there is none */
  readonly create: boolean;
}

/**
 * @throws Failure store_mismatch  when there is no file, or it is not of this form; journal_too_new when a newer
 *         program made it
 */
export function openDatabase({ path, busyTimeoutMs, create }: OpenFileOptions, form: FileForm): DatabaseSync {
  if (create) makeFile(path);
  else if (!existsSync(path)) {
    throw new Failure('store_mismatch', 'there is no store; `chancery init` makes one');
  }
  const url = pathToFileURL(path);
  // without this SQLite would make the file when it vanishes between the check and here
  url.searchParams.set('mode', 'rw');
  const database = new DatabaseSync(url, { timeout: busyTimeoutMs, defensive: true });
  try {
    if (create) claimEmpty(database, form);
    expectForm(database, form);
    prepareConnection(database, form, busyTimeoutMs);
    lift(database, form);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** 0600: bodies hold digests of tokens and names of people. The WAL beside it takes the mode of the file. */
function makeFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
}

/** Layout 0 of our own: nothing but whose file it is. A file that has anything in it stays as it is. */
function claimEmpty(database: DatabaseSync, { applicationId }: FileForm): void {
  inTransaction(database, () => {
    const tables = readInteger(database, 'SELECT count(*) AS value FROM sqlite_schema');
    if (tables === 0 && applicationIdOf(database) === 0) {
      database.exec(`PRAGMA application_id = ${applicationId}`);
    }
  });
}

function expectForm(database: DatabaseSync, { applicationId, what, others, steps }: FileForm): void {
  const found = applicationIdOf(database);
  if (found !== applicationId) {
    throw new Failure('store_mismatch', others?.[found] ?? `the file is not ${what} of Chancery`);
  }
  if (layoutOf(database) > steps.length) {
    throw new Failure('journal_too_new', 'the store was made by a newer program');
  }
}

/** `fullfsync` is for macOS. `secure_delete`: what is deleted is overwritten, and not left in a free page. */
function prepareConnection(database: DatabaseSync, { synchronous }: FileForm, busyTimeoutMs: number): void {
  enterWal(database, busyTimeoutMs);
  database.exec(`
    PRAGMA synchronous = ${synchronous};
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA secure_delete = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
  `);
}

/** When several open a new file at once, SQLite does not wait for the lock of this step by itself. */
function enterWal(database: DatabaseSync, busyTimeoutMs: number): void {
  const endMs = monotonicMs() + busyTimeoutMs;
  for (;;) {
    try {
      const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
      if (mode === 'wal') return;
      throw new Failure('store_mismatch', 'the file system of the store does not allow WAL');
    } catch (error) {
      if (sqliteCode(error) !== SQLITE_BUSY || monotonicMs() > endMs) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}

/** All steps that are missing in one transaction; of two processes that come at once, the second finds none. */
function lift(database: DatabaseSync, form: FileForm): void {
  if (layoutOf(database) === form.steps.length) return;
  inTransaction(database, () => {
    expectForm(database, form);
    for (const step of form.steps.slice(layoutOf(database))) database.exec(step);
    database.exec(`PRAGMA user_version = ${form.steps.length}`);
  });
}

/** IMMEDIATE takes the write lock first: nobody can write between what `work` reads and what it writes. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } finally {
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

function applicationIdOf(database: DatabaseSync): number {
  return readInteger(database, 'SELECT application_id AS value FROM pragma_application_id');
}

function layoutOf(database: DatabaseSync): number {
  return readInteger(database, 'SELECT user_version AS value FROM pragma_user_version');
}

/** @param sql  answers one row with one column `value` */
export function readInteger(database: DatabaseSync, sql: string): number {
  return Number(database.prepare(sql).get()?.['value']);
}
