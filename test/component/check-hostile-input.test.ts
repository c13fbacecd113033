/** Input that a client chose to hurt: what it costs, and what a policy then sees. */
import { beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../src/core/failure.ts';
import { toDecision } from '../../src/decision/output.ts';
import { fromCheckRequest } from '../../src/ext-authz/check-request.ts';
import { MAX_HEADERS } from '../../src/ext-authz/protobuf-reader.ts';
import type { Evaluator } from '../../src/policy/evaluator.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { aCheckRequest, encodeCheckRequest } from '../support/check-client.ts';
import { collidingNames } from '../support/check-collisions.ts';
import { anEvaluator, meteredModule } from '../support/metered-evaluator.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';

const POLICY = `package envoy.authz

allow := {"body": input.parsed_body, "query": input.parsed_query, "headers": input.attributes.request.http.headers}
`;

let evaluator: Evaluator;
beforeAll(async () => {
  const toolchain = createToolchain({ callTimeoutMs: 30_000, maxQueued: 16, maxMemoryMiB: 512 });
  const { wasm } = await toolchain.compile({
    modules: { 'p.rego': POLICY },
    builtins: NATIVE_BUILTINS,
    entrypoints: ['envoy/authz/allow'],
  });
  await toolchain.close();
  evaluator = anEvaluator(meteredModule(wasm));
});

const NAMES = collidingNames(3000);
const OTHERS = NAMES.map((_, index) => `n${String(index).padStart(5, '0')}`);

const input = (http: object): Uint8Array =>
  fromCheckRequest(encodeCheckRequest(aCheckRequest(http)), { identityFields: true }).writeInput({});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown.code;
  }
  return 'none';
}

const jsonBody = (body: string): object => ({ headers: { 'content-type': 'application/json' }, body });
const members = (list: readonly string[]): string => `{${list.map((name) => `"${name}":1`).join(',')}}`;

describe('names that a client chose to collide in the hash tables of the runtime', () => {
  it.each<[string, (list: readonly string[]) => object]>([
    ['the query', (list) => ({ path: `/?${list.join('&')}` })],
    ['a body', (list) => jsonBody(members(list))],
    ['an object deep in a body', (list) => jsonBody(`[{"a":${members(list)}}]`)],
    [
      'a body that spells them with escapes',
      (list) =>
        jsonBody(
          members(
            list.map((name) => `\\u00${Buffer.from(name.slice(0, 1)).toString('hex')}${name.slice(1)}`),
          ),
        ),
    ],
    [
      'the headers',
      (list) => ({ headers: Object.fromEntries(list.slice(0, MAX_HEADERS).map((name) => [name, ''])) }),
    ],
  ])('are refused in %s before the runtime sees them, and as many others are not', (_where, http) => {
    expect(codeOf(() => input(http(NAMES)))).toBe('request_malformed');
    expect(codeOf(() => input(http(OTHERS)))).toBe('none');
  });
});

describe('a request of more headers than the limit', () => {
  const plain = (count: number): object => ({
    headers: Object.fromEntries(OTHERS.slice(0, count).map((name) => [name, ''])),
  });
  const raw = (count: number): object => ({
    header_map: { headers: OTHERS.slice(0, count).map((key) => ({ key, raw_value: Buffer.from('v') })) },
  });
  const repeated = (count: number): object => ({
    header_map: { headers: Array.from({ length: count }, () => ({ key: 'x-same', value: 'v' })) },
  });
  const both = (count: number): object => ({
    ...plain(count - 1),
    header_map: { headers: [{ key: 'x-last', value: 'v' }] },
  });

  it.each([
    ['headers', plain],
    ['header_map', raw],
    ['one header again and again', repeated],
    ['both forms together', both],
  ])('is refused, and one of just as many is not: %s', (_form, http) => {
    expect(() => input(http(MAX_HEADERS + 1))).toThrow('the CheckRequest has more than 1000 headers');
    expect(codeOf(() => input(http(MAX_HEADERS + 1)))).toBe('request_malformed');
    expect(codeOf(() => input(http(MAX_HEADERS)))).toBe('none');
  });
});

const evaluated = (http: object): string => {
  const evaluation = evaluator.evaluate('envoy/authz/allow', input(http));
  return evaluation.defined ? evaluation.text : 'undefined';
};

describe('what a policy sees', () => {
  it('of names like those of prototypes are plain members', () => {
    const text = evaluated({
      path: '/?__proto__=1&constructor=2&toString=3',
      ...jsonBody('{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}}}'),
    });
    expect(text).toContain('"__proto__":{"admin":true}');
    expect(JSON.parse(text)).toMatchObject({ query: { constructor: ['2'], toString: ['3'] } });
    expect(text).toContain('"__proto__":["1"]');
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('of a name that is there twice, in any spelling, is the last', () => {
    expect(JSON.parse(evaluated(jsonBody('{"role":"admin","r\\u006fle":"guest"}')))).toMatchObject({
      body: { role: 'guest' },
    });
  });

  it('of numbers is all their digits', () => {
    const text = evaluated(jsonBody('[9007199254740993,1.0,1e400,-0,1E2]'));
    expect(text).toContain('"body":[9007199254740993,1.0,1e400,-0,1E2]');
  });

  it.each([
    ['deep lists', '['.repeat(5000)],
    ['deep objects', '{"a":'.repeat(5000)],
    ['space only', ' '.repeat(100_000)],
    ['an endless escape', `"${'\\'.repeat(99_999)}`],
    ['something behind it', '{}{}'],
    ['a byte order mark', '\ufeff{}'],
  ])('of a body of %s is nothing: it is refused', (_what, body) => {
    expect(codeOf(() => input(jsonBody(body)))).toBe('request_malformed');
  });
});

describe('what a policy says', () => {
  const decisionOf = (text: string) => toDecision({ defined: true, value: JSON.parse(text), text });

  it.each([
    [
      'a number in the metadata that no double holds',
      '{"allowed":true,"dynamic_metadata":{"a":[{"b":1e400}]}}',
    ],
    ['such a number on a denial', '{"allowed":false,"dynamic_metadata":{"a":-1e400}}'],
    ['a header to remove that is no header', '{"allowed":true,"request_headers_to_remove":["x-user "]}'],
    ['a header to remove without a name', '{"allowed":true,"request_headers_to_remove":[""]}'],
    ['a line break in a header to remove', '{"allowed":true,"request_headers_to_remove":["a\\r\\nb"]}'],
    ['a verdict in a prototype', '{"__proto__":{"allowed":true}}'],
  ])('with %s is no decision', (_what, text) => {
    expect(codeOf(() => decisionOf(text))).toBe('policy_failed');
  });

  it('in names like those of prototypes are plain members', () => {
    const decision = decisionOf(
      '{"allowed":true,"headers":{"__proto__":"x"},"dynamic_metadata":{"__proto__":{"a":1}}}',
    );
    if (decision.effect !== 'allow') throw new Error('denied');
    expect(decision.obligations.requestHeaders).toEqual([['__proto__', 'x']]);
    expect(Object.keys(decision.dynamicMetadata)).toEqual(['__proto__']);
  });
});
