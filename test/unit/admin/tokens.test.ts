import { describe, expect, it } from 'vitest';
import { createTokenState } from '../../../src/admin/token-state.ts';
import {
  authenticateToken,
  createFileToken,
  createIssuedToken,
  createOneTimeToken,
  type NewToken,
} from '../../../src/admin/tokens.ts';
import { sha256 } from '../../../src/core/digest.ts';
import { Failure } from '../../../src/core/failure.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { EntryKind } from '../../../src/journal/kinds.ts';

const START_MS = Date.parse('2026-01-01T00:00:00.000Z');
const DAY_MS = 86_400_000;
let nowMs = START_MS;
const clock = { nowMs: () => nowMs };
let counter = 0;
const random = (size: number): Uint8Array => new Uint8Array(size).fill(++counter);
const deps = { clock, random };

function stateOf(...drafts: readonly { kind: EntryKind; body: JsonObject }[]) {
  const state = createTokenState();
  for (const [index, { kind, body }] of drafts.entries()) {
    const place = { seq: index + 1, epoch: 1, digest: sha256(String(index)), at: '2026-01-01T00:00:00.000Z' };
    state.reducer.apply({ ...place, actor: 'test', commitId: 'c', kind, body });
  }
  return state;
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'passes';
  } catch (thrown) {
    return Failure.from(thrown).code;
  }
}

const issue = (days = 1): NewToken =>
  createIssuedToken(
    { name: 'ci', scopes: ['*'], expiresAt: new Date(nowMs + days * DAY_MS).toISOString() },
    deps,
  );

describe('a token', () => {
  it('is believed until it expires', () => {
    nowMs = START_MS;
    const { token, id, draft } = issue();
    const state = stateOf(draft);
    expect(authenticateToken(`Bearer ${token}`, state, clock)).toMatchObject({
      id,
      name: 'ci',
      scopes: ['*'],
    });
    expect(authenticateToken(`bearer ${token}`, state, clock).id).toBe(id);
    nowMs += DAY_MS;
    expect(codeOf(() => authenticateToken(`Bearer ${token}`, state, clock))).toBe('credential_expired');
    nowMs = START_MS;
  });

  it('leaves nothing in the journal that could be shown as one', () => {
    const { token, draft } = issue();
    const secret = token.split('.')[1] ?? '';
    expect(secret.length).toBeGreaterThan(40);
    expect(JSON.stringify(draft)).not.toContain(secret);
    expect(draft.body['sha256']).toBe(sha256(token));
  });

  it.each([
    ['nothing', undefined, 'credential_missing'],
    ['an empty field', '', 'credential_invalid'],
    ['another scheme', 'Basic YTpi', 'credential_invalid'],
    ['two tokens', 'Bearer a b', 'credential_invalid'],
    ['an unknown token', `Bearer chy_${'a'.repeat(18)}.${'b'.repeat(43)}`, 'credential_invalid'],
    ['the hash instead of the text', `Bearer ${sha256('x')}`, 'credential_invalid'],
  ])('is not %s', (_what, authorization, code) => {
    expect(codeOf(() => authenticateToken(authorization, stateOf(issue().draft), clock))).toBe(code);
  });

  it.each(['token.redeem', 'token.revoke'] as const)('is not believed after %s', (kind) => {
    const { token, id, draft } = issue();
    const state = stateOf(draft, { kind, body: { id } });
    expect(codeOf(() => authenticateToken(`Bearer ${token}`, state, clock))).toBe('credential_revoked');
  });

  it('stays revoked though nobody knows what a later entry of another form says', () => {
    const { draft, id } = issue();
    expect(codeOf(() => stateOf(draft, { kind: 'token.revoke', body: { id: 7 } }))).toBe('journal_too_new');
    expect(codeOf(() => stateOf({ kind: 'token.revoke', body: { id } }))).toBe('journal_too_new');
    expect(codeOf(() => stateOf({ kind: 'token.issue', body: { id } }))).toBe('journal_too_new');
  });

  it('has an end within 366 days', () => {
    expect(codeOf(() => issue(366))).toBe('passes');
    expect(codeOf(() => issue(366.1))).toBe('registry_rejected');
    expect(codeOf(() => issue(0))).toBe('registry_rejected');
    const never = { name: 'x', scopes: ['*'], expiresAt: 'never' };
    expect(codeOf(() => createIssuedToken(never, deps))).toBe('registry_rejected');
  });
});

describe('other ways to a token', () => {
  it('init: one use, one hour, to issue another', () => {
    const { token, draft } = createOneTimeToken(deps);
    const known = authenticateToken(`Bearer ${token}`, stateOf(draft), clock);
    expect(known).toMatchObject({
      scopes: ['token:admin'],
      oneTime: true,
      expiresAt: '2026-01-01T01:00:00.000Z',
    });
  });

  it('a file: any 32 visible characters, white space around them ignored', () => {
    const text = 'q3J0eHQ6dGhpcy1pcy1hLWZpbGUtdG9rZW4h';
    const { draft, token } = createFileToken(`  ${text}\n`, deps);
    expect(token).toBe(text);
    const state = stateOf(draft);
    expect(authenticateToken(`Bearer ${text}`, state, clock).scopes).toEqual(['*']);
    expect(codeOf(() => authenticateToken(`Bearer ${text}x`, state, clock))).toBe('credential_invalid');
    expect(codeOf(() => createFileToken('short', deps))).toBe('credential_invalid');
  });
});
