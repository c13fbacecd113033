import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { createMemoryCheckpoints } from '../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../src/journal/memory-journal.ts';
import { createMemorySealedSecrets } from '../../src/journal/memory-secrets.ts';
import { createMemoryShared } from '../../src/journal/memory-shared.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';

/** One place where journals live, opened as often as a test likes. */
export interface TestStore {
  readonly name: string;
  /** Each call is another connection to the same content, as another process would have. */
  open(): Promise<Pick<Store, 'journal' | 'blobs' | 'sealedSecrets' | 'shared' | 'checkpoints'>>;
  /** Closes what was opened, and removes the content. */
  remove(): Promise<void>;
}

export const TEST_STORES: Readonly<Record<string, () => Promise<TestStore>>> = {
  async memory() {
    const journal = createMemoryJournal();
    const blobs = createMemoryBlobs();
    const sealedSecrets = createMemorySealedSecrets();
    const shared = createMemoryShared({ clock: systemClock });
    const checkpoints = createMemoryCheckpoints();
    const content = { journal, blobs, sealedSecrets, shared, checkpoints };
    return { name: 'memory', open: async () => content, remove: () => journal.close() };
  },
  async SQLite() {
    const { path, remove } = await aTemporaryPath('journal.db');
    const closing: (() => Promise<void>)[] = [];
    return {
      name: 'SQLite',
      async open() {
        const store = await openStore({ sqlite: { path, watchMs: 20 }, create: true }, silentLogger);
        closing.push(() => store.close());
        return store;
      },
      async remove() {
        await Promise.all(closing.map((close) => close()));
        await remove();
      },
    };
  },
};

/** A path in a new folder of its own. */
export async function aTemporaryPath(name: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'chancery-'));
  return { path: join(folder, name), remove: () => rm(folder, { recursive: true, force: true }) };
}
