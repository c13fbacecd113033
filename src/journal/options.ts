import { Type } from 'typebox';

/** The `journal` section of the configuration. */
export const journalOptionsSchema = Type.Object(
  {
    genesis: Type.Optional(
      Type.String({
        pattern: '^sha256:[0-9a-f]{64}$',
        description:
          'the pinned digest of the first entry, as `chancery init` prints it; needed with a store',
      }),
    ),
    instance: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'whose journal it must be' }),
    ),
    environment: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'the environment that it must be of' }),
    ),
    signingKeyFile: Type.Optional(
      Type.String({ minLength: 1, description: 'PKCS#8 PEM, mode 0600; needed by role admin with a store' }),
    ),
    checkpointEvery: Type.Integer({
      default: 1_000,
      minimum: 0,
      maximum: 1_000_000,
      description: 'entries after which role admin writes a checkpoint; 0: never',
    }),
    localCopy: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'folder of this process alone with a copy of the state, to start from while the store is away',
      }),
    ),
    pollMs: Type.Integer({
      default: 2_000,
      minimum: 50,
      maximum: 60_000,
      description: 'mean time between two looks at the journal when no hint comes',
    }),
  },
  { additionalProperties: false },
);
