import { describe, expect, it } from 'vitest';
import { GRANTABLE_SCOPES, requireIssuable, requireScope, SCOPES } from '../../../src/admin/scopes.ts';
import { Failure } from '../../../src/core/failure.ts';

const caller = (scopes: readonly string[], oneTime = false) => ({ scopes, oneTime });

const refusalOf = (action: () => void): string | undefined => {
  try {
    action();
    return undefined;
  } catch (thrown) {
    return `${Failure.from(thrown).code}: ${Failure.from(thrown).detail}`;
  }
};

describe('a scope', () => {
  it('lets do what it names, and nothing else', () => {
    for (const held of SCOPES) {
      for (const scope of SCOPES) {
        const refusal = refusalOf(() => requireScope(caller([held]), { scope }));
        if (held === scope) expect(refusal).toBeUndefined();
        else expect(refusal).toMatch(new RegExp(`^permission_denied: .*scope ${scope},`));
      }
    }
  });

  it('of a one-time token counts for the one call only that it is for', () => {
    const oneTime = caller(['*'], true);
    expect(
      refusalOf(() => requireScope(oneTime, { scope: 'token:admin', oneTimeToken: true })),
    ).toBeUndefined();
    expect(refusalOf(() => requireScope(oneTime, { scope: 'token:admin' }))).toMatch(/^permission_denied/);
    expect(
      refusalOf(() => requireScope(caller([], true), { scope: 'token:admin', oneTimeToken: true })),
    ).toMatch(/^permission_denied/);
  });
});

describe('a token', () => {
  it('issues what it holds and no more', () => {
    const held = caller(['token:admin', 'policy:read']);
    expect(refusalOf(() => requireIssuable(held, ['policy:read']))).toBeUndefined();
    expect(refusalOf(() => requireIssuable(held, ['policy:read', 'policy:write', '*']))).toBe(
      'permission_denied: a token issues no more than it holds: not policy:write, *',
    );
  });

  it('that holds everything, or that init made, issues any', () => {
    expect(refusalOf(() => requireIssuable(caller(['*']), GRANTABLE_SCOPES))).toBeUndefined();
    expect(refusalOf(() => requireIssuable(caller(['token:admin'], true), GRANTABLE_SCOPES))).toBeUndefined();
  });
});
