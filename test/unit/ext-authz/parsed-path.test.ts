import { describe, expect, it } from 'vitest';
import { parsePath, parseTargetQuery } from '../../../src/ext-authz/parsed-path.ts';

describe('parsePath', () => {
  it.each<[string, string[]]>([
    ['', ['']],
    ['/', ['']],
    ['//', ['']],
    ['/a/', ['a', '']],
    ['/a//b', ['a', '', 'b']],
    ['//x/people', ['x', 'people']],
    ['/a%2Fb/c', ['a', 'b', 'c']],
    ['/a/../b/./c', ['a', '..', 'b', '.', 'c']],
    ['/a;v=1/b', ['a;v=1', 'b']],
    ['/a+b', ['a+b']],
    ['/%C3%A4', ['ä']],
    ['/%ff', ['\uFFFD']],
    ['/%00', ['\0']],
  ])('splits the path %j into %j', (target, path) => {
    expect(parsePath(target)).toEqual(path);
    expect(parseTargetQuery(target)).toEqual(new Map());
  });

  it.each<[string, string[], Record<string, string[]>]>([
    ['%2Fmy%2Ftest?a=1', ['my', 'test'], { a: ['1'] }],
    ['/a#frag?x=1', ['a#frag'], { x: ['1'] }],
    ['/a?b', ['a'], { b: [''] }],
    ['/a?=1', ['a'], { '': ['1'] }],
    ['/a?a=1?b=2', ['a'], { a: ['1?b=2'] }],
    ['/a?q=c+d', ['a'], { q: ['c d'] }],
    ['/a?x=1&y=2&x=3&&', ['a'], { x: ['1', '3'], y: ['2'] }],
    ['/a?__proto__=1', ['a'], Object.fromEntries([['__proto__', ['1']]])],
  ])('reads the query of %j', (target, path, query) => {
    expect(parsePath(target)).toEqual(path);
    expect([...parseTargetQuery(target)]).toEqual(Object.entries(query));
  });

  it.each(['/%zz', '/a%', '/a%2', '/a?b=100%', '/a?%zz=1'])('refuses the bad escape in %j', (target) => {
    expect(() => [parsePath(target), parseTargetQuery(target)]).toThrow(
      'request_malformed: invalid URL escape',
    );
  });

  it.each(['/a?b=1;c=2', '/a?b;c'])('refuses the semicolon in the query of %j', (target) => {
    expect(() => parseTargetQuery(target)).toThrow('request_malformed: invalid semicolon separator in query');
  });
});
