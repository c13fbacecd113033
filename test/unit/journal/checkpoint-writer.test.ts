import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { Failure } from '../../../src/core/failure.ts';
import { parseManifest } from '../../../src/journal/checkpoint.ts';
import { createCheckpointMeasures } from '../../../src/journal/checkpoint-measures.ts';
import {
  type CheckpointWriterOptions,
  startCheckpointWriter,
} from '../../../src/journal/checkpoint-writer.ts';
import type { Checkpoints } from '../../../src/journal/checkpoints.ts';
import { createMemoryShared } from '../../../src/journal/memory-shared.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { type CheckpointJournal, createCheckpointJournal } from '../../support/checkpoint-journal.ts';
import { eventually } from '../../support/eventually.ts';
import { recordLog } from '../../support/log-lines.ts';

function aWriter(test: CheckpointJournal, change: Partial<CheckpointWriterOptions> = {}) {
  const { logger, lines } = recordLog();
  const metrics = createMetrics();
  const writer = startCheckpointWriter({
    ...test,
    shared: createMemoryShared({ clock: systemClock }),
    every: 10,
    logger,
    measures: createCheckpointMeasures(metrics),
    ...change,
  });
  return { writer, lines, metrics };
}

const seqs = async ({ checkpoints }: CheckpointJournal): Promise<readonly number[]> =>
  (await checkpoints.latest()).map(({ manifest }) => parseManifest(manifest).position.seq);

describe('role admin', () => {
  it('writes a checkpoint at once where there are enough entries without one', async () => {
    const test = await createCheckpointJournal();
    await test.grow(3);
    const { writer } = aWriter(test);
    await writer.close();
    expect(await seqs(test)).toEqual([16]);
  });

  it('writes the next one after as many entries again, and not earlier', async () => {
    const test = await createCheckpointJournal();
    await test.grow(3);
    await test.checkpoint();
    const { writer } = aWriter(test);
    await test.grow(1);
    await writer.close();
    expect(await seqs(test)).toEqual([16]);
    const again = aWriter(test);
    await test.grow(1);
    await eventually('it is written', async () => (await seqs(test)).length === 2);
    await again.writer.close();
    const [newest = 0] = await seqs(test);
    expect(newest).toBeGreaterThanOrEqual(26);
  });

  it('writes one where several processes would', async () => {
    const test = await createCheckpointJournal();
    await test.grow(3);
    let writes = 0;
    const checkpoints = {
      ...test.checkpoints,
      put: async (...args: Parameters<typeof test.checkpoints.put>) => {
        writes += 1;
        await test.checkpoints.put(...args);
      },
    };
    const shared = createMemoryShared({ clock: systemClock });
    const writers = [1, 2, 3].map(() => aWriter({ ...test, checkpoints }, { shared }).writer);
    await Promise.all(writers.map((writer) => writer.close()));
    expect(writes).toBe(1);
  });

  it('writes one soon after its state was replaced by an earlier one, as that of an adopted journal', async () => {
    const test = await createCheckpointJournal();
    const early = test.follower.capture()!;
    await test.grow(20);
    const written: number[] = [];
    const checkpoints: Checkpoints = {
      latest: async () => [],
      put: async ({ position }) => {
        written.push(position.seq);
      },
    };
    const { writer } = aWriter(test, { every: 50, checkpoints });
    await eventually('it is written', () => written.length === 1);
    test.follower.restore(early);
    await test.follower.sync();
    await eventually('another one is', () => written.length === 2);
    await writer.close();
    expect(written[1]).toBeLessThanOrEqual(written[0]!);
  });

  it('says that one could not be written, and tries again later; appends go on', async () => {
    const test = await createCheckpointJournal();
    await test.grow(3);
    let isFull = true;
    const blobs = {
      ...test.blobs,
      put: async (bytes: Uint8Array) => {
        if (isFull) throw new Failure('store_unavailable', 'the disk is full');
        return test.blobs.put(bytes);
      },
    };
    const { writer, lines, metrics } = aWriter(test, { blobs });
    await eventually('it has failed', () => lines.some(({ level }) => level === 'error'));
    expect(await seqs(test)).toEqual([]);
    isFull = false;
    await test.grow(4);
    await eventually('it is written', async () => (await seqs(test)).length === 1);
    await writer.close();
    const text = await metrics.render();
    expect(text).toContain('chancery_checkpoints_total{outcome="failed"} 1');
    expect(text).toContain('chancery_checkpoints_total{outcome="written"} 1');
  });

  it('lets others run while a large state is written', async () => {
    const test = await createCheckpointJournal();
    const operations = Array.from({ length: 1_000 }, (_, index) => `operation-${index}`);
    for (let index = 0; index < 40; index += 1) {
      const grant = { subject: { spiffe: 'spiffe://x/y' }, operations };
      await test.append('registry.grant.put', { service: 's', id: `g${index}`, grant });
    }
    let turns = 0;
    let isWriting = true;
    const count = (): void => {
      turns += 1;
      if (isWriting) setImmediate(count);
    };
    setImmediate(count);
    const { writer } = aWriter(test);
    await writer.close();
    isWriting = false;
    expect(await seqs(test)).toEqual([41]);
    expect(turns).toBeGreaterThan(3);
  });
});
