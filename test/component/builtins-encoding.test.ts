/** `base64.*`, `hex.*`, `urlquery.*`, `crypto.*` and `json.*` against OPA. */
import { array, constantFrom, integer, jsonValue, oneof, string } from 'fast-check';
import { afterAll, describe, it } from 'vitest';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { aCall, compareWithOpa, expectMostDefined, generated } from '../support/builtin-oracle.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

const text = oneof(string(), string({ unit: 'binary' }), string({ unit: 'grapheme', maxLength: 80 }));
const spoiled = (made: string, by: number) =>
  by % 5 === 0 ? made.slice(0, -1) + ' =\n+%'.charAt(by % 6) : made;

describe('built-ins that encode', () => {
  it('decode what OPA decodes, and refuse what it refuses', async () => {
    const texts = generated(text);
    const calls = texts.flatMap((each, at) => {
      const bytes = Buffer.from(each);
      return [
        aCall('base64.decode', spoiled(bytes.toString('base64'), at)),
        aCall('base64.is_valid', spoiled(bytes.toString('base64'), at)),
        aCall('base64url.decode', spoiled(bytes.toString('base64url'), at)),
        aCall('base64url.encode_no_pad', each),
        aCall('hex.decode', spoiled(bytes.toString('hex'), at)),
        aCall('hex.encode', each),
      ];
    });
    const edges = [
      '',
      'YQ==',
      'YQ',
      'YR==',
      'Y Q==',
      'YQ=\n=',
      'YQ==\n',
      '\nYQ==',
      'YQ\r\n',
      'YQ=',
      'YQ===',
      '====',
      'é',
      'YWI=YQ==',
      '-_-_',
      '+/+/',
    ];
    const edgeCalls = [
      'base64.decode',
      'base64.is_valid',
      'base64url.decode',
      'hex.decode',
      'hex.encode',
    ].flatMap((name) =>
      edges
        .filter((each) => !/[-+]/.test(each) || name === 'base64.is_valid')
        .map((each) => aCall(name, each)),
    );
    expectMostDefined(await compareWithOpa(toolchain, [...calls, ...edgeCalls, aCall('base64.is_valid', 1)]));
  });

  it('read and write queries as OPA does', async () => {
    const query = array(
      constantFrom('a', 'b=', '=', '&', '%20', '+', '%c3%a9', 'é', '~', '%', ';', '?', "!'()*", '😀'),
      {
        maxLength: 12,
      },
    ).map((parts) => parts.join(''));
    const object = array(array(text, { minLength: 1, maxLength: 2 }), { maxLength: 4 });
    const calls = [
      ...generated(oneof(text, query)).map((each) => aCall('urlquery.encode', each)),
      ...generated(query).map((each) => aCall('urlquery.decode', each.replaceAll(/%$|%(?=[^0-9a-f])/g, ''))),
      ...generated(query).map((each) => aCall('urlquery.decode', each)),
      ...generated(query).map((each) =>
        aCall('urlquery.decode_object', each.replaceAll(/%$|%(?=[^0-9a-f])|;/g, '')),
      ),
      ...generated(query).map((each) => aCall('urlquery.decode_object', each)),
      ...generated(object).map((pairs) =>
        aCall(
          'urlquery.encode_object',
          Object.fromEntries(pairs.map(([key = '', ...values], at) => [key, at % 2 ? values : key])),
        ),
      ),
      aCall('urlquery.encode_object', { a: 1 }),
      aCall('urlquery.encode_object', { a: [1] }),
      aCall('urlquery.encode_object', 'a'),
      { name: 'urlquery.encode_object', args: ['{"b": {"z", "a"}, 1: "x", "1": "y"}'] },
      aCall('urlquery.decode_object', '&'.repeat(9_999)),
      aCall('urlquery.decode_object', '&'.repeat(10_000)),
    ];
    expectMostDefined(await compareWithOpa(toolchain, calls));
  });

  it('digest as OPA does', async () => {
    const names = ['md5', 'sha1', 'sha256'].map((each) => `crypto.${each}`);
    const macs = ['md5', 'sha1', 'sha256', 'sha512', 'equal'].map((each) => `crypto.hmac.${each}`);
    const calls = generated(text).flatMap((each, at) => [
      ...names.map((name) => aCall(name, each)),
      ...macs.map((name) => aCall(name, each, at % 3 === 0 ? each : 'key'.repeat(at))),
    ]);
    expectMostDefined(
      await compareWithOpa(toolchain, [...calls, aCall('crypto.md5', 1), aCall('crypto.hmac.md5', 'a', 1)]),
    );
  });

  it('read and write JSON as OPA does', async () => {
    const values = generated(jsonValue({ noUnicodeString: false }));
    const number = array(constantFrom('0', '1', '9', '-', '.', 'e', 'E', '+', '00'), {
      minLength: 1,
      maxLength: 6,
    });
    const pieces = array(
      constantFrom(
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"a"',
        '1',
        '0',
        '01',
        '1.0',
        '1e5',
        '-',
        'null',
        ' ',
        '\n',
        '"\\u00e9"',
        '"\\ud83d"',
        'true',
        '"\t"',
        '\u00a0',
      ),
      { maxLength: 6 },
    );
    const edges = [
      '1e30102',
      '1e30103',
      '1e40000',
      '-1e-40000',
      '0e99999',
      '[1e400, "1e99999"]',
      '1.0',
      '-0',
      '1E+2',
      '01',
      '1.',
      '.5',
      '+1',
      'NaN',
      '{"a":1,"a":2.0}',
      '{"a":{"b":1},"a":{"c":1}}',
      '"\\ud800"',
      '"\\udc00\\ud800"',
      '"\\ud83d\\ude00"',
      '{"\\ud800":1}',
      '"\\\\ud800"',
      '[1,]',
      '1 2',
      '[] ]',
      '{"a":1}}',
      ' 1 ',
      '\ufeff1',
      '"\u2028"',
      '"a\u007f"',
      '"\u0001"',
      '',
      'nul',
      '[[[[]]]]',
      '"\\/\\b\\f"',
      '['.repeat(10_001) + ']'.repeat(10_001),
      '"\\x"',
      '{"<&>":"<&>"}',
      '{1:2}',
      '[1 2]',
      "'a'",
      '1//x',
    ];
    const texts = [
      ...values.map((each) => JSON.stringify(each)),
      ...generated(number).map((each) => each.join('')),
      ...generated(pieces).map((each) => each.join('')),
      ...edges,
    ];
    const calls = [
      ...values.map((each) => aCall('json.marshal', each)),
      ...generated(integer()).map((each) => ({ name: 'json.marshal', args: [`${each}.0`] })),
      ...texts.map((each) => aCall('json.is_valid', each)),
      ...[...values, ...values].map((each) => aCall('json.unmarshal', JSON.stringify(each, null, 2))),
      ...texts
        .filter((each) => each !== '1e30103' && each !== '1e30102')
        .map((each) => aCall('json.unmarshal', each)),
      ...[
        '{3, 1, 2}',
        'set()',
        '[{"b"}, {1: 2, "1": 3}]',
        '{"z": 1, "a": {"é": 1, "z": 2}}',
        '{{1}: 2, [1, "<"]: 3, null: 4, true: 5}',
        '1e400',
        '1.10',
        '-0',
        '100000000000000000000',
        '"<>&\\u2028\\u2029\\b\\f\\u0001\\u007f"',
        '{"\\ufffd": 1, "😀": 2}',
      ].map((each) => ({ name: 'json.marshal', args: [each] })),
      aCall('json.is_valid', 1),
      aCall('json.unmarshal', 1),
    ];
    expectMostDefined(await compareWithOpa(toolchain, calls));
  });
});
