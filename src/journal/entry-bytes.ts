/** The bytes that the chain is made of: what is hashed and what is signed. Sealing and verifying share them. */
import { toCanonicalJson } from '../core/canonical-json.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import type { JournalEntry } from './journal.ts';

export const SALT_BYTES = 16;

/** Genesis begins the first epoch. */
export const FIRST_EPOCH = 1;

export type UnsealedEntry = Omit<JournalEntry, 'digest' | 'signature'>;

/**
 * SHA-256 of the RFC 8785 form of the entry without `digest` and `signature`. Members are named one by one, so
 * that nothing else that an object may carry gets into the hash.
 */
export function entryDigest(entry: UnsealedEntry): Digest {
  const { v, epoch, seq, at, actor, kind, schema, bodyDigest, previous } = entry;
  const { id, index, count } = entry.commit;
  const commit = { id, index, count };
  return sha256(toCanonicalJson({ v, epoch, seq, commit, at, actor, kind, schema, bodyDigest, previous }));
}

/** The salt has one fixed length, so that the border between salt and body cannot be moved. */
export function bodyDigest(salt: Uint8Array, body: Uint8Array): Digest {
  return sha256(salt, body);
}

/** What the Ed25519 signature of a commit covers. */
export function signedBytes(lastDigest: Digest): Uint8Array {
  return Buffer.from(`chancery-commit-v1\n${lastDigest}`, 'utf8');
}
