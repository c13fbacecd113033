import { afterEach, describe, expect, it } from 'vitest';
import type { CollectableBlobs } from '../../../src/journal/journal.ts';
import { createMemoryCheckpoints } from '../../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { createMemoryShared } from '../../../src/journal/memory-shared.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { type Collection, startCollection } from '../../../src/roles/collection.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { eventually } from '../../support/eventually.ts';
import { aCommitChain } from '../../support/journal-commits.ts';

describe('the collection of blobs by role admin', () => {
  const running: Collection[] = [];
  afterEach(() => Promise.all(running.splice(0).map((collection) => collection.stop())));

  /** As many processes of one instance, and how often each has begun. */
  function start(processes: number, blobs: CollectableBlobs, sharedNowMs = (): number => Date.now()) {
    const shared = createMemoryShared({ clock: { nowMs: sharedNowMs } });
    const runs: number[] = Array.from({ length: processes }, () => 0);
    const journal = createMemoryJournal(aCommitChain().commits);
    for (let index = 0; index < processes; index += 1) {
      const counted = {
        ...journal,
        head: () => {
          runs[index] = (runs[index] ?? 0) + 1;
          return journal.head();
        },
      };
      const world = { shared, random: systemRandom, logger: silentLogger };
      const content = { journal: counted, blobs, checkpoints: createMemoryCheckpoints() };
      running.push(startCollection({ ...world, ...content, graceMs: 0, everyMs: 5 }));
    }
    return { shared, runs: () => runs.reduce((sum, each) => sum + each, 0) };
  }

  it('comes again and again, and goes on after a run that failed', async () => {
    const blobs = createMemoryBlobs();
    let failures = 2;
    const failing: CollectableBlobs = {
      ...blobs,
      listOld: (...args) => (failures-- > 0 ? Promise.reject(new Error('away')) : blobs.listOld(...args)),
    };
    const digest = await blobs.put(Buffer.from('idle'));
    start(1, failing);
    await eventually('the blob is gone', () =>
      blobs.get(digest).then(
        () => false,
        () => true,
      ),
    );
    const second = await blobs.put(Buffer.from('idle too'));
    await eventually('the next is gone as well', () =>
      blobs.get(second).then(
        () => false,
        () => true,
      ),
    );
  });

  it('is done by one process at a time', async () => {
    // the claim of the first run never ends
    const { runs, shared } = start(4, createMemoryBlobs(), () => 0);
    await eventually('somebody has claimed it', () => runs() > 0);
    const claims: Promise<boolean>[] = [];
    await eventually('all have tried several times', () => {
      claims.push(shared.claim('collect-blobs', 1_000));
      return claims.length > 20;
    });
    expect((await Promise.all(claims)).some(Boolean)).toBe(false);
    expect(runs()).toBe(1);
  });

  it('ends with the process, after the step that is under way', async () => {
    const blobs = createMemoryBlobs();
    const digest = await blobs.put(Buffer.from('idle'));
    const [begun, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow: CollectableBlobs = {
      ...blobs,
      async listOld(...args) {
        begun.resolve();
        await released.promise;
        return blobs.listOld(...args);
      },
    };
    start(1, slow);
    await begun.promise;
    const order: string[] = [];
    const stopped = Promise.all(running.splice(0).map((collection) => collection.stop())).then(() =>
      order.push('stopped'),
    );
    order.push('released');
    released.resolve();
    await stopped;
    expect(order).toEqual(['released', 'stopped']);
    await expect(blobs.get(digest)).rejects.toMatchObject({ code: 'not_found' });
  });
});
