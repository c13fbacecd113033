/**
 * Writes a checkpoint every so many entries, in the background: nothing waits for it, and when it fails there is a
 * log line and the next one.
 */
import { Failure } from '../core/failure.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type CheckpointManifest, signManifest, stateDigestOf, toManifestText } from './checkpoint.ts';
import { writeChunks } from './checkpoint-chunks.ts';
import type { CheckpointMeasures } from './checkpoint-measures.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { CapturedState } from './folded-state.ts';
import type { JournalFollower } from './follower.ts';
import type { Blobs } from './journal.ts';
import type { Shared } from './shared.ts';
import type { SigningKey } from './signing-key.ts';
import { createSlices } from './slices.ts';
import { toStoredEntryJson } from './stored-json.ts';

export interface CheckpointWriterOptions {
  readonly follower: Pick<JournalFollower, 'position' | 'onApplied' | 'capture'>;
  readonly checkpoints: Checkpoints;
  readonly blobs: Pick<Blobs, 'put'>;
  readonly shared: Pick<Shared, 'claim'>;
  readonly signingKey: SigningKey;
  /** entries from one to the next */
  readonly every: number;
  readonly logger: Logger;
  readonly measures: CheckpointMeasures;
}

export interface CheckpointWriter {
  /** Begins no other one, and waits for the one that is being written. */
  close(): Promise<void>;
}

/** How long Checks may wait for it at a time. */
const SLICE_MS = 2;
/** Another admin process that began one and died is not waited for any longer. */
const CLAIM_MS = 60_000;

export function startCheckpointWriter(options: CheckpointWriterOptions): CheckpointWriter {
  const { follower, every, logger, measures } = options;
  /** where the next one is due; before the first look at the store, at once */
  let dueSeq = 0;
  let running: Promise<void> | undefined;
  let closed = false;

  const write = async (): Promise<void> => {
    try {
      const [newest] = await options.checkpoints.latest();
      const { epoch, seq } = follower.position();
      const before = newest?.position.epoch === epoch ? newest.position.seq : 0;
      dueSeq = before + every;
      if (seq < dueSeq) return;
      dueSeq = seq + every;
      // one key for each stretch: of several processes, the first to come has it
      if (!(await options.shared.claim(`checkpoint/${epoch}/${Math.floor(seq / every)}`, CLAIM_MS))) return;
      const state = follower.capture();
      if (state === undefined) return;
      const manifest = await writeCheckpoint(state, options);
      measures.written(manifest.position.seq);
      logger.info({ seq: manifest.position.seq, state: manifest.stateDigest }, 'a checkpoint is written');
    } catch (thrown) {
      dueSeq = follower.position().seq + every;
      measures.notWritten();
      logger.error({ err: Failure.from(thrown) }, 'a checkpoint could not be written');
    }
  };
  const consider = (): void => {
    if (closed || running !== undefined || follower.position().seq < dueSeq) return;
    running = write().finally(() => {
      running = undefined;
    });
  };
  const end = follower.onApplied((_applied, commit) => {
    // another state in its place, maybe an earlier one
    if (commit === undefined) dueSeq = 0;
    consider();
  });
  consider();
  return {
    async close() {
      closed = true;
      end();
      await running;
    },
  };
}

/** Blobs first: a manifest that is there is whole. */
export async function writeCheckpoint(
  { chain, genesis, lastCommit, sections: captured }: CapturedState,
  { blobs, checkpoints, signingKey }: Pick<CheckpointWriterOptions, 'blobs' | 'checkpoints' | 'signingKey'>,
): Promise<CheckpointManifest> {
  const slices = createSlices(SLICE_MS);
  const sections = [];
  for (const section of captured.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    sections.push(await writeChunks(section, blobs, slices));
  }
  const { position, at } = chain;
  const { epoch, seq, digest } = position;
  const manifest = signManifest(
    {
      v: 1,
      position: { epoch, seq, digest },
      at,
      commit: lastCommit,
      genesis: toStoredEntryJson(genesis),
      sections,
      stateDigest: stateDigestOf(sections),
    },
    signingKey,
  );
  await checkpoints.put({ position: { epoch, seq }, manifest: toManifestText(manifest) });
  return manifest;
}
