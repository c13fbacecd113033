import { chmodSync, readFileSync, statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initJournal } from '../../../src/journal/init.ts';
import { createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import {
  generateSigningKey,
  readSigningKeyFile,
  thumbprint,
  writeSigningKeyFile,
} from '../../../src/journal/signing-key.ts';
import { NOON_MS } from '../../support/journal-commits.ts';
import { aTemporaryPath } from '../../support/journal-stores.ts';

const options = {
  instance: 'one',
  environment: 'production',
  development: false,
  clock: { nowMs: () => NOON_MS },
  random: systemRandom,
};

describe('beginning a journal', () => {
  it('writes genesis with the public key, and what else is given in the same commit', async () => {
    const journal = createMemoryJournal();
    const token = { kind: 'token.issue', body: { id: 't1' } } as const;
    const { genesisDigest, signingKey, head } = await initJournal({
      ...options,
      journal,
      extraDrafts: [token],
    });
    const [commit, ...more] = await journal.read(0, 10);
    const bodies = commit?.entries.map(({ body }) => JSON.parse(Buffer.from(body!).toString()) as unknown);
    expect(more).toEqual([]);
    expect(bodies).toEqual([
      {
        instance: 'one',
        environment: 'production',
        epoch: 1,
        development: false,
        keys: [{ kid: signingKey.kid, jwk: signingKey.jwk }],
      },
      { id: 't1' },
    ]);
    expect(commit?.entries[0]?.entry).toMatchObject({
      kind: 'journal.genesis',
      seq: 1,
      digest: genesisDigest,
    });
    expect(head).toEqual(await journal.head());
  });

  it('refuses a journal that is not empty', async () => {
    const journal = createMemoryJournal();
    await initJournal({ ...options, journal });
    const before = await journal.head();
    await expect(initJournal({ ...options, journal })).rejects.toMatchObject({ code: 'already_exists' });
    expect(await journal.head()).toEqual(before);
  });
});

describe('a signing key', () => {
  let file: Awaited<ReturnType<typeof aTemporaryPath>>;
  beforeEach(async () => {
    file = await aTemporaryPath('signing.pem');
  });
  afterEach(() => file.remove());

  it('is written as PKCS#8 PEM with mode 0600 and read back', () => {
    const key = generateSigningKey();
    writeSigningKeyFile(file.path, key);
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
    expect(readFileSync(file.path, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const read = readSigningKeyFile(file.path);
    expect({ kid: read.kid, jwk: read.jwk }).toEqual({ kid: key.kid, jwk: key.jwk });
    expect(read.privateKey.equals(key.privateKey)).toBe(true);
  });

  it('is never written over another file', () => {
    const key = generateSigningKey();
    writeSigningKeyFile(file.path, key);
    expect(() => writeSigningKeyFile(file.path, generateSigningKey())).toThrow(
      expect.objectContaining({ code: 'already_exists' }),
    );
    expect(readSigningKeyFile(file.path).kid).toBe(key.kid);
  });

  it.each([0o644, 0o604, 0o620, 0o602])('is not read from a file with mode %o', (mode) => {
    writeSigningKeyFile(file.path, generateSigningKey());
    chmodSync(file.path, mode);
    expect(() => readSigningKeyFile(file.path)).toThrow(expect.objectContaining({ code: 'store_mismatch' }));
  });

  it('has the RFC 7638 thumbprint as its id, as in RFC 8037, appendix A.3', () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } as const;
    expect(thumbprint(jwk)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  });
});
