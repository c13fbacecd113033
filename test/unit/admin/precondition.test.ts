import { describe, expect, it } from 'vitest';
import {
  checkPrecondition,
  isNotModified,
  parsePrecondition,
  toEntityTag,
} from '../../../src/admin/precondition.ts';
import { sha256 } from '../../../src/core/digest.ts';
import { Failure } from '../../../src/core/failure.ts';

const mine = toEntityTag(sha256('mine'));
const other = toEntityTag(sha256('other'));

function outcome(
  ifMatch: string | undefined,
  ifNoneMatch: string | undefined,
  current: string | undefined,
): string {
  try {
    checkPrecondition(parsePrecondition({ ifMatch, ifNoneMatch }), current);
    return 'passes';
  } catch (thrown) {
    return Failure.from(thrown).code;
  }
}

describe('a precondition of a change', () => {
  it.each([
    // If-Match, If-None-Match, what is there, outcome
    [undefined, undefined, mine, 'precondition_required'],
    [undefined, undefined, undefined, 'precondition_required'],
    [mine, undefined, mine, 'passes'],
    [mine, undefined, other, 'object_changed'],
    [mine, undefined, undefined, 'object_changed'],
    [`${other}, ${mine}`, undefined, mine, 'passes'],
    [`W/${mine}`, undefined, mine, 'object_changed'],
    ['*', undefined, mine, 'passes'],
    ['*', undefined, undefined, 'object_changed'],
    [undefined, '*', undefined, 'passes'],
    [undefined, '*', mine, 'object_changed'],
    [mine, '*', mine, 'object_changed'],
    [mine, '*', undefined, 'object_changed'],
    [undefined, mine, undefined, 'request_malformed'],
    ['unquoted', undefined, mine, 'request_malformed'],
    ['', undefined, mine, 'request_malformed'],
    ['"a" "b"', undefined, mine, 'request_malformed'],
  ])('If-Match %s and If-None-Match %s against %s: %s', (ifMatch, ifNoneMatch, current, expected) => {
    expect(outcome(ifMatch, ifNoneMatch, current)).toBe(expected);
  });
});

describe('If-None-Match of a read', () => {
  it('compares weakly and takes lists', () => {
    expect(isNotModified(undefined, mine)).toBe(false);
    expect(isNotModified(other, mine)).toBe(false);
    expect(isNotModified(`${other}, W/${mine}`, mine)).toBe(true);
    expect(isNotModified('*', mine)).toBe(true);
  });
});
