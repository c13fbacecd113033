/** Opens the database file, and makes one for `init`. A missing or foreign file is never an empty world. */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Failure } from '../core/failure.ts';
import type { WorkerSettings } from './sqlite-protocol.ts';

/** `Chcy`: says whose file it is (PRAGMA application_id) */
const APPLICATION_ID = 0x43_68_63_79;
/** of the tables below (PRAGMA user_version) */
const LAYOUT = 1;

/**
 * The members of an entry are columns and nothing is kept twice, so that what is verified is what is stored.
 * `salt` and `body` are null together: erased.
 */
const TABLES = `
  CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    v INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    commit_index INTEGER NOT NULL,
    commit_count INTEGER NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    schema INTEGER NOT NULL,
    body_digest TEXT NOT NULL,
    previous TEXT NOT NULL,
    digest TEXT NOT NULL,
    signature TEXT NOT NULL,
    salt BLOB,
    body BLOB,
    UNIQUE (commit_id, commit_index)
  ) STRICT;
  CREATE TABLE blob (
    digest TEXT NOT NULL UNIQUE,
    bytes BLOB NOT NULL
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${LAYOUT};
`;

/**
 * @throws Failure store_mismatch  when there is no file, or it is not a store; journal_too_new when a newer
 *         program made it
 */
export function openDatabase({ options, create }: WorkerSettings): DatabaseSync {
  if (create) makeFile(options.path);
  else if (!existsSync(options.path)) {
    throw new Failure('store_mismatch', 'there is no store; `chancery init` makes one');
  }
  const url = pathToFileURL(options.path);
  // without this SQLite would make the file when it vanishes between the check and here
  url.searchParams.set('mode', 'rw');
  const database = new DatabaseSync(url, { timeout: options.busyTimeoutMs, defensive: true });
  try {
    if (create) makeTables(database);
    expectStore(database);
    prepareConnection(database);
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

function makeTables(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const tables = readInteger(database, 'SELECT count(*) AS value FROM sqlite_schema');
    if (tables === 0 && applicationId(database) === 0) database.exec(TABLES);
    database.exec('COMMIT');
  } finally {
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

function expectStore(database: DatabaseSync): void {
  if (applicationId(database) !== APPLICATION_ID) {
    throw new Failure('store_mismatch', 'the file is not a store of Chancery');
  }
  if (readInteger(database, 'SELECT user_version AS value FROM pragma_user_version') > LAYOUT) {
    throw new Failure('journal_too_new', 'the store was made by a newer program');
  }
}

/** FULL: with WAL, anything less may lose the last commits when the power fails. `fullfsync` is for macOS. */
function prepareConnection(database: DatabaseSync): void {
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
  `);
  const mode = database.prepare('SELECT journal_mode AS value FROM pragma_journal_mode').get()?.['value'];
  if (mode !== 'wal') throw new Failure('store_mismatch', 'the file system of the store does not allow WAL');
}

function applicationId(database: DatabaseSync): number {
  return readInteger(database, 'SELECT application_id AS value FROM pragma_application_id');
}

/** @param sql  answers one row with one column `value` */
export function readInteger(database: DatabaseSync, sql: string): number {
  return Number(database.prepare(sql).get()?.['value']);
}
