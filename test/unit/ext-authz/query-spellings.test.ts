import { describe, expect, it } from 'vitest';
import type { AllowObligations, Decision } from '../../../src/core/decision.ts';
import { withEverySpelling } from '../../../src/ext-authz/query-spellings.ts';

function allow(obligations: Partial<AllowObligations>): Decision {
  return {
    effect: 'allow',
    reason: 'policy_allowed',
    obligations: {
      requestHeaders: [],
      requestHeadersToRemove: [],
      responseHeaders: [],
      queryParametersToSet: [],
      queryParametersToRemove: [],
      ...obligations,
    },
    dynamicMetadata: {},
  };
}

describe('query parameters that a policy sets or removes', () => {
  it.each<[string, string, string[]]>([
    ['a percent-encoded one', '/x?%61dmin=1', ['%61dmin']],
    ['several, each once', '/x?admin=1&%61dmin=2&adm%69n&%61dmin=3', ['%61dmin', 'adm%69n']],
    ['one without a value', '/x?b=2&%61dmin', ['%61dmin']],
    ['none', '/x?admin=1&b=2', []],
    ['another name', '/x?%61dmin2=1&Admin=1&x=admin', []],
    ['no query', '/%61dmin', []],
  ])('are removed in their other spellings too: %s', (_, target, others) => {
    const removed = allow({ queryParametersToRemove: ['admin'] });
    expect(withEverySpelling(removed, { target })).toEqual(
      allow({ queryParametersToRemove: ['admin', ...others] }),
    );
    const set = allow({ queryParametersToSet: [['admin', '0']] });
    expect(withEverySpelling(set, { target })).toEqual(
      allow({ queryParametersToSet: [['admin', '0']], queryParametersToRemove: others }),
    );
  });

  it('may have a space in their name, which is written in two ways', () => {
    const decision = allow({ queryParametersToRemove: ['a b'] });
    expect(withEverySpelling(decision, { target: '/x?a+b=1&a%20b=2' })).toEqual(
      allow({ queryParametersToRemove: ['a b', 'a+b', 'a%20b'] }),
    );
  });

  it('are the only thing that changes a decision', () => {
    const nothing = allow({});
    expect(withEverySpelling(nothing, { target: '/x?%61=1' })).toBe(nothing);
  });
});
