import { type Static, Type } from 'typebox';

export const SQLITE_DEFAULTS = { busyTimeoutMs: 5_000, callTimeoutMs: 10_000, watchMs: 100 } as const;

const sqliteOptionsSchema = Type.Object(
  {
    path: Type.String({
      minLength: 1,
      description: 'the database file, on a local disk; `chancery init` makes it, `serve` never does',
    }),
    busyTimeoutMs: Type.Integer({
      default: SQLITE_DEFAULTS.busyTimeoutMs,
      minimum: 0,
      maximum: 60_000,
      description: 'how long a call waits for another process that writes',
    }),
    callTimeoutMs: Type.Integer({
      default: SQLITE_DEFAULTS.callTimeoutMs,
      minimum: 100,
      maximum: 120_000,
      description: 'deadline of a call, the time in the queue included',
    }),
    watchMs: Type.Integer({
      default: SQLITE_DEFAULTS.watchMs,
      minimum: 10,
      maximum: 60_000,
      description: 'mean time between two looks whether another process has written',
    }),
  },
  { additionalProperties: false },
);

/** The `store` section of the configuration. Without it, a journal in memory is used. */
export const storeOptionsSchema = Type.Object(
  {
    sqlite: sqliteOptionsSchema,
    secretsKeyFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          '32 random bytes, mode 0600, that seal what the store keeps secret: the key of the authority of the nodes; ' +
          'read by role admin; `chancery init` writes it; left out: the signing key file with `.secrets` added',
      }),
    ),
    blobGraceSeconds: Type.Integer({
      default: 86_400,
      minimum: 600,
      maximum: 2_592_000,
      description:
        'how long a blob that nothing refers to is kept: longer than any publish takes, which puts blobs first',
    }),
  },
  { additionalProperties: false },
);
export type StoreOptions = Static<typeof storeOptionsSchema>;
export type SqliteOptions = StoreOptions['sqlite'];
