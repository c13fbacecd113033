import {
  array,
  assert,
  bigInt,
  boolean,
  constant,
  double,
  letrec,
  oneof,
  property,
  string,
  tuple,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseText } from '../../../src/builtins/parse-text.ts';
import { compare, RegoNumber, RegoObject, RegoSet, type Value } from '../../../src/builtins/value.ts';
import { writeText } from '../../../src/builtins/write-text.ts';

const again = (text: string) => writeText(parseText(text));
const order = (a: string, b: string) => Math.sign(compare(parseText(a), parseText(b)));

/** one of each key and member, as the module has them */
function distinct<T>(list: readonly T[], key: (each: T) => Value): readonly T[] {
  return list.filter((each, at) => list.findIndex((other) => compare(key(each), key(other)) === 0) === at);
}

const finite = double({ noNaN: true, noDefaultInfinity: true });
const { anything } = letrec<{ anything: Value }>((tie) => ({
  anything: oneof(
    { maxDepth: 3 },
    constant(null),
    boolean(),
    string({ unit: 'binary' }),
    finite.map((each) => new RegoNumber(JSON.stringify(each))),
    bigInt().map((each) => new RegoNumber(each.toString())),
    array(tie('anything'), { maxLength: 4 }),
    array(tie('anything'), { maxLength: 4 }).map((all) => RegoSet.of(all)),
    array(tuple(tie('anything'), tie('anything')), { maxLength: 4 }).map(
      (all) => new RegoObject(distinct(all, ([key]) => key)),
    ),
  ),
}));

describe('Rego text', () => {
  it('is read and written with the text of each number, in the order of OPA', () => {
    expect(again('{"b": [1.0, 1e400, -0], "a": {3, 1, 2}, 1: null, [1]: set(), {2}: {}}')).toBe(
      '{1: null, "a": {1, 2, 3}, "b": [1.0, 1e400, -0], [1]: set(), {2}: {}}',
    );
  });

  it('keeps escaped and unescaped characters of strings', () => {
    expect(parseText(String.raw`"a\"\\\/\n\u0000\u00e9\ud83d\ude00é"`)).toBe('a"\\/\n\u0000é😀é');
    expect(parseText(String.raw`["\\", "\"x"]`)).toEqual(['\\', '"x']);
  });

  it('is the same value when it is read again', () => {
    assert(
      property(anything, (value) => {
        expect(compare(parseText(writeText(value)), value)).toBe(0);
        expect(again(writeText(value))).toBe(writeText(value));
      }),
    );
  });

  it.each([
    '',
    '{',
    '[1',
    '[1,]',
    '{1: 2',
    '{1, ',
    '"a',
    '"\\',
    'tru',
    'set(',
    'set',
    '1 2',
    '[1}',
    '{"a" 1}',
    'x',
    '-',
  ])('that no module writes is refused: %j', (text) => {
    expect(() => parseText(text)).toThrow();
  });

  it('that is too deep is refused', () => {
    expect(again(`${'['.repeat(1000)}${']'.repeat(1000)}`)).toHaveLength(2000);
    expect(() => parseText(`${'['.repeat(1001)}${']'.repeat(1001)}`)).toThrow(/too deep/);
  });
});

describe('the order of values', () => {
  it('is that of OPA', () => {
    const ascending = [
      'null',
      'false',
      'true',
      '-1e30103',
      '-1',
      '0',
      '1e-400',
      '1',
      '1.5',
      '2',
      '10',
      '9007199254740993',
      '9007199254740994',
      '1e400',
      '""',
      '"a"',
      '"a\\u0000"',
      '"b"',
      '"\uffff"',
      '"😀"',
      '[]',
      '[1]',
      '[1, 1]',
      '[2]',
      '{}',
      '{"a": 1}',
      '{"a": 1, "b": 1}',
      '{"a": 2}',
      'set()',
      '{1}',
      '{1, 2}',
      '{2}',
    ];
    for (const [at, one] of ascending.entries()) {
      for (const [other, text] of ascending.entries())
        expect([one, text, order(one, text)]).toEqual([one, text, Math.sign(at - other)]);
    }
  });

  it('takes numbers for equal that say the same', () => {
    for (const [a, b] of [
      ['1', '1.0'],
      ['1e2', '100'],
      ['-0', '0.0'],
      ['0.10', '1e-1'],
      ['9007199254740993.0', '9007199254740993'],
    ] as const) {
      expect([a, b, order(a, b)]).toEqual([a, b, 0]);
    }
  });
});
