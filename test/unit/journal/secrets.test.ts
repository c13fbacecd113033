import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import { createMemorySealedSecrets } from '../../../src/journal/memory-secrets.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { createSecrets, type Secrets } from '../../../src/journal/secrets.ts';
import { readSecretsKeyFile, type SecretsKey, toSecretsKey } from '../../../src/journal/secrets-key.ts';

const oneKey = toSecretsKey(Buffer.alloc(32, 1));
const anotherKey = toSecretsKey(Buffer.alloc(32, 2));
const SECRET = Buffer.from('a secret that nobody may see');

describe('sealed secrets', () => {
  const sealed = createMemorySealedSecrets();
  const holding = (key: SecretsKey, ...previousKeys: SecretsKey[]): Secrets =>
    createSecrets({ sealed, key, previousKeys, random: systemRandom });

  it('open as they did when this form was fixed', async () => {
    // made once by this program: key 01…, nonce aa…, name `ca/node`
    const known = '0120f3b0895c1dea1baaaaaaaaaaaaaaaaaaaaaaaa5192ecd36f84b930d2f9c3f11228f0fb3bec555dfd';
    const fixed = createSecrets({ sealed, key: oneKey, random: (size) => Buffer.alloc(size, 0xaa) });
    await fixed.put('ca/node', Buffer.from('known'));
    expect(Buffer.from((await sealed.get('ca/node')) ?? []).toString('hex')).toBe(known);
    expect(Buffer.from((await holding(oneKey).get('ca/node')) ?? []).toString()).toBe('known');
  });

  it('differ each time, though the secret is the same', async () => {
    await holding(oneKey).put('a', SECRET);
    const first = await sealed.get('a');
    await holding(oneKey).put('a', SECRET);
    expect(await sealed.get('a')).not.toEqual(first);
  });

  it('do not open when any one byte was changed, cut off or added', async () => {
    await holding(oneKey).put('a', SECRET);
    const good = (await sealed.get('a')) ?? new Uint8Array();
    const bad = [good.slice(0, -1), Uint8Array.of(...good, 0), good.slice(0, 36), new Uint8Array()];
    for (let index = 0; index < good.length; index += 1) {
      bad.push(good.map((byte, at) => (at === index ? byte ^ 1 : byte)));
    }
    for (const bytes of bad) {
      await sealed.put('a', bytes);
      await expect(holding(oneKey).get('a')).rejects.toMatchObject({ code: 'store_mismatch' });
    }
    await sealed.put('a', good);
    expect(await holding(oneKey).get('a')).toEqual(Uint8Array.from(SECRET));
  });

  it('open with the key that sealed them only, also when it is a previous one', async () => {
    await holding(oneKey).put('a', SECRET);
    await expect(holding(anotherKey).get('a')).rejects.toMatchObject({ code: 'store_mismatch' });
    const rotated = holding(anotherKey, oneKey);
    expect(await rotated.get('a')).toEqual(Uint8Array.from(SECRET));
    await rotated.put('a', SECRET);
    expect(await holding(anotherKey).get('a')).toEqual(Uint8Array.from(SECRET));
    await expect(holding(oneKey).get('a')).rejects.toMatchObject({ code: 'store_mismatch' });
  });

  it('show nothing of the secret or the key in an error or a key', async () => {
    await holding(oneKey).put('a', SECRET);
    await sealed.put('b', (await sealed.get('a')) ?? new Uint8Array());
    const thrown = await holding(oneKey)
      .get('b')
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Failure);
    const shown = inspect([thrown, oneKey], { depth: 9, showHidden: true });
    for (const encoding of ['utf8', 'hex', 'base64url'] as const) {
      expect(shown).not.toContain(SECRET.toString(encoding));
      expect(shown).not.toContain(oneKey.sealing.export().toString(encoding));
    }
  });
});

describe('the file of the secrets key', () => {
  const withFile = (bytes: Uint8Array, mode: number, check: (path: string) => void): void => {
    const folder = mkdtempSync(join(tmpdir(), 'chancery-'));
    try {
      const path = join(folder, 'secrets.key');
      writeFileSync(path, bytes, { mode });
      check(path);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it('holds 32 bytes', () => {
    withFile(Buffer.alloc(32, 1), 0o600, (path) => {
      expect(readSecretsKeyFile(path).id).toEqual(oneKey.id);
    });
  });

  it.each([
    { what: 'fewer bytes', bytes: Buffer.alloc(31), mode: 0o600 },
    { what: 'the key as text', bytes: Buffer.from(Buffer.alloc(32).toString('hex')), mode: 0o600 },
    { what: 'a key that everybody may read', bytes: Buffer.alloc(32), mode: 0o644 },
  ])('is refused with $what, and its path is not shown', ({ bytes, mode }) => {
    withFile(bytes, mode, (path) => {
      const wanted = { code: 'store_mismatch', detail: expect.not.stringContaining(path) };
      expect(() => readSecretsKeyFile(path)).toThrow(expect.objectContaining(wanted));
    });
  });

  it('is refused when it is not there', () => {
    expect(() => readSecretsKeyFile('/nowhere/secrets.key')).toThrow('the secrets key file cannot be read');
  });
});
