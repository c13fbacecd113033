import { sha256 } from '../../src/core/digest.ts';
import { signManifest, stateDigestOf, toManifestText } from '../../src/journal/checkpoint.ts';
import type { StoredCheckpoint } from '../../src/journal/checkpoints.ts';
import type { Blobs, StoredCommit } from '../../src/journal/journal.ts';
import { toStoredEntryJson } from '../../src/journal/stored-json.ts';
import type { CommitChain } from './journal-commits.ts';

/** A checkpoint after `commit` with one chunk, which nothing but it refers to. */
export async function aCheckpoint(
  chain: CommitChain,
  commit: StoredCommit,
  blobs: Pick<Blobs, 'put'>,
): Promise<StoredCheckpoint> {
  const { epoch, seq, digest, at } = commit.entries.at(-1)!.entry;
  const lines = `{"seq":${seq}}\n`;
  const chunks = [{ digest: sha256(lines), blob: await blobs.put(Buffer.from(`compressed ${lines}`)) }];
  const sections = [{ name: 'test', version: 1, records: 1, bytes: lines.length, chunks }];
  const unsigned = {
    v: 1,
    position: { epoch, seq, digest },
    at,
    commit: commit.id,
    genesis: toStoredEntryJson(chain.genesis.commit.entries[0]!),
    sections,
    stateDigest: stateDigestOf(sections),
  } as const;
  const manifest = toManifestText(signManifest(unsigned, chain.genesis.signingKey));
  return { position: { epoch, seq }, manifest };
}
