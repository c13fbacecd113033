import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoredCheckpoint } from '../../src/journal/checkpoints.ts';
import { TEST_STORES, type TestStore } from '../support/journal-stores.ts';

const at = (epoch: number, seq: number, manifest = `{"seq":${seq}}`): StoredCheckpoint => ({
  position: { epoch, seq },
  manifest,
});

describe.each(Object.entries(TEST_STORES))('checkpoints in %s', (_name, createStore) => {
  let store: TestStore;
  beforeEach(async () => {
    store = await createStore();
  });
  afterEach(() => store.remove());

  it('has none at first', async () => {
    const { checkpoints } = await store.open();
    expect(await checkpoints.latest()).toEqual([]);
  });

  it('gives the newest first, by epoch and then by seq, whatever the order they came in', async () => {
    const { checkpoints } = await store.open();
    for (const one of [at(1, 900), at(2, 100), at(1, 1000)]) await checkpoints.put(one);
    expect(await checkpoints.latest()).toEqual([at(2, 100), at(1, 1000), at(1, 900)]);
  });

  it('keeps the newest three', async () => {
    const { checkpoints } = await store.open();
    for (const seq of [1, 2, 3, 4, 5]) await checkpoints.put(at(1, seq));
    expect(await checkpoints.latest()).toEqual([at(1, 5), at(1, 4), at(1, 3)]);
    await checkpoints.put(at(1, 2));
    expect(await checkpoints.latest()).toEqual([at(1, 5), at(1, 4), at(1, 3)]);
  });

  it('replaces one of the same place', async () => {
    const { checkpoints } = await store.open();
    await checkpoints.put(at(1, 7, 'damaged'));
    await checkpoints.put(at(1, 7));
    expect(await checkpoints.latest()).toEqual([at(1, 7)]);
  });

  it('shows every process the same', async () => {
    const [one, other] = [await store.open(), await store.open()];
    await one.checkpoints.put(at(1, 3, 'text of „any“ kind'));
    expect(await other.checkpoints.latest()).toEqual([at(1, 3, 'text of „any“ kind')]);
  });
});
