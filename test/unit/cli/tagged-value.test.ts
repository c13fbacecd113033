import { describe, expect, it } from 'vitest';
import { isSame, toPlain } from '../../../src/cli/tagged-value.ts';
import type { Json } from '../../../src/core/json.ts';
import type { TaggedValue } from '../../../src/rego/test-messages.ts';

const json = (value: string | number | boolean | null): TaggedValue => ({ json: value });
const set = (...members: readonly TaggedValue[]): TaggedValue => ({ set: members });
const array = (...members: readonly TaggedValue[]): TaggedValue => ({ array: members });

describe('a value with its kinds', () => {
  const same: readonly (readonly [TaggedValue | undefined, Json | undefined])[] = [
    [undefined, undefined],
    [json(null), null],
    [json(false), false],
    [set(json('a'), json('b')), ['b', 'a']],
    [set(set(json(1), json(2)), set(json(3))), [[3], [2, 1]]],
    [array(set(json(1), json(2))), [[2, 1]]],
    [{ object: { a: set(json(1), json(2)) } }, { a: [2, 1] }],
    [set(), []],
  ];
  it.each(same)('%j is %j', (expected, actual) => {
    expect(isSame(expected, actual)).toBe(true);
  });

  const different: readonly (readonly [TaggedValue | undefined, Json | undefined])[] = [
    [undefined, null],
    [json(null), undefined],
    [json(false), undefined],
    [json(1), '1'],
    [json('a'), ['a']],
    [array(json(1), json(2)), [2, 1]],
    [array(json(1)), [1, 1]],
    [set(json(1), json(2)), [1, 1]],
    [set(json(1)), [1, 2]],
    [set(), {}],
    [{ object: {} }, []],
    [{ object: { a: json(1) } }, { a: 1, b: 2 }],
    [{ object: { a: json(1) } }, { b: 1 }],
    [{ object: { toString: json(1) } }, {}],
  ];
  it.each(different)('%j is not %j', (expected, actual) => {
    expect(isSame(expected, actual)).toBe(false);
  });

  it('is plain JSON with sets as arrays', () => {
    expect(toPlain({ object: { a: set(json(1), array(json(null))) } })).toEqual({ a: [1, [null]] });
    expect(toPlain(undefined)).toBeUndefined();
  });
});
