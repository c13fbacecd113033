import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Digest, sha256 } from '../../src/core/digest.ts';
import type { CollectableBlobs } from '../../src/journal/journal.ts';
import { MAX_BLOB_BYTES } from '../../src/journal/limits.ts';
import { TEST_STORES, type TestStore } from '../support/journal-stores.ts';

describe.each(Object.entries(TEST_STORES))('blobs on %s', (_name, createStore) => {
  let store: TestStore;
  let blobs: CollectableBlobs;
  beforeEach(async () => {
    store = await createStore();
    ({ blobs } = await store.open());
  });
  afterEach(() => store.remove());

  it.each([
    { what: 'no bytes', bytes: new Uint8Array() },
    { what: 'all byte values', bytes: Uint8Array.from({ length: 256 }, (_, index) => index) },
    { what: 'three megabytes', bytes: new Uint8Array(3_000_000).fill(7) },
  ])('gives back $what under the SHA-256 of them', async ({ bytes }) => {
    const digest = await blobs.put(bytes);
    expect(digest).toBe(sha256(bytes));
    expect(Buffer.compare(await blobs.get(digest), bytes)).toBe(0);
  });

  it('takes the same bytes twice', async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(await blobs.put(bytes)).toBe(await blobs.put(bytes));
  });

  it('keeps what was put when the caller changes its bytes, and leaves the caller its own', async () => {
    const bytes = Buffer.from('policy');
    const digest = await blobs.put(bytes);
    expect(bytes.toString()).toBe('policy');
    bytes.fill(0);
    expect(Buffer.from(await blobs.get(digest)).toString()).toBe('policy');
  });

  it('says not_found for a digest that nobody put', async () => {
    await expect(blobs.get(sha256('nothing'))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('shows a blob to another connection', async () => {
    const digest = await blobs.put(Uint8Array.of(9));
    const other = await store.open();
    expect([...(await other.blobs.get(digest))]).toEqual([9]);
  });

  it('refuses a blob beyond the limit', async () => {
    const bytes = new Uint8Array(MAX_BLOB_BYTES + 1);
    await expect(blobs.put(bytes)).rejects.toMatchObject({ code: 'request_malformed' });
  });

  const DAY_MS = 86_400_000;
  const tomorrow = async (): Promise<number> => (await blobs.nowMs()) + DAY_MS;
  const yesterday = async (): Promise<number> => (await blobs.nowMs()) - DAY_MS;
  const putMany = async (count: number) => {
    const digests: Digest[] = [];
    for (let n = 0; n < count; n += 1) digests.push(await blobs.put(Buffer.from(`blob ${n}`)));
    return digests.toSorted();
  };

  it('lists those that are old enough, a page after the other, in order of digest', async () => {
    const all = await putMany(5);
    expect(await blobs.listOld(await tomorrow(), undefined, 2)).toEqual(all.slice(0, 2));
    expect(await blobs.listOld(await tomorrow(), all[1], 100)).toEqual(all.slice(2));
    expect(await blobs.listOld(await tomorrow(), all[4], 100)).toEqual([]);
    expect(await blobs.listOld(await yesterday(), undefined, 100)).toEqual([]);
  });

  it('deletes those that are old enough, says how much that was, and leaves the others', async () => {
    const [first, second, ...others] = await putMany(4);
    expect(await blobs.deleteOld([first!, second!], await yesterday())).toEqual({ blobs: 0, bytes: 0 });
    const unknown = sha256('nothing');
    expect(await blobs.deleteOld([first!, unknown, second!], await tomorrow())).toEqual({
      blobs: 2,
      bytes: 12,
    });
    for (const digest of [first!, second!])
      await expect(blobs.get(digest)).rejects.toMatchObject({ code: 'not_found' });
    expect(await blobs.listOld(await tomorrow(), undefined, 100)).toEqual(others);
    for (const digest of others) expect((await blobs.get(digest)).length).toBe(6);
  });

  it('takes bytes again that were deleted', async () => {
    const [digest] = await putMany(1);
    await blobs.deleteOld([digest!], await tomorrow());
    await putMany(1);
    expect(Buffer.from(await blobs.get(digest!)).toString()).toBe('blob 0');
  });
});
