import { describe, expect, it } from 'vitest';
import { parseJsonBody } from '../../../src/admin/json-body.ts';
import { toProblem } from '../../../src/admin/problem.ts';
import { fromThrown } from '../../../src/admin/thrown.ts';
import { FAILURES, Failure, type FailureCode } from '../../../src/core/failure.ts';

const ID = '00000000-0000-4000-8000-000000000000';

describe('a problem', () => {
  it('shows code, detail and places of a Failure, and not its cause', () => {
    const issues = [
      { file: 'a.rego', line: 3, column: 7, code: 'rego_parse_error', message: 'unexpected }' },
    ];
    const failure = new Failure('policy_rejected', 'the policy does not compile', {
      issues,
      cause: new Error('/home/somebody/secret'),
    });
    const { status, headers, body } = toProblem(failure, ID);
    expect(status).toBe(422);
    expect(headers).toEqual({});
    expect(body).toEqual({
      type: 'urn:chancery:problem:policy_rejected',
      title: 'The policy was refused',
      status: 422,
      detail: 'the policy does not compile',
      instance: `urn:uuid:${ID}`,
      code: 'policy_rejected',
      errors: issues,
    });
  });

  it('has the status of its code, a challenge with 401 and a time to wait with 429 and 503', () => {
    for (const code of Object.keys(FAILURES) as FailureCode[]) {
      const { status, headers } = toProblem(new Failure(code, 'x'), ID);
      expect(status).toBe(FAILURES[code].http);
      expect('www-authenticate' in headers).toBe(status === 401);
      expect('retry-after' in headers).toBe([429, 503].includes(status) && FAILURES[code].retry);
    }
  });

  it('lists at most a hundred of the things that are wrong', () => {
    const issues = Array.from({ length: 5_000 }, (_, index) => ({ pointer: `/${index}`, message: 'x' }));
    expect(toProblem(new Failure('registry_rejected', 'x', { issues }), ID).body.errors).toHaveLength(100);
  });
});

describe('what was thrown', () => {
  it.each([
    ['a string', 'secret', 'internal'],
    ['undefined', undefined, 'internal'],
    ['an error', new TypeError('secret'), 'internal'],
    ['a time-out', new DOMException('secret', 'TimeoutError'), 'deadline_exceeded'],
    ['an error that poses as one of HTTP', { statusCode: 400, code: 'ANY', message: 'secret' }, 'internal'],
    [
      'an error of the HTTP layer',
      { statusCode: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' },
      'request_malformed',
    ],
  ])('%s becomes a Failure that does not quote it', (_what, thrown, code) => {
    const { failure } = fromThrown(thrown);
    expect(failure.code).toBe(code);
    expect(failure.detail).not.toContain('secret');
  });
});

describe('a body', () => {
  const parse = (text: string): unknown => parseJsonBody(new TextEncoder().encode(text));

  it('is what JSON says', () => {
    expect(parse('{"a":[1,"ä\\ud83d\\ude00",null,true]}')).toEqual({ a: [1, 'ä😀', null, true] });
  });

  it('that the journal could not hold is refused with its place', () => {
    for (const [text, pointer] of [
      ['{"a/b":{"c":["\\udc00"]}}', '/a~1b/c/0'],
      ['{"a":-1e999}', '/a'],
      ['{"a":{"\\ud800":1}}', '/a'],
      ['{"a":{"__proto__":1}}', '/a'],
    ] as const) {
      try {
        parse(text);
        expect.unreachable();
      } catch (thrown) {
        expect(Failure.from(thrown)).toMatchObject({ code: 'request_malformed', issues: [{ pointer }] });
      }
    }
  });
});
