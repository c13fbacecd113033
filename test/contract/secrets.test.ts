import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemRandom } from '../../src/journal/random.ts';
import {
  createSecrets,
  MAX_SECRET_BYTES,
  type SealedSecrets,
  type Secrets,
} from '../../src/journal/secrets.ts';
import { toSecretsKey } from '../../src/journal/secrets-key.ts';
import { TEST_STORES, type TestStore } from '../support/journal-stores.ts';

const key = toSecretsKey(Buffer.alloc(32, 1));

describe.each(Object.entries(TEST_STORES))('secrets on %s', (_name, createStore) => {
  let store: TestStore;
  let sealed: SealedSecrets;
  let secrets: Secrets;
  beforeEach(async () => {
    store = await createStore();
    sealed = (await store.open()).sealedSecrets;
    secrets = createSecrets({ sealed, key, random: systemRandom });
  });
  afterEach(() => store.remove());

  it.each([
    { what: 'no bytes', bytes: new Uint8Array() },
    { what: 'all byte values', bytes: Uint8Array.from({ length: 256 }, (_, index) => index) },
    { what: 'as many bytes as a secret may have', bytes: new Uint8Array(MAX_SECRET_BYTES).fill(7) },
  ])('gives back $what', async ({ bytes }) => {
    await secrets.put('ca/node', bytes);
    expect(Buffer.compare((await secrets.get('ca/node')) ?? Buffer.of(1, 2, 3), bytes)).toBe(0);
  });

  it('has nothing under a name that nobody put', async () => {
    await secrets.put('a', Uint8Array.of(1));
    expect(await secrets.get('A')).toBeUndefined();
  });

  it('replaces a secret', async () => {
    await secrets.put('a', Uint8Array.of(1));
    await secrets.put('a', Uint8Array.of(2));
    expect(await secrets.get('a')).toEqual(Uint8Array.of(2));
  });

  it('has nothing after a delete, which may come twice, and leaves the neighbours', async () => {
    await secrets.put('a', Uint8Array.of(1));
    await secrets.put('b', Uint8Array.of(2));
    await secrets.delete('a');
    await secrets.delete('a');
    expect(await secrets.get('a')).toBeUndefined();
    expect(await secrets.get('b')).toEqual(Uint8Array.of(2));
    await secrets.put('a', Uint8Array.of(3));
    expect(await secrets.get('a')).toEqual(Uint8Array.of(3));
  });

  it('says which names there are, a page after the other', async () => {
    for (const name of ['b', 'a/2', 'a/1', 'B']) await secrets.put(name, Uint8Array.of(1));
    expect(await sealed.names('', 3)).toEqual(['B', 'a/1', 'a/2']);
    expect(await sealed.names('a/2', 3)).toEqual(['b']);
    await secrets.delete('a/1');
    expect(await sealed.names('', 9)).toEqual(['B', 'a/2', 'b']);
  });

  it('keeps what was put when the caller changes its bytes', async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const putting = secrets.put('a', bytes);
    bytes.fill(0);
    await putting;
    expect(await secrets.get('a')).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('shows a secret, and its end, to another connection', async () => {
    const other = createSecrets({ sealed: (await store.open()).sealedSecrets, key, random: systemRandom });
    await secrets.put('a', Uint8Array.of(9));
    expect(await other.get('a')).toEqual(Uint8Array.of(9));
    await other.delete('a');
    expect(await secrets.get('a')).toBeUndefined();
  });

  it('does not show the secret to the store', async () => {
    const secret = Buffer.from('correct horse battery staple');
    await secrets.put('a', secret);
    const stored = Buffer.from((await sealed.get('a')) ?? []);
    expect(stored.length).toBeGreaterThan(secret.length);
    expect(stored.includes(secret)).toBe(false);
  });

  it('refuses to open what was moved to another name', async () => {
    await secrets.put('a', Uint8Array.of(1));
    await sealed.put('b', (await sealed.get('a')) ?? new Uint8Array());
    await expect(secrets.get('b')).rejects.toMatchObject({ code: 'store_mismatch' });
  });

  it('refuses a secret beyond the limit, and names of another form', async () => {
    const malformed = { code: 'request_malformed' };
    await expect(secrets.put('a', new Uint8Array(MAX_SECRET_BYTES + 1))).rejects.toMatchObject(malformed);
    for (const name of ['', 'a b', 'ä', 'a\n', 'a'.repeat(201)]) {
      await expect(secrets.put(name, Uint8Array.of(1))).rejects.toMatchObject(malformed);
      await expect(secrets.get(name)).rejects.toMatchObject(malformed);
      await expect(secrets.delete(name)).rejects.toMatchObject(malformed);
    }
    expect(await secrets.get('a'.repeat(200))).toBeUndefined();
  });
});
