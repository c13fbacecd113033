/** Sealing turns drafts into a commit: chained to the tip, salted, hashed and signed (architecture §2, "Bytes"). */
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { bodyDigest, entryDigest, SALT_BYTES, signedBytes, type UnsealedEntry } from './entry-bytes.ts';
import type { ActorId, CommitId, Draft, StoredCommit } from './journal.ts';
import { ENTRY_KINDS, type EntryKind } from './kinds.ts';
import { COMMIT_LIMITS, isWithinLimits } from './limits.ts';
import type { RandomBytes } from './random.ts';
import { type SigningKey, signWith } from './signing-key.ts';

const COMMIT_ID = /^[A-Za-z0-9._:-]{1,128}$/;
const ACTOR_ID = /^[\x21-\x7e]{1,256}$/;

/** Where the next commit is chained to. */
export interface Tip {
  readonly position: Position;
  /** of the last entry; '' before the first */
  readonly at: string;
}

export interface SealOptions {
  readonly id: CommitId;
  readonly actor: ActorId;
  readonly drafts: readonly [Draft, ...Draft[]];
  readonly tip: Tip;
  readonly signingKey: SigningKey;
  readonly nowMs: number;
  readonly random: RandomBytes;
}

interface SaltedBody {
  readonly kind: EntryKind;
  readonly salt: Uint8Array;
  readonly body: Uint8Array;
}

/** @throws Failure request_malformed  for an id, an actor, a body or a number of entries that no journal takes */
export function sealCommit(options: SealOptions): StoredCommit {
  const { id, actor, drafts, tip, signingKey } = options;
  if (!COMMIT_ID.test(id)) throw new Failure('request_malformed', 'the commit id has another form');
  if (!ACTOR_ID.test(actor)) throw new Failure('request_malformed', 'the actor id has another form');
  const bodies = drafts.map((draft) => toSaltedBody(draft, options.random));
  expectWithinLimits(bodies);

  const at = later(tip.at, new Date(options.nowMs).toISOString());
  const chained = chain(bodies, { id, actor, at, tip });
  const lastDigest = chained.at(-1)?.digest ?? tip.position.digest;
  const signature = signWith(signingKey, signedBytes(lastDigest));
  return {
    id,
    entries: chained.map(({ entry, digest, salt, body }) => ({
      entry: { ...entry, digest, signature },
      salt,
      body,
    })),
  };
}

function toSaltedBody(draft: Draft, random: RandomBytes): SaltedBody {
  const body = new TextEncoder().encode(canonicalBody(draft));
  return { kind: draft.kind, salt: Uint8Array.from(random(SALT_BYTES)), body };
}

function canonicalBody(draft: Draft): string {
  try {
    return toCanonicalJson(draft.body);
  } catch (cause) {
    throw new Failure('request_malformed', `the body of ${draft.kind} has no canonical JSON form`, { cause });
  }
}

function expectWithinLimits(bodies: readonly SaltedBody[]): void {
  if (isWithinLimits(bodies)) return;
  throw new Failure('request_malformed', `the change is too large; one commit holds ${COMMIT_LIMITS}`);
}

interface ChainOptions {
  readonly id: CommitId;
  readonly actor: ActorId;
  readonly at: string;
  readonly tip: Tip;
}

interface ChainedEntry {
  readonly salt: Uint8Array;
  readonly body: Uint8Array;
  readonly entry: UnsealedEntry;
  readonly digest: Digest;
}

function chain(bodies: readonly SaltedBody[], options: ChainOptions): readonly ChainedEntry[] {
  const { id, actor, at, tip } = options;
  let previous = tip.position.digest;
  return bodies.map(({ kind, salt, body }, index) => {
    const entry: UnsealedEntry = {
      v: 1,
      epoch: tip.position.epoch,
      seq: tip.position.seq + 1 + index,
      commit: { id, index, count: bodies.length },
      at,
      actor,
      kind,
      schema: ENTRY_KINDS[kind],
      bodyDigest: bodyDigest(salt, body),
      previous,
    };
    const digest = entryDigest(entry);
    previous = digest;
    return { entry, digest, salt, body };
  });
}

/** Both are RFC 3339 in UTC with milliseconds, so that text order is time order. */
function later(a: string, b: string): string {
  return a > b ? a : b;
}
