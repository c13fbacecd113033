import { assert, constantFrom, integer, maxSafeInteger, oneof, property, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { callBuiltin } from '../../../src/builtins/call.ts';
import { SMALL, SMALL_OF_ALL } from '../../../src/builtins/small-integers.ts';
import { aContext } from '../../support/builtin-oracle.ts';

const answer = (name: string, ...args: readonly string[]) => callBuiltin(name, args, aContext());

/** Recorded from OPA 1.22.2. */
const SAID_BY_OPA: readonly (readonly [name: string, ...args: string[], said: string | undefined])[] = [
  ['plus', '0.1', '0.2', '0.3'],
  ['plus', '9223372036854775807', '1', '9223372036854775808'],
  ['plus', '1e30', '1', '1000000000000000000000000000001'],
  ['plus', '1e30', '0.5', '1000000000000000000000000000000'],
  ['plus', '-0.0', '-0', '0'],
  ['plus', '-0.0', '0.5', '0.5'],
  ['plus', '1e-20', '1', '1'],
  ['plus', '1234567.25', '0.25', '1.2345675e+06'],
  ['plus', '99999999999999999999.5', '0', '100000000000000000000'],
  ['minus', '0.3', '0.1', '0.20000000000000000002'],
  ['minus', '1', '1.0000000000000000000000001', '0'],
  ['minus', '-9223372036854775808', '1', '-9223372036854775809'],
  ['minus', '0.1', '0.1', '0'],
  ['mul', '0.1', '3', '0.3'],
  ['mul', '123456789.123', '987654321.987', '1.2193263135596860135e+17'],
  ['mul', '-1.5', '0', '-0'],
  ['mul', '19.99', '7', '139.93'],
  ['mul', '1e-300', '1e-300', '9.9999999999999999994e-601'],
  ['mul', '4294967296', '4294967296', '18446744073709551616'],
  ['div', '1', '3', '0.33333333333333333334'],
  ['div', '6', '3', '2'],
  ['div', '0', '-5', '-0'],
  ['div', '-7', '2', '-3.5'],
  ['div', '1', '0.0', undefined],
  ['div', '1', '0', undefined],
  ['div', '18446744073709551616', '2', '9223372036854775808'],
  ['div', '10000000000000000000000', '3', '3333333333333333333200'],
  ['div', '2', '1e-7', '20000000'],
  ['rem', '7', '-2', '1'],
  ['rem', '-7', '2', '-1'],
  ['rem', '10', '18446744073709551616', '10'],
  ['rem', '5.0', '2', '1'],
  ['rem', '5.5', '2', undefined],
  ['rem', '5', '0', undefined],
  ['abs', '-0.0', '0'],
  ['abs', '-1.50', '1.5'],
  ['abs', '-9223372036854775808', '9223372036854775808'],
  ['abs', '-123456789012345678901234567890', '123456789012345678900000000000'],
  ['round', '2.5', '3'],
  ['round', '-2.5', '-3'],
  ['round', '-0.4', '0'],
  ['round', '1e30', '1000000000000000000024696061952'],
  ['round', '123456789012345678901234.5', '123456789012345678897152'],
  ['round', '1.0', '1'],
  ['ceil', '-0.5', '1'],
  ['ceil', '1.2', '2'],
  ['ceil', '-1.2', '-1'],
  ['floor', '-0.5', '0'],
  ['floor', '-1.2', '-2'],
  ['floor', '1e20', '100000000000000000000'],
  ['sum', '[0.1, 0.2, 0.3]', '0.6'],
  ['sum', '{0.1, 0.2, 0.3}', '0.6'],
  ['sum', '[]', '0'],
  ['sum', '[9223372036854775807, 1]', '9223372036854775808'],
  ['sum', '[1, "a"]', undefined],
  ['product', '[0.1, 3]', '0.30000000000000004'],
  ['product', '[]', '1'],
  ['product', '[9007199254740993, 2]', '18014398509481986'],
  ['product', '[9007199254740993, 1.5]', '13510798882111488'],
  ['max', '[1, 1.0, 0]', '1.0'],
  ['min', '[1.0, 545.540, 1, 7]', '1'],
  ['max', '[]', undefined],
  ['min', '{"a", 3, [1]}', '3'],
  ['to_number', '" 1"', undefined],
  ['to_number', '"1e400"', undefined],
  ['to_number', '"1e-400"', '1e-400'],
  ['to_number', '"0e40000"', '0e40000'],
  ['to_number', '"007"', '007'],
  ['to_number', '"+1"', '+1'],
  ['to_number', '".5"', '.5'],
  ['to_number', '"1."', '1.'],
  ['to_number', 'null', '0'],
  ['to_number', 'true', '1'],
  ['to_number', '1.0', '1.0'],
  ['to_number', '"0x10"', undefined],
  ['to_number', '"Inf"', undefined],
  ['to_number', '[]', undefined],
];

describe('arithmetic', () => {
  it.each(SAID_BY_OPA.map((each) => [`${each[0]}(${each.slice(1, -1).join(', ')})`, each] as const))(
    'says what OPA says of %s',
    (_, [name, ...rest]) => {
      expect(answer(name, ...(rest.slice(0, -1) as string[]))).toBe(rest.at(-1));
    },
  );

  it('takes the numbers that only to_number makes', () => {
    expect(answer('plus', '1.', '.5')).toBe('1.5');
    expect(answer('mul', '+007', '-.5')).toBe('-3.5');
    expect(answer('json.marshal', '.5')).toBeUndefined();
  });

  it.each(['"1_000"', '"0x1p4"', '"-0X1.8p-3"'])(
    'ends the evaluation for %s, which OPA takes for a number and the module cannot',
    (text) => expect(() => answer('to_number', text)).toThrow(/no number of the module/),
  );

  it('of short texts and of large powers of ten is paid as work', () => {
    const unitsOf = (name: string, ...args: readonly string[]): number => {
      let units = 0;
      callBuiltin(name, args, aContext({ charge: (each) => void (units += each) }));
      return units;
    };
    expect(unitsOf('mul', '1e20000', '0.5')).toBeGreaterThan(unitsOf('mul', '1e20', '0.5') * 1_000);
    const numbers = `[${Array.from({ length: 1_000 }, () => '0.5').join()}]`;
    expect(unitsOf('sum', numbers)).toBeLessThan(unitsOf('product', numbers));
  });
});

const small = oneof(constantFrom(0, 1, -1, 2, 2 ** 31, -(2 ** 31), 2 ** 53 - 1), integer(), maxSafeInteger());

describe('what is answered of small integers', () => {
  it.each([...SMALL])('by %s is what it says of their texts', (name, of) => {
    assert(
      property(tuple(small, small), ([x, y]) => {
        const integers = ['abs', 'round', 'ceil', 'floor'].includes(name) ? [x] : [x, y];
        const said = of(integers);
        if (Number.isInteger(said)) expect(answer(name, ...integers.map(String))).toBe(String(said));
        else expect(said).toBeNaN();
      }),
    );
  });

  it.each([...SMALL_OF_ALL])('by %s is what it says of their list', (name, of) => {
    assert(
      property(tuple(small, small, small), (integers) => {
        const said = of(integers);
        if (Number.isInteger(said)) expect(answer(name, `[${integers.join()}]`)).toBe(String(said));
        else expect(said).toBeNaN();
      }),
    );
  });

  it('is most of it', () => {
    expect(SMALL.get('plus')?.([1, 2])).toBe(3);
    expect(SMALL.get('div')?.([6, 3])).toBe(2);
    expect(SMALL_OF_ALL.get('sum')?.([])).toBe(0);
    expect(SMALL_OF_ALL.get('product')?.([2, 3, 7])).toBe(42);
  });
});
