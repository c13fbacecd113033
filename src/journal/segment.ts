/**
 * A segment: entries that have left the store, as whole commits in a file, and a manifest that is signed by a key of
 * the journal and names the one before. Together they go from genesis to where the store begins.
 */
import type { KeyObject } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { isSignedBy, type SigningKey, signWith } from './signing-key.ts';

const digest = Type.Unsafe<Digest>({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$' });
const position = Type.Object(
  { epoch: Type.Integer({ minimum: 1 }), seq: Type.Integer({ minimum: 1 }), digest },
  { additionalProperties: false },
);
const manifestMembers = {
  v: Type.Literal(1),
  instance: Type.String(),
  environment: Type.String(),
  /** of the first entry, and of the last one, which ends its commit */
  from: position,
  through: position,
  entries: Type.Integer({ minimum: 1 }),
  /** of the file: zstd of JSON lines, one commit each */
  file: digest,
  /** of the manifest before; null: this one begins with genesis */
  previous: Type.Union([digest, Type.Null()]),
};
const unsignedSchema = Type.Object(manifestMembers, { additionalProperties: false });
const manifestSchema = Type.Object(
  { ...manifestMembers, signature: Type.String() },
  { additionalProperties: false },
);
export type UnsignedSegment = Static<typeof unsignedSchema>;
export type SegmentManifest = Static<typeof manifestSchema>;

export const MANIFEST_END = '.json';
export const COMMITS_END = '.jsonl.zst';

/** Names sort in the order of the entries. */
export function segmentName({ from, through }: Pick<SegmentManifest, 'from' | 'through'>): string {
  const [first, last] = [from, through].map(({ seq }) => String(seq).padStart(12, '0'));
  return `segment-${first}-${last}`;
}

export function signSegment(unsigned: UnsignedSegment, key: SigningKey): SegmentManifest {
  return { ...unsigned, signature: signWith(key, signedBytes(unsigned)) };
}

/** RFC 8785 JSON. */
export function toSegmentText(manifest: SegmentManifest): string {
  return toCanonicalJson(manifest);
}

/** What the next one names. */
export function segmentDigest(manifest: SegmentManifest): Digest {
  return sha256(toSegmentText(manifest));
}

/** @throws Failure store_mismatch  for another form, or a signature of no key of this journal; journal_too_new */
export function parseSegment(text: string, keys: readonly KeyObject[]): SegmentManifest {
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && 'v' in value && value.v !== 1) {
    throw new Failure('journal_too_new', 'the form of the segment is newer than this program');
  }
  if (!Check(manifestSchema, value)) throw new Failure('store_mismatch', 'the manifest has another form');
  const { signature, ...unsigned } = value;
  if (isSignedBy(keys, signedBytes(unsigned), signature)) return value;
  throw new Failure('store_mismatch', 'the manifest is not signed by a key of this journal');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function signedBytes(unsigned: UnsignedSegment): Uint8Array {
  return Buffer.from(`chancery-segment-v1\n${sha256(toCanonicalJson(unsigned))}`, 'utf8');
}
