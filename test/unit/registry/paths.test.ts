import { describe, expect, it } from 'vitest';
import { isSpiffeId } from '../../../src/core/spiffe-id.ts';
import { comparePrecedence, isBelow, parsePath, shapeOf } from '../../../src/registry/path-template.ts';

const segments = (path: string) => {
  const parsed = parsePath(path);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.segments;
};

describe('the path of an operation', () => {
  it.each(['/', '/a', '/a/b', '/a/{id}', '/{x}/{y}', "/a.b-c_d~!$&'()*+,=:@", '/...', '/a..b'])(
    '"%s" is accepted',
    (path) => {
      expect(parsePath(path).ok).toBe(true);
    },
  );
  it.each([
    '',
    'a',
    '//',
    '/a/',
    '/a//b',
    '/.',
    '/a/..',
    '/a/../b',
    '/a%2fb',
    '/%41',
    '/a;b',
    '/a?b',
    '/a#b',
    '/a\\b',
    '/a b',
    '/ä',
    '/a\0',
    '/{',
    '/{}',
    '/{a',
    '/a{b}',
    '/{a}b',
    '/{a b}',
    '/{a}/{a}',
    '/a\n',
  ])('"%s" is refused', (path) => {
    expect(parsePath(path).ok).toBe(false);
  });
  it('has one shape whatever its names are called', () => {
    expect(shapeOf(segments('/a/{x}/b'))).toBe(shapeOf(segments('/a/{y}/b')));
    expect(shapeOf(segments('/a/{x}'))).not.toBe(shapeOf(segments('/a/x')));
  });
  it('goes literal before templated, leftmost first', () => {
    const sorted = ['/{a}/b/c', '/a/{x}', '/a/{x}/c', '/a/b', '/', '/{a}', '/a']
      .map((path) => ({ path, parsed: segments(path) }))
      .sort((a, b) => comparePrecedence(a.parsed, b.parsed))
      .map(({ path }) => path);
    expect(sorted).toEqual(['/', '/a', '/a/b', '/a/{x}', '/a/{x}/c', '/{a}', '/{a}/b/c']);
  });
  it('lies below a prefix that ends at a segment', () => {
    expect([isBelow('/a/b', '/a'), isBelow('/a', '/a'), isBelow('/ab', '/a'), isBelow('/x', '/')]).toEqual([
      true,
      true,
      false,
      true,
    ]);
  });
});

describe('a SPIFFE ID of a workload', () => {
  it.each([
    'spiffe://mesh/app/a',
    'spiffe://a-b.c_d/x',
    'spiffe://1.2.3.4/A',
    `spiffe://${'a'.repeat(255)}/x`,
  ])('%s is one', (id) => {
    expect(isSpiffeId(id)).toBe(true);
  });
  it.each([
    '',
    'spiffe://',
    'spiffe://mesh',
    'spiffe://mesh/',
    'spiffe:///a',
    'SPIFFE://mesh/a',
    'spiffe://Mesh/a',
    'spiffe://mesh/a/',
    'spiffe://mesh//a',
    'spiffe://mesh/./a',
    'spiffe://mesh/a/..',
    'spiffe://mesh/%41',
    'spiffe://mesh:80/a',
    'spiffe://u@mesh/a',
    'spiffe://mesh/a?b',
    'spiffe://mesh/a#b',
    'spiffe://mesh/ä',
    ' spiffe://mesh/a',
    'spiffe://mesh/a\n',
    'spiffe://mesh/a,spiffe://mesh/b',
    'https://mesh/a',
    `spiffe://${'a'.repeat(256)}/x`,
    `spiffe://mesh/${'a'.repeat(2040)}`,
  ])('%s is none', (id) => {
    expect(isSpiffeId(id)).toBe(false);
  });
});
