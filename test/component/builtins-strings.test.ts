/** Strings, versions, `object.subset` and `time.parse_rfc3339_ns` against OPA. */
import { array, constantFrom, integer, jsonValue, tuple } from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { callBuiltin } from '../../src/builtins/call.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { aCall, aContext, compareWithOpa, expectMostDefined, generated } from '../support/builtin-oracle.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

const few = array(constantFrom('a', 'b', 'ab', 'aa', 'é', '😀', '\uffff', ' ', '$&', ''), {
  maxLength: 8,
}).map((all) => all.join(''));
const ascii = array(constantFrom('a', 'b', 'ab', 'aa', '$1'), { maxLength: 6 }).map((all) => all.join(''));
const lists = tuple(array(few, { maxLength: 4 }), array(few, { minLength: 1, maxLength: 4 }));

describe('built-ins on strings', () => {
  it('find and replace as OPA does', async () => {
    const calls = [
      ...generated(tuple(few, few)).flatMap(([text, found]) => [
        aCall('indexof', text, found || 'a'),
        aCall('indexof_n', text, found || 'b'),
        aCall('indexof', text, found),
        aCall('strings.count', text, found),
        aCall('strings.any_prefix_match', text, found),
        aCall('strings.any_suffix_match', text, found),
      ]),
      ...generated(lists)
        .flatMap(([search, base]) => [
          aCall('strings.any_prefix_match', search, base),
          aCall('strings.any_suffix_match', search, base),
          aCall('strings.any_prefix_match', search[0] ?? '', base),
          {
            name: 'strings.any_suffix_match',
            args: [JSON.stringify(search), `{${base.map((each) => JSON.stringify(each)).join(', ')}}`],
          },
        ])
        .slice(0, 500),
      ...generated(tuple(ascii, ascii, few)).map(([text, old, to]) => aCall('replace', text, old, to)),
      ...generated(tuple(few, few, few)).map(([text, old, to]) => aCall('replace', text, old || 'a', to)),
      ...generated(tuple(ascii, array(tuple(ascii, few), { maxLength: 4 }))).map(([text, pairs]) =>
        aCall('strings.replace_n', Object.fromEntries(pairs), text),
      ),
      ...generated(tuple(few, array(tuple(few, few), { maxLength: 4 }))).map(([text, pairs]) =>
        aCall('strings.replace_n', Object.fromEntries(pairs.filter(([old]) => old !== '')), text),
      ),
      ...[
        [1, 'a'],
        ['a', 1],
        [['a', 1], 'a'],
        ['a', ['a', 1]],
        [{}, 'a'],
        [[], 'a'],
        ['a', []],
      ].map((args) => aCall('strings.any_prefix_match', ...args)),
      aCall('replace', 'a', 'a', 1),
      aCall('strings.replace_n', { a: 1 }, 'a'),
      { name: 'strings.replace_n', args: ['{1: "a"}', '"a"'] },
    ];
    expectMostDefined(await compareWithOpa(toolchain, calls));
  });

  it('compare versions as OPA does', async () => {
    const version = tuple(
      constantFrom('', 'v', ' ', 'V'),
      array(constantFrom('0', '1', '2', '10', '01', '9223372036854775807', '9223372036854775808', '-1', ''), {
        minLength: 3,
        maxLength: 3,
      }),
      constantFrom(
        '',
        '',
        '-a',
        '-1',
        '-a.1',
        '-a.b',
        '-1.2.3',
        '-01',
        '-a..b',
        '-',
        '-9223372036854775809',
        '-99999999999999999999',
        '-a-b',
      ),
      constantFrom('', '', '+x', '+', '+x.y', '+x+y'),
    ).map(([v, numbers, pre, meta]) => `${v}${numbers.join('.')}${pre}${meta}`);
    const good = tuple(
      array(constantFrom('0', '1', '2', '10'), { minLength: 3, maxLength: 3 }),
      constantFrom(
        '',
        '',
        '-a',
        '-1',
        '-a.1',
        '-a.b',
        '-1.2',
        '-1.2.3',
        '-9223372036854775809',
        '-99999999999999999999',
      ),
    ).map(([numbers, pre]) => `${numbers.join('.')}${pre}`);
    const calls = [
      ...generated(version, 400).map((each) => aCall('semver.is_valid', each)),
      ...generated(tuple(good, good), 600).map(([a, b]) => aCall('semver.compare', a, b)),
      ...generated(tuple(good, version)).map(([a, b]) => aCall('semver.compare', a, b)),
      aCall('semver.is_valid', 1),
      aCall('semver.is_valid', '1.2'),
      aCall('semver.is_valid', '1.2.3.4'),
      aCall('semver.compare', 1, '1.2.3'),
    ];
    expectMostDefined(await compareWithOpa(toolchain, calls));
  });

  it('find parts of objects as OPA does', async () => {
    const small = array(constantFrom(1, 2, 'a', [1], { a: 1 }), { maxLength: 4 });
    const asSet = (all: readonly unknown[]) =>
      all.length === 0 ? 'set()' : `{${[...new Set(all.map((each) => JSON.stringify(each)))].join(', ')}}`;
    const calls = [
      ...generated(tuple(jsonValue(), jsonValue())).map(([a, b]) =>
        aCall('object.subset', { a, b, c: [a, b] }, { a, c: [b] }),
      ),
      ...generated(tuple(small, small)).map(([a, b]) => aCall('object.subset', a, b)),
      ...generated(tuple(small, small)).map(([a, b]) => aCall('object.subset', { x: a, y: 1 }, { x: b })),
      ...generated(tuple(small, small), 60).flatMap(([a, b]) => [
        { name: 'object.subset', args: [asSet(a), asSet(b)] },
        { name: 'object.subset', args: [JSON.stringify(a), asSet(b)] },
        { name: 'object.subset', args: [`{"x": ${asSet(a)}}`, `{"x": ${asSet(b)}}`] },
        { name: 'object.subset', args: [`{"x": ${JSON.stringify(a)}}`, `{"x": ${asSet(b)}}`] },
      ]),
      aCall('object.subset', {}, []),
      aCall('object.subset', 1, 1),
      { name: 'object.subset', args: ['{"a": {"b": 1, "c": {1, 2}}}', '{"a": {"c": {1.0}}}'] },
    ];
    expectMostDefined(await compareWithOpa(toolchain, calls));
  });

  it('read times as OPA does', async () => {
    const time = tuple(
      integer({ min: 1670, max: 2270 }),
      integer({ min: 1, max: 12 }),
      integer({ min: 1, max: 29 }),
      constantFrom('T00:00:00', 'T23:59:59', 'T12:34:56', 'T1:02:03'),
      constantFrom('', '.5', '.123456789', '.1234567891234', ',25'),
      constantFrom('Z', '+00:00', '-07:30', '+23:59', '+24:60'),
    ).map(
      ([year, month, day, clock, fraction, zone]) =>
        `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}${clock}${fraction}${zone}`,
    );
    const odd = [
      '',
      '2020-01-01',
      '2020-02-30T00:00:00Z',
      '2020-13-01T00:00:00Z',
      '2020-01-01T24:00:00Z',
      '2020-01-01T00:60:00Z',
      '2020-01-01T00:00:60Z',
      '2020-01-01 00:00:00Z',
      '2020-01-01T00:00:00',
      '2020-01-01T00:00:00z',
      '2020-01-01T00:00:00.Z',
      '2020-01-01T00:00:00+25:00',
      '2020-01-01T00:00:00+00:61',
      '2020-01-01T00:00:00Zx',
      '0000-01-01T00:00:00Z',
      '1677-09-21T00:12:43.145224192Z',
      '1677-09-21T00:12:43.145224191Z',
      '2262-04-11T23:47:16.854775807Z',
      '2262-04-11T23:47:16.854775808Z',
      '2020-1-01T00:00:00Z',
      '2020-01-01T00:0:00Z',
      '2020-00-01T00:00:00Z',
      '2020-01-00T00:00:00Z',
      '2020-01-01T00:00:00+0000',
      '1969-12-31T23:59:59.999999999Z',
    ];
    const calls = [...generated(time, 400), ...odd].map((each) => aCall('time.parse_rfc3339_ns', each));
    expectMostDefined(await compareWithOpa(toolchain, [...calls, aCall('time.parse_rfc3339_ns', 1)]));
  });

  it('say the same time and the same random values within an evaluation', () => {
    let drawn = 0;
    const context = aContext({ randomBytes: (count) => new Uint8Array(count).fill((drawn += 1)) });
    const answer = (name: string, ...args: readonly unknown[]) =>
      callBuiltin(name, aCall(name, ...args).args, context);
    expect(answer('time.now_ns')).toBe('1700000000123456789');
    expect(answer('uuid.rfc4122', 'a')).toBe('"01010101-0101-4101-8101-010101010101"');
    expect(answer('uuid.rfc4122', 'b')).toBe('"02020202-0202-4202-8202-020202020202"');
    expect(answer('uuid.rfc4122', 'a')).toBe('"01010101-0101-4101-8101-010101010101"');
    const number = answer('rand.intn', 'dice', 6);
    expect(Number(number)).toBeLessThan(6);
    expect([
      answer('rand.intn', 'dice', 6),
      answer('rand.intn', 'dice', -6),
      answer('rand.intn', 'dice', 0),
    ]).toEqual([number, number, '0']);
    expect(answer('rand.intn', 'dice', 1.5)).toBeUndefined();
  });
});
