import { Check } from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { ZERO_DIGEST } from '../../../src/core/digest.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { deleteIssuer, putIssuer } from '../../../src/identity/commit.ts';
import { type Issuer, issuerSchema } from '../../../src/identity/model.ts';
import { createIssuers } from '../../../src/identity/state.ts';
import type { FoldedEntry } from '../../../src/journal/fold.ts';

const ISSUER: Issuer = {
  issuer: 'https://idp.test',
  jwksUri: 'https://idp.test/keys',
  audiences: ['orders'],
  algorithms: ['RS256'],
};
function entry(seq: number, kind: FoldedEntry['kind'], body: JsonObject): FoldedEntry {
  return {
    seq,
    epoch: 1,
    digest: ZERO_DIGEST,
    at: '2026-01-01T00:00:00Z',
    actor: 'a',
    commitId: 'c',
    kind,
    body,
  };
}

describe('the issuers', () => {
  it('are put, replaced and deleted by the journal', () => {
    const { reducer, view } = createIssuers();
    expect(reducer.apply(entry(1, 'issuer.put', { name: 'b', issuer: ISSUER }))).toEqual(['issuer/b']);
    reducer.apply(entry(2, 'issuer.put', { name: 'a', issuer: { ...ISSUER, issuer: 'https://other.test' } }));
    expect(view.list().map(({ name }) => name)).toEqual(['a', 'b']);
    expect(view.byIssuer('https://idp.test')).toEqual({
      name: 'b',
      value: ISSUER,
      digest: ZERO_DIGEST,
      seq: 1,
      at: '2026-01-01T00:00:00Z',
    });
    const before = view.get('b');
    reducer.apply(entry(3, 'issuer.put', { name: 'b', issuer: ISSUER }));
    expect(view.get('b')).not.toBe(before);
    expect(reducer.apply(entry(4, 'issuer.delete', { name: 'b' }))).toEqual(['issuer/b']);
    expect([view.get('b'), view.byIssuer('https://idp.test')]).toEqual([undefined, undefined]);
  });

  it('do not answer for an `iss` that two of them claim, until one is gone', () => {
    const { reducer, view } = createIssuers();
    reducer.apply(entry(1, 'issuer.put', { name: 'a', issuer: ISSUER }));
    reducer.apply(entry(2, 'issuer.put', { name: 'b', issuer: ISSUER }));
    expect(view.byIssuer('https://idp.test')).toBeUndefined();
    reducer.apply(entry(3, 'issuer.delete', { name: 'a' }));
    expect(view.byIssuer('https://idp.test')?.name).toBe('b');
  });

  it('stop the fold at a body that is no issuer', () => {
    expect(() => createIssuers().reducer.apply(entry(1, 'issuer.put', { name: 'a', issuer: {} }))).toThrow(
      'internal',
    );
  });

  it.each<[string, object]>([
    ['no audience', { audiences: [] }],
    ['no algorithm', { algorithms: [] }],
    ['a shared secret', { algorithms: ['HS256'] }],
    ['no signature', { algorithms: ['none'] }],
    ['no issuer', { issuer: '' }],
    ['keys in a file', { jwksUri: 'file:///etc/keys' }],
    ['a password in the address of the keys', { jwksUri: 'https://a:b@idp.test/keys' }],
    ['an unknown member', { secret: 'x' }],
  ])('cannot have %s', (_title, change) => {
    expect(Check(issuerSchema, ISSUER)).toBe(true);
    expect(Check(issuerSchema, { ...ISSUER, ...change })).toBe(false);
  });
});

describe('a change of issuers', () => {
  const { reducer, view } = createIssuers();
  reducer.apply(entry(1, 'issuer.put', { name: 'a', issuer: ISSUER }));

  it('is what to append', () => {
    expect(putIssuer(view, 'a', ISSUER)).toEqual({ kind: 'issuer.put', body: { name: 'a', issuer: ISSUER } });
    expect(deleteIssuer(view, 'a')).toEqual({ kind: 'issuer.delete', body: { name: 'a' } });
  });

  it('is refused with a pointer: a bad name, a bad member, an `iss` that is taken, an issuer that is not there', () => {
    expect(() => putIssuer(view, 'A b', ISSUER)).toThrow(
      expect.objectContaining({ code: 'registry_rejected' }),
    );
    expect(() => putIssuer(view, 'b', { ...ISSUER, audiences: [] })).toThrow(
      expect.objectContaining({ issues: [expect.objectContaining({ pointer: '/audiences' })] }),
    );
    expect(() => putIssuer(view, 'b', ISSUER)).toThrow(
      expect.objectContaining({
        issues: [expect.objectContaining({ pointer: '/issuer', code: 'issuer_taken' })],
      }),
    );
    expect(() => deleteIssuer(view, 'b')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});
