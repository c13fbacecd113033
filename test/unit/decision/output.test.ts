import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/core/json.ts';
import { toDecision } from '../../../src/decision/output.ts';

const decisionOf = (text: string) => toDecision({ defined: true, value: JSON.parse(text) as Json, text });
const decide = (value: Json) => decisionOf(JSON.stringify(value));
const NOTHING = {
  requestHeaders: [],
  requestHeadersToRemove: [],
  responseHeaders: [],
  queryParametersToSet: [],
  queryParametersToRemove: [],
};

describe('a result', () => {
  it('true allows, false denies with 403', () => {
    expect(decide(true)).toEqual({
      effect: 'allow',
      reason: 'policy_allowed',
      bare: true,
      obligations: NOTHING,
      dynamicMetadata: {},
    });
    expect(decide(false)).toEqual({
      effect: 'deny',
      reason: 'policy_denied',
      bare: true,
      response: { status: 403, headers: [], body: '' },
      dynamicMetadata: {},
    });
  });

  it('that is undefined denies with 403', () => {
    expect(toDecision({ defined: false })).toMatchObject({
      effect: 'deny',
      reason: 'policy_undefined',
      response: { status: 403 },
    });
  });

  it('with allowed: true carries every obligation, in order', () => {
    expect(
      decide({
        allowed: true,
        headers: [{ 'x-a': '1' }, { 'x-b': ['2', '3'] }],
        response_headers_to_add: { 'x-c': '4' },
        request_headers_to_remove: ['x-d'],
        query_parameters_to_set: { q: ['5', '6'] },
        query_parameters_to_remove: ['r'],
        dynamic_metadata: { a: [1, { b: null }] },
        unknown: 1,
      }),
    ).toEqual({
      effect: 'allow',
      reason: 'policy_allowed',
      obligations: {
        requestHeaders: [
          ['x-a', '1'],
          ['x-b', '2'],
          ['x-b', '3'],
        ],
        responseHeaders: [['x-c', '4']],
        requestHeadersToRemove: ['x-d'],
        queryParametersToSet: [
          ['q', '5'],
          ['q', '6'],
        ],
        queryParametersToRemove: ['r'],
      },
      dynamicMetadata: { a: [1, { b: null }] },
    });
  });

  it('with allowed: false carries status, headers, body and metadata', () => {
    expect(
      decide({
        allowed: false,
        http_status: 429,
        headers: { 'retry-after': '3' },
        body: 'slow',
        dynamic_metadata: { a: 1 },
      }),
    ).toEqual({
      effect: 'deny',
      reason: 'policy_denied',
      response: { status: 429, headers: [['retry-after', '3']], body: 'slow' },
      dynamicMetadata: { a: 1 },
    });
  });

  it.each<[string, Json]>([
    ['a number', 1],
    ['a string', 'true'],
    ['null', null],
    ['a list', [true]],
    ['an object without allowed', {}],
    ['allowed in a prototype name', { constructor: true }],
    ['allowed as a number', { allowed: 1 }],
    ['allowed as a string', { allowed: 'true' }],
    ['allowed as null', { allowed: null }],
    ['headers as null', { allowed: true, headers: null }],
    ['headers as a string', { allowed: true, headers: 'x' }],
    ['headers with a boolean', { allowed: true, headers: { x: true } }],
    ['headers with a nested list', { allowed: true, headers: { x: [['1']] } }],
    ['a list of headers with a string', { allowed: true, headers: ['x'] }],
    ['a header name with a space', { allowed: true, headers: { 'x y': '1' } }],
    ['an empty header name', { allowed: false, headers: { '': '1' } }],
    ['a header value with a line break', { allowed: true, headers: { x: 'a\r\nb: c' } }],
    ['a header value with NUL', { allowed: true, response_headers_to_add: { x: 'a\0' } }],
    ['a length for the upstream', { allowed: true, headers: { 'Content-Length': '3' } }],
    ['a coding for the upstream', { allowed: true, headers: { 'transfer-encoding': 'chunked' } }],
    ['a length for the client', { allowed: true, response_headers_to_add: { 'content-length': '3' } }],
    ['a status among response headers', { allowed: true, response_headers_to_add: { ':status': '204' } }],
    ['metadata as a list', { allowed: true, dynamic_metadata: [] }],
    ['metadata as null', { allowed: false, dynamic_metadata: null }],
    ['removals as a string', { allowed: true, request_headers_to_remove: 'x' }],
    ['removals with a number', { allowed: true, request_headers_to_remove: [1] }],
    ['query removals as null', { allowed: true, query_parameters_to_remove: null }],
    ['query parameters as a list', { allowed: true, query_parameters_to_set: [] }],
    ['query parameters with a number', { allowed: true, query_parameters_to_set: { a: 1 } }],
    ['a body that is a number', { allowed: false, body: 1 }],
    ['a body that is null', { allowed: false, body: null }],
    ['a status as text', { allowed: false, http_status: '403' }],
    ['a status as null', { allowed: false, http_status: null }],
    ...[0, 99, 100, 101, 102, 103, 199, 306, 418, 425, 451, 512, 600, -403, 403.5].map(
      (status): [string, Json] => [`the status ${status}`, { allowed: false, http_status: status }],
    ),
  ])('that is odd is no decision: %s', (_title, value) => {
    expect(() => decide(value)).toThrow(expect.objectContaining({ code: 'policy_failed' }));
  });

  it.each([
    '{"allowed":false,"http_status":403.0}',
    '{"allowed":false,"http_status":4e2}',
    '{"allowed":false,"http_status":4.03E2}',
    '{"allowed":false,"dynamic_metadata":{"http_status":403},"http_status":403.0}',
  ])('with a status that is not written as an integer is no decision: %s', (text) => {
    expect(() => decisionOf(text)).toThrow(expect.objectContaining({ code: 'policy_failed' }));
  });

  it('may hold other numbers of that name in any form', () => {
    const text =
      '{"allowed":false,"body":"\\"http_status\\":1.5","dynamic_metadata":{"http_status":403.0},"http_status":404}';
    expect(decisionOf(text)).toMatchObject({ effect: 'deny', response: { status: 404 } });
  });

  it.each([200, 302, 401, 403, 404, 429, 500, 511])('may deny with %i', (status) => {
    expect(decide({ allowed: false, http_status: status })).toMatchObject({
      effect: 'deny',
      response: { status },
    });
  });

  it('is not looked at where the keys make no sense for its effect', () => {
    expect(decide({ allowed: true, body: 1, http_status: 'x' }).effect).toBe('allow');
    expect(
      decide({
        allowed: false,
        response_headers_to_add: 1,
        request_headers_to_remove: 1,
        query_parameters_to_set: 1,
        query_parameters_to_remove: 1,
      }).effect,
    ).toBe('deny');
  });

  it('is no decision when its metadata is deeper than Envoy reads', () => {
    const nested = (levels: number): Json => (levels === 0 ? 'x' : { a: nested(levels - 1) });
    expect(decide({ allowed: true, dynamic_metadata: nested(30) }).effect).toBe('allow');
    expect(() => decide({ allowed: true, dynamic_metadata: nested(31) })).toThrow('nested too deeply');
  });
});
