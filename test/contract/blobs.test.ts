import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { MAX_BLOB_BYTES } from '../../src/journal/append-rules.ts';
import type { Blobs } from '../../src/journal/journal.ts';
import { TEST_STORES, type TestStore } from '../support/journal-stores.ts';

describe.each(Object.entries(TEST_STORES))('blobs on %s', (_name, createStore) => {
  let store: TestStore;
  let blobs: Blobs;
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
});
