/**
 * A checkpoint: the folded state at the end of one commit, so that a start need not read what led to it. Its
 * manifest is signed by a key of the journal and says everything else by digest; the records are chunks in blobs.
 */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { isSignedBy, type SigningKey, signWith } from './signing-key.ts';
import { fromStoredEntryJson, storedEntrySchema } from './stored-json.ts';
import { CHAIN_START, type ChainState, type Expectations, verifyCommit } from './verify.ts';

/** of a chunk before it is compressed, unless one record is larger */
export const CHUNK_BYTES = 262_144;
/** of one record; a body holds half of that */
export const MAX_RECORD_BYTES = 2 * 1_048_576;
export const MAX_MANIFEST_BYTES = 8 * 1_048_576;
const MAX_SECTIONS = 64;
const MAX_CHUNKS = 16_384;

const digest = Type.Unsafe<Digest>({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$' });
const count = Type.Integer({ minimum: 0 });

const sectionSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' }),
    version: Type.Integer({ minimum: 1 }),
    /** records, and their bytes as JSON lines */
    records: count,
    bytes: count,
    chunks: Type.Array(
      // `digest` of the lines, which say the state; `blob` of their compressed form, which is where they are
      Type.Object({ digest, blob: digest }, { additionalProperties: false }),
      { maxItems: MAX_CHUNKS },
    ),
  },
  { additionalProperties: false },
);

const manifestMembers = {
  v: Type.Literal(1),
  /** of the last entry that is folded, which ends its commit */
  position: Type.Object(
    { epoch: Type.Integer({ minimum: 1 }), seq: Type.Integer({ minimum: 1 }), digest },
    { additionalProperties: false },
  ),
  /** the time of that entry */
  at: Type.String(),
  /** id of that commit */
  commit: Type.String({ minLength: 1, maxLength: 128 }),
  /** entry 1, so that the pin alone says which keys may sign */
  genesis: storedEntrySchema,
  /** in order of name */
  sections: Type.Array(sectionSchema, { maxItems: MAX_SECTIONS }),
  stateDigest: digest,
};
const unsignedSchema = Type.Object(manifestMembers, { additionalProperties: false });
const manifestSchema = Type.Object(
  { ...manifestMembers, signature: Type.String() },
  { additionalProperties: false },
);

export type CheckpointSection = Static<typeof sectionSchema>;
export type UnsignedManifest = Static<typeof unsignedSchema>;
export type CheckpointManifest = Static<typeof manifestSchema>;

/** Two states are equal if and only if theirs are: whatever was folded, wherever the blobs are. */
export function stateDigestOf(sections: readonly CheckpointSection[]): Digest {
  const states = sections.map(({ name, version, records, bytes, chunks }) => {
    return { name, version, records, bytes, chunks: chunks.map((chunk) => chunk.digest) };
  });
  return sha256(toCanonicalJson(states));
}

/** @param key  one that genesis names */
export function signManifest(unsigned: UnsignedManifest, key: SigningKey): CheckpointManifest {
  return { ...unsigned, signature: signWith(key, signedBytes(unsigned)) };
}

function signedBytes(unsigned: UnsignedManifest): Uint8Array {
  return Buffer.from(`chancery-checkpoint-v1\n${sha256(toCanonicalJson(unsigned))}`, 'utf8');
}

/** RFC 8785 JSON. */
export function toManifestText(manifest: CheckpointManifest): string {
  return toCanonicalJson(manifest);
}

/** @throws Failure store_mismatch; journal_too_new for a form that a newer program wrote */
export function parseManifest(text: string): CheckpointManifest {
  const value = text.length > MAX_MANIFEST_BYTES ? undefined : parseJson(text);
  if (typeof value === 'object' && value !== null && 'v' in value && value.v !== 1) {
    throw new Failure('journal_too_new', 'the form of the checkpoint is newer than this program');
  }
  if (Check(manifestSchema, value)) return value;
  throw new Failure('store_mismatch', 'the manifest of the checkpoint has another form');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Whether a key of the pinned journal says so. Without a pin nobody could know whose keys those are.
 *
 * @returns the chain as it is after the checkpoint's last entry
 * @throws Failure store_mismatch, journal_too_new
 */
export function verifyManifest(manifest: CheckpointManifest, expectations: Expectations): ChainState {
  if (expectations.genesis === undefined) {
    throw new Failure('store_mismatch', 'without the pin of genesis no checkpoint can be believed');
  }
  const stored = fromStoredEntryJson(manifest.genesis);
  // the rest of its commit is not here; the pin stands for its signature
  const commit = { id: stored.entry.commit.id, entries: [stored] };
  const { state, problems } = verifyCommit(CHAIN_START, commit, expectations);
  const problem = problems.find(({ seq }) => seq === stored.entry.seq);
  if (problem !== undefined) {
    const code = problem.code === 'journal_too_new' ? problem.code : 'store_mismatch';
    throw new Failure(code, `genesis of the checkpoint: ${problem.message}`);
  }
  const { signature, ...unsigned } = manifest;
  if (!isSignedBy(state.keys, signedBytes(unsigned), signature)) {
    throw new Failure('store_mismatch', 'the checkpoint is not signed by a key of this journal');
  }
  if (stateDigestOf(manifest.sections) !== manifest.stateDigest) {
    throw new Failure('store_mismatch', 'the checkpoint does not have the state that it says');
  }
  return { genesis: state.genesis, keys: state.keys, position: manifest.position, at: manifest.at };
}

/** Where the records are: for whoever copies or collects blobs. */
export function checkpointBlobs({ sections }: CheckpointManifest): readonly Digest[] {
  return sections.flatMap(({ chunks }) => chunks.map(({ blob }) => blob));
}
