import { createHash, createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { parseJson } from '../../../src/core/parse-json.ts';
import { MAX_BODY_BYTES, MAX_COMMIT_ENTRIES } from '../../../src/journal/limits.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { sealCommit } from '../../../src/journal/seal.ts';
import { CHAIN_START, verifyCommit } from '../../../src/journal/verify.ts';
import { aCommitChain } from '../../support/journal-commits.ts';

describe('a sealed commit', () => {
  it('has the bytes that the format says, written out by hand here', () => {
    const salt = Uint8Array.from({ length: 16 }, (_, index) => index);
    const chain = aCommitChain(() => salt);
    const commit = chain.next('c1', { b: 1, a: 'ä' }, { n: 1e21, m: -0 });
    const [first, second] = commit.entries.map(({ entry }) => entry);
    const hex = (...parts: (string | Uint8Array)[]) => {
      const hash = createHash('sha256');
      for (const part of parts) hash.update(part);
      return `sha256:${hash.digest('hex')}`;
    };
    const bodyDigest = hex(salt, '{"a":"ä","b":1}');
    const text =
      `{"actor":"test:somebody","at":"2026-01-01T12:00:01.000Z","bodyDigest":"${bodyDigest}",` +
      `"commit":{"count":2,"id":"c1","index":0},"epoch":1,"kind":"settings.put",` +
      `"previous":"${chain.genesis.genesisDigest}","schema":1,"seq":2,"v":1}`;

    expect(Buffer.from(commit.entries[1]!.body!).toString()).toBe('{"m":0,"n":1e+21}');
    expect(first).toMatchObject({ bodyDigest, digest: hex(text), previous: chain.genesis.genesisDigest });
    expect(second).toMatchObject({
      previous: first!.digest,
      commit: { id: 'c1', index: 1, count: 2 },
      seq: 3,
    });
    expect(second!.signature).toBe(first!.signature);

    const jwk = chain.genesis.signingKey.jwk;
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    const signed = Buffer.from(`chancery-commit-v1\n${second!.digest}`);
    expect(verify(null, signed, key, Buffer.from(first!.signature, 'base64url'))).toBe(true);
  });

  it('takes the time of the entry before when the clock has gone back', () => {
    const { signingKey, commit } = aCommitChain().genesis;
    const { epoch, seq, digest, at } = commit.entries[0]!.entry;
    const sealed = sealCommit({
      id: 'c1',
      actor: 'test:somebody',
      drafts: [{ kind: 'settings.put', body: {} }],
      tip: { position: { epoch, seq, digest }, at },
      signingKey,
      nowMs: Date.parse(at) - 3_600_000,
      random: systemRandom,
    });
    expect(sealed.entries[0]?.entry.at).toBe('2026-01-01T12:00:00.000Z');
  });

  it.each([
    { what: 'a body that is too large', id: 'c1', bodies: [{ text: 'x'.repeat(MAX_BODY_BYTES) }] },
    {
      what: 'too many entries',
      id: 'c1',
      bodies: Array.from({ length: MAX_COMMIT_ENTRIES + 1 }, () => ({})),
    },
    { what: 'a body with a lone surrogate', id: 'c1', bodies: [{ text: '\uD800' }] },
    { what: 'a body with a number that is none', id: 'c1', bodies: [{ n: Number.NaN }] },
    { what: 'an empty id', id: '', bodies: [{}] },
    { what: 'an id with a space', id: 'a b', bodies: [{}] },
    { what: 'an id of 129 characters', id: 'x'.repeat(129), bodies: [{}] },
  ])('is not made of $what', ({ id, bodies }) => {
    expect(() => aCommitChain().next(id, ...(bodies as JsonObject[]))).toThrow(
      expect.objectContaining({ code: 'request_malformed' }),
    );
  });

  it('verifies, whatever the bodies are', () => {
    // a few characters that escaping, sorting by UTF-16 units and objects treat in ways of their own
    const unit = fc.constantFrom(
      'a',
      'B',
      '"',
      '\\',
      '/',
      'é',
      '\u{1F512}',
      '\uFB33',
      '\u2028',
      '\u0000',
      '\u007F',
    );
    const text = fc.oneof(
      fc.string({ unit, maxLength: 5 }),
      fc.constantFrom('__proto__', 'toJSON', 'constructor'),
    );
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    const plain = fc.oneof(text, number, fc.integer(), fc.boolean(), fc.constant(null));
    const value = fc.oneof(
      plain,
      fc.array(plain, { maxLength: 3 }),
      fc.dictionary(text, plain, { maxKeys: 3 }),
    );
    const body = fc.dictionary(text, value, { maxKeys: 3 });
    fc.assert(
      fc.property(fc.array(body, { minLength: 1, maxLength: 3 }), (bodies) => {
        const chain = aCommitChain();
        const commit = chain.next('c1', ...(bodies as JsonObject[]));
        const { state } = verifyCommit(CHAIN_START, chain.genesis.commit);
        const verified = verifyCommit(state, commit);
        expect(verified.problems).toEqual([]);
        expect(verified.entries.map((entry) => entry.body)).toEqual(parseJson(JSON.stringify(bodies)));
      }),
      { numRuns: 50 },
    );
  });
});
