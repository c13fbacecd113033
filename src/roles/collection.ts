/** Role `admin` deletes blobs that nothing refers to: every hour one of its processes, whichever comes first. */
import type { Config } from '../config/schema.ts';
import { type CollectOptions, collectBlobs } from '../journal/collect.ts';
import { pause } from '../journal/deadline.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Shared } from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Storage } from './storage.ts';
import type { World } from './world.ts';

export interface CollectionOptions extends Omit<CollectOptions, 'signal'> {
  readonly shared: Pick<Shared, 'claim'>;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** between two runs, at least; default an hour */
  readonly everyMs?: number;
}

export interface Collection {
  /** Resolves when the run that is under way has ended. */
  stop(): Promise<void>;
}

const HOUR_MS = 3_600_000;

/** @returns undefined  where there is nothing to collect: this process does not administer, or has no store */
export function openCollection(config: Config, storage: Storage, world: World): Collection | undefined {
  const { collectable: blobs, checkpoints } = storage;
  const { roles, store } = config;
  if (!roles.includes('admin') || store === undefined) return undefined;
  if (blobs === undefined || checkpoints === undefined) return undefined;
  const graceMs = store.blobGraceSeconds * 1_000;
  const logger = world.logger.child({ role: 'admin' });
  return startCollection({ ...world, logger, blobs, checkpoints, graceMs });
}

export function startCollection({ everyMs = HOUR_MS, ...options }: CollectionOptions): Collection {
  const stopping = new AbortController();
  const ended = collectNowAndThen(options, everyMs, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

async function collectNowAndThen(
  { shared, random, logger, ...options }: Omit<CollectionOptions, 'everyMs'>,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(jittered(everyMs, random), signal);
    if (signal.aborted) return;
    try {
      if (!(await shared.claim('collect-blobs', everyMs))) continue;
      const { blobs, bytes } = await collectBlobs({ ...options, signal });
      if (blobs > 0) logger.info({ blobs, bytes }, 'deleted blobs that nothing refers to');
    } catch (error) {
      if (!signal.aborted) logger.warn({ error }, 'blobs that nothing refers to could not be deleted');
    }
  }
}
