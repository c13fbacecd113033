/**
 * Where a database file is, and whether the file there is still the one that was opened.
 *
 * SQLite pairs a database with the write-ahead log beside it by name alone: nothing in either says which belongs to
 * which. Who moves another file into the place of an open one gets two kinds of damage: the old connection goes on
 * writing into a file that nobody will open again, and whoever opens the new file reads the log of the old one over
 * it (SQLite 3.53 answers "malformed", or worse, a mixture). So the file is looked at before and after each call, and
 * which file a log belongs to is written down beside it, in `-inode`.
 */
import { readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { Failure } from '../core/failure.ts';

/** The log that must not be read is moved to a name that ends so, and with its number. */
const REPLACED_LOG = '-wal-of-inode-';

/** An open database, and where its file was. */
export interface Placed {
  readonly database: DatabaseSync;
  readonly place: SqlitePlace;
}

/**
 * Opens what is at the path, and nothing that comes there meanwhile.
 *
 * @param notesOwner  whether it is written down beside the file whose log there is
 * @throws Failure store_mismatch  when the log beside it is another file's; store_unavailable; what `open` throws
 */
export function openInPlace(path: string, open: () => DatabaseSync, notesOwner: boolean): Placed {
  const before = identityOf(path);
  if (before !== undefined && notesOwner) expectOwnLog(path);
  const database = open();
  try {
    const place = new SqlitePlace(path);
    if (before !== undefined && !place.isFile(before)) {
      throw new Failure('store_unavailable', 'the store is being replaced');
    }
    if (notesOwner) noteOwner(path);
    return { database, place };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A database file as it was opened. */
export class SqlitePlace {
  readonly #path: string;
  /** SQLite puts its other files beside what a symbolic link leads to */
  readonly #real: string;
  readonly #file: string | undefined;
  readonly #log: string | undefined;
  readonly #index: string | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#real = realpathSync(path);
    this.#file = identityOf(path);
    this.#log = identityOf(`${this.#real}-wal`);
    this.#index = identityOf(`${this.#real}-shm`);
  }

  isFile(identity: string): boolean {
    return this.#file === identity;
  }

  /** The file and its log are those that were opened. Costs two looks into the file system. */
  isStill(): boolean {
    return this.#file === identityOf(this.#path) && this.#log === identityOf(`${this.#real}-wal`);
  }

  /**
   * Closes a connection to a file that is elsewhere now, so that the next one opens what is here: what the log holds
   * goes into its own file, and the log goes away. Where another reader keeps it from that, it is kept under another
   * name.
   */
  leave(database: DatabaseSync): void {
    try {
      if (this.#file !== identityOf(this.#path)) this.#clearAway(database);
    } finally {
      // SQLite sees that the file has moved, and then touches nothing at the path
      database.close();
    }
  }

  /** The connection is still open: until it is closed no other file can have these numbers. */
  #clearAway(database: DatabaseSync): void {
    emptyLog(database);
    const [log, index] = [`${this.#real}-wal`, `${this.#real}-shm`];
    if (this.#log !== undefined && identityOf(log) === this.#log) {
      const number = this.#file?.split(':')[1] ?? '';
      if (sizeOf(log) === 0) rmSync(log);
      else renameSync(log, `${this.#real}${REPLACED_LOG}${number}`);
    }
    if (this.#index !== undefined && identityOf(index) === this.#index) rmSync(index);
  }
}

/** Before a file is opened: a log beside it that has anything in it must be its own. */
function expectOwnLog(path: string): void {
  const real = realpathSync(path);
  const owner = readOwner(real);
  if (owner !== undefined && owner !== nameOf(real) && sizeOf(`${real}-wal`) > 0) {
    throw new Failure(
      'store_mismatch',
      'the write-ahead log (-wal) beside the store belongs to another file that was here before. Stop every process ' +
        'that has that file open, and move -wal and -shm away together with it; if the whole folder was copied or ' +
        'moved as it is, remove the file that ends in -inode instead',
    );
  }
  noteOwner(path);
}

/** What was not acknowledged may stay in the log; a reader of another process may keep it from being emptied. */
function emptyLog(database: DatabaseSync): void {
  try {
    database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
  } catch {
    // the log stays as it is, and is kept
  }
}

/** Device and inode; undefined: there is nothing */
export function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

/**
 * Inode and time of birth, which tells a file from one that was deleted and whose number it has. Not the device: its
 * number may be another one when the machine starts again.
 */
function nameOf(path: string): string {
  const { ino, birthtimeNs } = statSync(path, { bigint: true });
  return `${ino} ${birthtimeNs}`;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function readOwner(real: string): string | undefined {
  try {
    return readFileSync(`${real}-inode`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** By way of another name: nobody reads half of it. */
function noteOwner(path: string): void {
  const real = realpathSync(path);
  const name = nameOf(real);
  if (readOwner(real) === name) return;
  const written = `${real}-inode.${process.pid}`;
  writeFileSync(written, `${name}\n`, { mode: 0o600 });
  renameSync(written, `${real}-inode`);
}
