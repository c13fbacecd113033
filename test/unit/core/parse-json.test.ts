import { assert, constantFrom, jsonValue, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../../../src/core/parse-json.ts';

/** As they are written. */
const KEYS = [
  '\\\\',
  '\\n',
  '\\"',
  '\\u0062',
  'b',
  '\\\\n',
  '\\u005c\\u005c',
  '\\t\\t',
  'é',
  '\\ud83d\\ude00',
];

describe('JSON with escapes in its keys', () => {
  it('is read as it is written, whatever was read before', () => {
    for (const before of KEYS) {
      for (const key of KEYS) {
        for (const place of ['"a":1,', '"a":{"x":1},"b2":[],', '']) {
          JSON.parse(`{${place}"${before}":1}`);
          const text = `[{${place}"${key}" :{"${key}":[{"${key}":"\\n"}]}}]`;
          const name: unknown = JSON.parse(`"${key}"`);
          const value = (parseJson(text) as readonly Record<string, unknown>[])[0] ?? {};
          expect(Object.keys(value).at(-1)).toBe(name);
          expect(value[name as string]).toEqual({ [name as string]: [{ [name as string]: '\n' }] });
        }
      }
    }
  });

  it('is what was written, for any value beside such a key', () => {
    assert(
      property(jsonValue(), constantFrom(...KEYS), (value, key) => {
        const name = JSON.parse(`"${key}"`) as string;
        const written = JSON.stringify({ a: 1, [name]: value });
        expect(JSON.stringify(parseJson(written))).toBe(written);
        expect(Object.keys(parseJson(written) as object)).toContain(name);
      }),
    );
  });

  it('keeps __proto__ a member like any other, and refuses what is no JSON', () => {
    const value = parseJson('{"a\\\\":{"\\u005f_proto__":{"admin":true}}}') as Record<string, object>;
    expect(Object.keys(value['a\\'] ?? {})).toEqual(['__proto__']);
    expect((value['a\\'] as { admin?: boolean }).admin).toBeUndefined();
    expect(() => parseJson('{"\\\\":1')).toThrow(SyntaxError);
  });
});
