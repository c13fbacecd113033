/** The tables of the store, and those of the shared state beside it. */
import type { FileForm } from './sqlite-file.ts';

/** `Chbk` */
const BACKUP_ID = 0x43_68_62_6b;

/**
 * The members of an entry are columns and nothing is kept twice, so that what is verified is what is stored.
 * `salt` and `body` are null together: erased. FULL: with WAL, anything less may lose the last commits when the
 * power fails.
 */
export const STORE_FORM: FileForm = {
  /** `Chcy` */
  applicationId: 0x43_68_63_79,
  what: 'a store',
  others: { [BACKUP_ID]: 'the file is a backup; `chancery store restore` makes a store of it' },
  synchronous: 'FULL',
  steps: [
    `CREATE TABLE entry (
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
     ) STRICT;`,
    `CREATE TABLE secret (
       name TEXT PRIMARY KEY,
       sealed BLOB NOT NULL
     ) STRICT;`,
    // `at`: when the blob was put last, in ms since 1970; without a row it is never collected
    `CREATE TABLE blob_put (
       digest TEXT PRIMARY KEY,
       at INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     INSERT INTO blob_put (digest, at) SELECT digest, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM blob;`,
    `CREATE TABLE checkpoint (
       epoch INTEGER NOT NULL,
       seq INTEGER NOT NULL,
       manifest TEXT NOT NULL,
       PRIMARY KEY (epoch, seq)
     ) STRICT;`,
    // one row at most: what stands for the entries that were archived. A program that knows no such row must not open it
    `CREATE TABLE base (
       id INTEGER PRIMARY KEY CHECK (id = 1),
       epoch INTEGER NOT NULL,
       seq INTEGER NOT NULL,
       digest TEXT NOT NULL,
       manifest TEXT NOT NULL
     ) STRICT;`,
  ],
};

/**
 * The same tables, and no store: who served a backup as it is would fork the journal. A copy is one until it is whole.
 * NORMAL: the whole file is brought to the disk at the end.
 */
export const BACKUP_FORM: FileForm = {
  ...STORE_FORM,
  applicationId: BACKUP_ID,
  what: 'a backup',
  synchronous: 'NORMAL',
};

/**
 * A file of its own: what expires by itself wakes no follower of the journal, is in no copy of it, and waits for no
 * disk. `kind` is `claim`, `count` (in `value`) or `value`; `ends_at` is in ms since 1970. `size` is kept by triggers:
 * counting the rows of a full table takes milliseconds.
 */
export const SHARED_FORM: FileForm = {
  /** `Chsh` */
  applicationId: 0x43_68_73_68,
  what: 'the shared state of a store',
  synchronous: 'NORMAL',
  steps: [
    `CREATE TABLE shared (
       kind TEXT NOT NULL,
       key TEXT NOT NULL,
       value ANY,
       ends_at INTEGER NOT NULL,
       PRIMARY KEY (kind, key)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX shared_ends_at ON shared (kind, ends_at);
     CREATE TABLE size (
       kind TEXT PRIMARY KEY,
       keys INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     INSERT INTO size (kind, keys) VALUES ('claim', 0), ('count', 0), ('value', 0);
     CREATE TRIGGER shared_grows AFTER INSERT ON shared BEGIN
       UPDATE size SET keys = keys + 1 WHERE kind = new.kind;
     END;
     CREATE TRIGGER shared_shrinks AFTER DELETE ON shared BEGIN
       UPDATE size SET keys = keys - 1 WHERE kind = old.kind;
     END;`,
  ],
};
