import { describe, expect, it } from 'vitest';
import { type Digest, sha256, ZERO_DIGEST } from '../../../src/core/digest.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { createEnrolments } from '../../../src/identity/enrolment-state.ts';
import type { FoldedEntry } from '../../../src/journal/fold.ts';
import { captured } from '../../support/sections.ts';

const NOON = Date.parse('2026-01-01T12:00:00Z');
const atHour = (hours: number): string => new Date(NOON + hours * 3_600_000).toISOString();

function entry(kind: FoldedEntry['kind'], body: JsonObject, at = atHour(0)): FoldedEntry {
  return { seq: 1, epoch: 1, digest: ZERO_DIGEST, at, actor: 'a', commitId: 'c', kind, body };
}

const aToken = (node: string, id: string) =>
  entry('node.enrolment.issue', { id, node, sha256: sha256(id), expiresAt: atHour(1) });

function aCertificate(node: string, name: string, more: JsonObject = {}, hour = 0): FoldedEntry {
  const body = {
    node,
    sha256: sha256(name),
    serial: name,
    notBefore: atHour(hour),
    notAfter: atHour(hour + 24),
    keySha256: sha256(`key of ${name}`),
    certificate: `PEM ${name}`,
  };
  return entry('node.certificate.issue', { ...body, ...more }, atHour(hour));
}

const anAuthority = (name: string) =>
  entry('node.authority.put', { id: sha256(name), certificate: `PEM ${name}` });

describe('enrolments as a fold', () => {
  it('trust every authority, and the last one issues', () => {
    const { reducer, view } = createEnrolments();
    expect(reducer.apply(anAuthority('a'))).toEqual([`node-authority/${sha256('a')}`]);
    reducer.apply(anAuthority('b'));
    expect(view.authorities().map(({ certificate }) => certificate)).toEqual(['PEM a', 'PEM b']);
  });

  it('know one token of a node, the last, and what it was used for', () => {
    const { reducer, view } = createEnrolments();
    reducer.apply(aToken('edge', 't1'));
    expect(reducer.apply(aToken('edge', 't2'))).toEqual(['node-certificates/edge']);
    expect(view.enrolment('t1')).toBeUndefined();
    expect(view.enrolment('t2')).toMatchObject({ node: 'edge', sha256: sha256('t2') });
    expect(view.enrolment('t2')?.redeemed).toBeUndefined();
    reducer.apply(aCertificate('edge', 'c1', { enrolment: 't2' }));
    expect(view.enrolment('t2')?.redeemed).toEqual({
      keySha256: sha256('key of c1'),
      certificate: 'PEM c1',
      notBefore: atHour(0),
      notAfter: atHour(24),
    });
    // a renewal uses no token
    reducer.apply(aCertificate('edge', 'c2', { renews: sha256('c1') }));
    expect(view.enrolment('t2')?.redeemed?.certificate).toBe('PEM c1');
    reducer.apply(aCertificate('edge', 'c3', {}, 2));
    expect(view.enrolment('t2')).toBeUndefined();
  });

  it('know the certificates of a node until it is revoked, those of others stay', () => {
    const { reducer, view } = createEnrolments();
    const known = (name: string): string | undefined => view.certificate(sha256(name))?.node;
    reducer.apply(aToken('edge', 't'));
    for (const name of ['c1', 'c2']) reducer.apply(aCertificate('edge', name));
    reducer.apply(aCertificate('other', 'c3'));
    expect(['c1', 'c2', 'c3', 'c4'].map(known)).toEqual(['edge', 'edge', 'other', undefined]);
    expect(reducer.apply(entry('node.certificate.revoke', { node: 'edge' }))).toEqual([
      'node-certificates/edge',
    ]);
    expect(['c1', 'c2', 'c3'].map(known)).toEqual([undefined, undefined, 'other']);
    expect([view.enrolment('t'), view.isKnown('edge'), view.isKnown('other')]).toEqual([
      undefined,
      false,
      true,
    ]);
  });

  it('hold a bounded number of certificates of a node: expired ones go, then the oldest', () => {
    const { reducer, view } = createEnrolments();
    const known = (name: string): boolean => view.certificate(sha256(name)) !== undefined;
    reducer.apply(aCertificate('edge', 'old'));
    reducer.apply(aCertificate('edge', 'new', {}, 24));
    expect([known('old'), known('new')]).toEqual([false, true]);
    for (let n = 0; n < 16; n += 1) reducer.apply(aCertificate('edge', `n${n}`, {}, 24));
    expect([known('new'), known('n0'), known('n15')]).toEqual([false, true, true]);
  });

  it('refuse an entry of unknown form, since half a certificate is none', () => {
    const { reducer } = createEnrolments();
    const broken = entry('node.certificate.issue', { node: 'edge' });
    expect(() => reducer.apply(broken)).toThrow(expect.objectContaining({ code: 'journal_too_new' }));
  });

  it('come back from a checkpoint as they were, and tell whom that concerns', () => {
    const before = createEnrolments();
    before.reducer.apply(anAuthority('a'));
    before.reducer.apply(aToken('edge', 't'));
    before.reducer.apply(aCertificate('edge', 'c1', { enrolment: 't' }));
    before.reducer.apply(aToken('later', 'u'));
    before.reducer.apply(aCertificate('other', 'c2'));
    before.reducer.apply(aCertificate('edge', 'c3'));
    const records = captured(before.reducer.section);
    const after = createEnrolments();
    after.reducer.apply(aCertificate('gone', 'c9'));
    const changed = after.reducer.section.restore(records);
    expect([...changed].sort()).toEqual([
      `node-authority/${sha256('a')}`,
      ...['edge', 'gone', 'later', 'other'].map((node) => `node-certificates/${node}`),
    ]);
    expect(captured(after.reducer.section)).toEqual(records);
    expect(after.view.certificate(sha256('c9'))).toBeUndefined();
    const states = [before, after].map(({ view }) => [
      view.authorities(),
      view.nodes(),
      view.enrolment('t'),
      view.certificate(sha256('c3')),
    ]);
    expect(states[1]).toEqual(states[0]);
  });

  it('stay as they were when a checkpoint has another form', () => {
    const { reducer, view } = createEnrolments();
    reducer.apply(aCertificate('edge', 'c1'));
    const records = [...captured(reducer.section), { node: { node: 7 } }];
    expect(() => reducer.section.restore(records)).toThrow(
      expect.objectContaining({ code: 'store_mismatch' }),
    );
    const fingerprint: Digest = sha256('c1');
    expect(view.certificate(fingerprint)?.node).toBe('edge');
  });
});
