/** From the storage to a follower that follows: a checkpoint or the local copy first, then what came after it. */
import type { Config } from '../config/schema.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { createCheckpointMeasures } from '../journal/checkpoint-measures.ts';
import { startCheckpointWriter } from '../journal/checkpoint-writer.ts';
import { type LocalCopy, readLocalCopy } from '../journal/local-copy.ts';
import { makePrivateFolder } from '../journal/local-copy-files.ts';
import { keepLocalCopy } from '../journal/local-copy-keeper.ts';
import { restoreState } from '../journal/restore-state.ts';
import type { PolicyView } from '../policy/state.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Storage } from './storage.ts';
import { expectationsOf, type World } from './world.ts';

export interface StartParts {
  readonly storage: Storage;
  readonly world: World;
  readonly local: LocalCopy | undefined;
}

/**
 * @returns undefined  when there is none, or none that can be believed; the log says why
 * @throws Failure store_mismatch  when the folder is open to others
 */
export async function openLocalCopy(config: Config, logger: Logger): Promise<LocalCopy | undefined> {
  const { localCopy } = config.journal;
  if (localCopy === undefined) return undefined;
  await makePrivateFolder(localCopy);
  try {
    return await readLocalCopy(localCopy, expectationsOf(config));
  } catch (thrown) {
    logger.warn({ err: Failure.from(thrown, 'store_mismatch') }, 'the local copy cannot be used');
    return undefined;
  }
}

/**
 * @param stack  gets what must end before the storage does
 * @throws Failure as `JournalFollower.start` and `restoreState`
 */
export async function startJournal(
  config: Config,
  { storage, world, local }: StartParts,
  stack: AsyncDisposableStack,
): Promise<void> {
  const { follower, state } = world;
  const { checkpoints, signingKey } = storage;
  const { localCopy, checkpointEvery } = config.journal;
  const measures = createCheckpointMeasures(world.metrics);
  const stopping = new AbortController();
  stack.defer(async () => {
    stopping.abort();
    await follower.close();
  });
  if (checkpoints === undefined) {
    await follower.start(stopping.signal);
    return;
  }
  const deps = { ...world, checkpoints, expectations: expectationsOf(config), measures };
  await restoreState({ ...deps, local });
  if (localCopy !== undefined) {
    const needed = (): readonly Digest[] => blobsOfReleased(state.policies.view);
    const rotate = checkpointEvery > 0 ? { rotateEvery: checkpointEvery } : {};
    const keeper = keepLocalCopy({ ...deps, folder: localCopy, needed, ...rotate }, local);
    stack.defer(() => keeper.close());
  }
  await follower.start(stopping.signal);
  if (signingKey !== undefined && checkpointEvery > 0) {
    const writer = startCheckpointWriter({ ...deps, signingKey, every: checkpointEvery });
    stack.defer(() => writer.close());
  }
}

/** So that what is released can be loaded from the copy alone. */
function blobsOfReleased(view: Pick<PolicyView, 'names' | 'released' | 'revisions'>): readonly Digest[] {
  return view.names().flatMap((name) => {
    const released = view.released(name);
    const published = view.revisions(name).findLast(({ revision }) => revision === released?.revision);
    if (released === undefined || published === undefined) return [];
    return [released.body.artefact, published.body.source];
  });
}
