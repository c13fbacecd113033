/** The first entry: which instance this journal belongs to, and the keys that may sign it. */
import type { KeyObject } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Clock } from '../core/clock.ts';
import { type Digest, ZERO_DIGEST } from '../core/digest.ts';
import type { JsonObject } from '../core/json.ts';
import { FIRST_EPOCH } from './entry-bytes.ts';
import type { Draft, StoredCommit } from './journal.ts';
import type { RandomBytes } from './random.ts';
import { sealCommit } from './seal.ts';
import { generateSigningKey, type SigningKey, toPublicKey } from './signing-key.ts';

const Jwk = Type.Object(
  {
    kty: Type.Literal('OKP'),
    crv: Type.Literal('Ed25519'),
    x: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
  },
  { additionalProperties: false },
);

const GenesisBody = Type.Object(
  {
    instance: Type.String({ minLength: 1, maxLength: 128 }),
    environment: Type.String({ minLength: 1, maxLength: 128 }),
    epoch: Type.Integer({ minimum: 1 }),
    development: Type.Boolean(),
    keys: Type.Array(
      Type.Object(
        { kid: Type.String({ minLength: 1, maxLength: 128 }), jwk: Jwk },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 16 },
    ),
  },
  { additionalProperties: false },
);

/** Body of `journal.genesis`. */
export type Genesis = Static<typeof GenesisBody>;

export interface GenesisOptions {
  readonly instance: string;
  readonly environment: string;
  /** a journal of `chancery dev`: never to be trusted in production */
  readonly development: boolean;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** a new one when it is not given */
  readonly signingKey?: SigningKey;
  /** what follows genesis in the same commit */
  readonly extraDrafts?: readonly Draft[];
}

export interface NewJournal {
  readonly commit: StoredCommit;
  readonly signingKey: SigningKey;
  /** digest of entry 1: what `journal.genesis` pins */
  readonly genesisDigest: Digest;
}

/** The first commit of a new journal, signed by the key that it carries. */
export function createGenesis(options: GenesisOptions): NewJournal {
  const { instance, environment, development, extraDrafts = [] } = options;
  const signingKey = options.signingKey ?? generateSigningKey();
  const keys = [{ kid: signingKey.kid, jwk: { ...signingKey.jwk } }];
  const genesis: Genesis = { instance, environment, epoch: FIRST_EPOCH, development, keys };
  const commit = sealCommit({
    id: 'journal:genesis',
    actor: 'system:init',
    drafts: [{ kind: 'journal.genesis', body: genesis }, ...extraDrafts],
    tip: { position: { epoch: FIRST_EPOCH, seq: 0, digest: ZERO_DIGEST }, at: '' },
    signingKey,
    nowMs: options.clock.nowMs(),
    random: options.random,
  });
  return { commit, signingKey, genesisDigest: commit.entries[0]?.entry.digest ?? ZERO_DIGEST };
}

/** @returns undefined  when the body is not that of a genesis */
export function parseGenesis(body: JsonObject): Genesis | undefined {
  return Value.Check(GenesisBody, body) ? body : undefined;
}

/** @returns [] when one of the keys is not a point of the curve */
export function genesisKeys(genesis: Genesis): readonly KeyObject[] {
  try {
    return genesis.keys.map(({ jwk }) => toPublicKey(jwk));
  } catch {
    return [];
  }
}
