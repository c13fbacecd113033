import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_LISTED, MAX_SHARED_VALUE_BYTES, type Shared } from '../../src/journal/shared.ts';
import { eventually } from '../support/eventually.ts';
import { TEST_STORES, type TestStore } from '../support/journal-stores.ts';

const HOUR_MS = 3_600_000;

describe.each(Object.entries(TEST_STORES))('shared state on %s', (_name, createStore) => {
  let store: TestStore;
  let shared: Shared;
  beforeEach(async () => {
    store = await createStore();
    ({ shared } = await store.open());
  });
  afterEach(() => store.remove());

  it('lets exactly one of all who ask have a claim, on whichever connection', async () => {
    const other = (await store.open()).shared;
    const asked = Array.from({ length: 20 }, (_, n) =>
      (n % 2 === 0 ? shared : other).claim('leader', HOUR_MS),
    );
    const won = await Promise.all(asked);
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await other.claim('another', HOUR_MS)).toBe(true);
  });

  it('gives a claim again when it has ended', async () => {
    expect(await shared.claim('leader', 20)).toBe(true);
    await eventually('the claim has ended', () => shared.claim('leader', HOUR_MS));
    expect(await shared.claim('leader', HOUR_MS)).toBe(false);
  });

  it('counts together what all connections add, each key for itself', async () => {
    const other = (await store.open()).shared;
    const counts = await Promise.all(
      Array.from({ length: 30 }, (_, n) => (n % 3 === 0 ? shared : other).add('calls', HOUR_MS, 2)),
    );
    expect(counts.toSorted((a, b) => a - b)).toEqual(counts.map((_, n) => 2 * (n + 1)));
    expect(await shared.add('others', HOUR_MS, 5)).toBe(5);
  });

  it('counts anew when the window has ended, and later counts do not move its end', async () => {
    await shared.add('calls', 40, 7);
    await eventually('a new window has begun', async () => (await shared.add('calls', 40, 1)) === 1);
  });

  it('lists the values below a prefix in order of key, and the newest of each', async () => {
    const other = (await store.open()).shared;
    await shared.put('authz/b', '1', HOUR_MS);
    await shared.put('authz/a', 'ä € 𝄞', HOUR_MS);
    await other.put('authz/b', '2', HOUR_MS);
    await other.put('authz', 'beside', HOUR_MS);
    await other.put('authz~', 'beside', HOUR_MS);
    await other.put('authz0', 'beside', HOUR_MS);
    const below = [
      { key: 'authz/a', value: 'ä € 𝄞' },
      { key: 'authz/b', value: '2' },
    ];
    expect(await shared.list('authz/')).toEqual(below);
    expect(await other.list('authz/')).toEqual(below);
    expect(await shared.list('')).toHaveLength(5);
    expect(await shared.list('%')).toEqual([]);
  });

  it('lists no more than the limit', async () => {
    const keys = Array.from({ length: MAX_LISTED + 1 }, (_, n) => `k${String(n).padStart(5, '0')}`);
    for (const key of keys) await shared.put(key, '', HOUR_MS);
    expect((await shared.list('k')).map(({ key }) => key)).toEqual(keys.slice(0, MAX_LISTED));
  });

  it('lists no value that has ended or was removed', async () => {
    await shared.put('a', 'soon gone', 20);
    await shared.put('b', 'removed', HOUR_MS);
    await shared.put('c', 'stays', HOUR_MS);
    await shared.remove('b');
    await shared.remove('b');
    await eventually('the value has ended', async () => (await shared.list('')).length === 1);
    expect(await shared.list('')).toEqual([{ key: 'c', value: 'stays' }]);
    await shared.put('a', 'again', HOUR_MS);
    expect(await shared.list('a')).toEqual([{ key: 'a', value: 'again' }]);
  });

  it('keeps claims, counts and values of one key apart', async () => {
    expect(await shared.claim('x', HOUR_MS)).toBe(true);
    expect(await shared.add('x', HOUR_MS, 3)).toBe(3);
    await shared.put('x', 'value', HOUR_MS);
    await shared.remove('x');
    expect(await shared.claim('x', HOUR_MS)).toBe(false);
    expect(await shared.add('x', HOUR_MS, 3)).toBe(6);
    expect(await shared.list('')).toEqual([]);
  });

  it.each([
    { what: 'no key', call: (it: Shared) => it.claim('', 1) },
    { what: 'a key of 257 characters', call: (it: Shared) => it.add('k'.repeat(257), 1, 1) },
    { what: 'a key with a space', call: (it: Shared) => it.put('a b', '', 1) },
    { what: 'a key that is not ASCII', call: (it: Shared) => it.remove('ä') },
    { what: 'a prefix that is not ASCII', call: (it: Shared) => it.list('ä') },
    { what: 'no time', call: (it: Shared) => it.claim('k', 0) },
    { what: 'more than a day', call: (it: Shared) => it.put('k', '', 86_400_001) },
    { what: 'half a millisecond', call: (it: Shared) => it.add('k', 0.5, 1) },
    { what: 'a count of nothing', call: (it: Shared) => it.add('k', 1, 0) },
    { what: 'too much at once', call: (it: Shared) => it.add('k', 1, 1_000_001) },
    {
      what: 'too long a value',
      call: (it: Shared) => it.put('k', 'x'.repeat(MAX_SHARED_VALUE_BYTES + 1), 1),
    },
    { what: 'half a character', call: (it: Shared) => it.put('k', '\ud800', 1) },
  ])('refuses $what', async ({ call }) => {
    await expect(call(shared)).rejects.toMatchObject({ code: 'request_malformed' });
  });
});
