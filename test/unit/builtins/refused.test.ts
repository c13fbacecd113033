import { describe, expect, it } from 'vitest';
import { callBuiltin } from '../../../src/builtins/call.ts';
import { aCall, aContext } from '../../support/builtin-oracle.ts';

const answer = (name: string, ...args: readonly unknown[]) =>
  callBuiltin(name, aCall(name, ...args).args, aContext());

describe('a call of a built-in', () => {
  it.each([
    ['base64.decode', '/w=='],
    ['base64url.decode', '_w'],
    ['hex.decode', 'ff'],
    ['urlquery.decode', '%ff'],
  ])('whose answer is bytes that are no text ends the evaluation: %s', (name, arg) => {
    expect(() => answer(name, arg)).toThrow(/no text/);
  });

  it('that another answers ends the evaluation', () => {
    expect(() => answer('http.send', {})).toThrow(/not answered here/);
  });

  it('is undefined where OPA meets an error', () => {
    expect(answer('base64.decode', '*')).toBeUndefined();
    expect(answer('base64.decode', 1)).toBeUndefined();
  });

  it('is paid before the work, as much as it reads', () => {
    const charges: number[] = [];
    const context = aContext({ charge: (units) => void charges.push(units) });
    callBuiltin('crypto.sha256', ['"a"'], context);
    callBuiltin('crypto.sha256', [`"${'a'.repeat(100_000)}"`], context);
    expect(charges[1]).toBeGreaterThan((charges[0] ?? 0) * 100);
    const spent = aContext({
      charge: () => {
        throw new Error('the budget is used up');
      },
    });
    expect(() => callBuiltin('json.unmarshal', ['"1"'], spent)).toThrow('the budget is used up');
  });
});
