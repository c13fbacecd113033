import { describe, expect, it } from 'vitest';
import { parseBody } from '../../../src/ext-authz/parsed-body.ts';

function parse(headers: Record<string, string>, body: string | Uint8Array) {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body);
  return parseBody({
    header: (name) => headers[name],
    bytes,
    rawBytes: bytes,
    path: ['pkg.Service', 'Method'],
  });
}
const JSON_TYPE = { 'content-type': 'application/json' };
const NOTHING = { json: 'null', truncated: false };
const TRUNCATED = { json: 'null', truncated: true };

describe('parseBody', () => {
  it.each<[string, Record<string, string>, string, object]>([
    [
      'a partial body is not looked at',
      { ...JSON_TYPE, 'x-envoy-auth-partial-body': 'true' },
      '{}',
      TRUNCATED,
    ],
    ['no content type', {}, '{}', NOTHING],
    ['a type that only resembles JSON', { 'content-type': 'application/vnd.api+json' }, '{}', NOTHING],
    ['the type is case-sensitive', { 'content-type': 'Application/JSON' }, '{}', NOTHING],
    [
      'parameters of the type',
      { 'content-type': 'application/json; charset=utf-8' },
      '[1]',
      { json: '[1]', truncated: false },
    ],
    ['gRPC', { 'content-type': 'application/grpc', 'content-length': 'x' }, 'abc', NOTHING],
    [
      'a form',
      { 'content-type': 'application/x-www-form-urlencoded' },
      'a=1',
      { json: '{"a":["1"]}', truncated: false },
    ],
    [
      'a form that was cut off',
      { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '4' },
      'a=1',
      TRUNCATED,
    ],
    ['an empty body, before any length', { ...JSON_TYPE, 'content-length': '7' }, '', NOTHING],
    ['a length beyond the bytes', { ...JSON_TYPE, 'content-length': '5' }, '{}', TRUNCATED],
    [
      'a length below the bytes',
      { ...JSON_TYPE, 'content-length': '1' },
      '{}',
      { json: '{}', truncated: false },
    ],
    ['a length of -1', { ...JSON_TYPE, 'content-length': '-1' }, '{}', { json: '{}', truncated: false }],
    [
      'a length in bytes, not characters',
      { ...JSON_TYPE, 'content-length': '4' },
      '"ä"',
      { json: '"ä"', truncated: false },
    ],
    [
      'numbers keep their text',
      JSON_TYPE,
      '[9007199254740993, 1.0, 1e400]',
      { json: '[9007199254740993,1.0,1e400]', truncated: false },
    ],
    [
      'the last of equal names stays',
      JSON_TYPE,
      '{"a":1,"\\u0061":{"b":2}}',
      { json: '{"a":{"b":2}}', truncated: false },
    ],
    ['a member named __proto__', JSON_TYPE, '{"__proto__":1}', { json: '{"__proto__":1}', truncated: false }],
    ['a lone surrogate', JSON_TYPE, '["\\ud800"]', { json: '["\uFFFD"]', truncated: false }],
    ['NUL stays escaped', JSON_TYPE, '["\\u0000"]', { json: '["\\u0000"]', truncated: false }],
  ])('%s', (_title, headers, body, expected) => {
    expect(parse(headers, body)).toEqual(expected);
  });

  it('replaces bytes that are not UTF-8', () => {
    expect(parse(JSON_TYPE, Buffer.from([0x22, 0xff, 0x22]))).toEqual({ json: '"\uFFFD"', truncated: false });
  });

  it.each([
    '{"a":1} 2',
    '[1,]',
    '01',
    '1 2',
    '[1 2]',
    '{"a"}',
    '{a:1}',
    "'a'",
    '\uFEFF1',
    ' ',
    '"\n"',
    '"\\x"',
    '"\\u12"',
    '"abc',
    '"abc\\',
    '+1',
    '.5',
    '1.',
    'nul',
    'NaN',
    '[',
    '{"a":1,}',
  ])('refuses %j, which is not JSON', (body) => {
    expect(() => parse(JSON_TYPE, body)).toThrow('request_malformed: the body is not valid JSON');
  });

  it('refuses what is nested beyond the limit, and takes what is not', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(parse(JSON_TYPE, nested(1000)).json).toBe(nested(1000));
    expect(() => parse(JSON_TYPE, nested(1001))).toThrow('nested too deeply');
  });

  it.each(['5,5', 'five', '', '1_000', '9223372036854775808'])('refuses the content-length %j', (length) => {
    expect(() => parse({ ...JSON_TYPE, 'content-length': length }, '{}')).toThrow(
      'content-length is not an integer',
    );
  });
});
