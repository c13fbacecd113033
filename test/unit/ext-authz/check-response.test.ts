import { describe, expect, it } from 'vitest';
import type { AllowObligations, Decision } from '../../../src/core/decision.ts';
import { FAILURES, Failure, type FailureCode } from '../../../src/core/failure.ts';
import { toCheckResponse, toFailureResponse } from '../../../src/ext-authz/check-response.ts';
import { decodeCheckResponse } from '../../support/check-client.ts';

const NOTHING: AllowObligations = {
  requestHeaders: [],
  requestHeadersToRemove: [],
  responseHeaders: [],
  queryParametersToSet: [],
  queryParametersToRemove: [],
};
function allow(obligations: Partial<AllowObligations> = {}, dynamicMetadata = {}): Decision {
  return {
    effect: 'allow',
    reason: 'policy_allowed',
    obligations: { ...NOTHING, ...obligations },
    dynamicMetadata,
  };
}
const answerTo = (decision: Decision) => decodeCheckResponse(toCheckResponse(decision, 'id-1'));
const DECISION_ID = { fields: { decision_id: { kind: 'stringValue', stringValue: 'id-1' } } };
const option = (key: string, value: string, append_action?: string) => ({
  header: { key, value },
  ...(append_action !== undefined && { append_action }),
});
const OVERWRITE = 'OVERWRITE_IF_EXISTS_OR_ADD';

describe('the CheckResponse of an allow', () => {
  it('that is a bare true is status 0 and the decision id, and has an empty ok_response else', () => {
    const bare = { status: {}, dynamic_metadata: DECISION_ID };
    expect(answerTo({ ...allow(), bare: true })).toEqual(bare);
    expect(answerTo(allow())).toEqual({ ...bare, http_response: 'ok_response', ok_response: {} });
  });

  it('overwrites with the first value of a request header and appends the others', () => {
    const answer = answerTo(
      allow({
        requestHeaders: [
          ['x-a', '1'],
          ['X-A', '2'],
          ['x-b', ''],
        ],
      }),
    );
    expect(answer.ok_response?.headers).toMatchObject([
      { header: { key: 'x-a', value: '1' }, append_action: OVERWRITE },
      { header: { key: 'X-A', value: '2' }, append: { value: true } },
      { header: { key: 'x-b' }, append_action: OVERWRITE },
    ]);
    expect(answer.ok_response?.headers?.[0]?.append ?? null).toBeNull();
    expect(answer.ok_response?.headers?.[1]).not.toHaveProperty('append_action');
  });

  it('adds all of several response headers of one name, and overwrites with a single one', () => {
    const answer = answerTo(
      allow({
        responseHeaders: [
          ['set-cookie', 'a'],
          ['x-one', '1'],
          ['Set-Cookie', 'b'],
        ],
      }),
    );
    expect(answer.ok_response?.response_headers_to_add).toEqual([
      option('set-cookie', 'a'),
      option('x-one', '1', OVERWRITE),
      option('Set-Cookie', 'b'),
    ]);
  });

  it('carries removals and query parameters', () => {
    const answer = answerTo(
      allow({
        requestHeadersToRemove: ['x-gone'],
        queryParametersToSet: [
          ['a', '1'],
          ['a', '2'],
        ],
        queryParametersToRemove: ['b'],
      }),
    );
    expect(answer.ok_response).toMatchObject({
      headers_to_remove: ['x-gone'],
      query_parameters_to_set: [
        { key: 'a', value: '1' },
        { key: 'a', value: '2' },
      ],
      query_parameters_to_remove: ['b'],
    });
  });

  it('carries metadata of every JSON kind, beyond one byte of length, and its own decision id', () => {
    const long = 'ü'.repeat(20_000);
    const answer = answerTo(
      allow({}, { decision_id: 'theirs', n: 1.5, t: true, z: null, l: ['a', {}], o: { long } }),
    );
    expect(answer.dynamic_metadata?.fields).toMatchObject({
      decision_id: { stringValue: 'id-1' },
      n: { numberValue: 1.5 },
      t: { boolValue: true },
      z: { nullValue: 'NULL_VALUE' },
      l: { listValue: { values: [{ stringValue: 'a' }, { structValue: {} }] } },
      o: { structValue: { fields: { long: { stringValue: long } } } },
    });
  });
});

describe('the CheckResponse of a denial', () => {
  it('carries status, headers and body', () => {
    const answer = answerTo({
      effect: 'deny',
      reason: 'policy_denied',
      response: {
        status: 302,
        headers: [
          ['location', '/login'],
          ['set-cookie', 'a'],
          ['set-cookie', 'b'],
        ],
        body: 'go',
      },
      dynamicMetadata: {},
    });
    expect(answer).toEqual({
      status: { code: 7 },
      http_response: 'denied_response',
      denied_response: {
        status: { code: 'Found' },
        headers: [
          option('location', '/login', OVERWRITE),
          option('set-cookie', 'a'),
          option('set-cookie', 'b'),
        ],
        body: 'go',
      },
      dynamic_metadata: DECISION_ID,
    });
  });
});

describe('the CheckResponse of a Failure', () => {
  it.each(Object.keys(FAILURES) as FailureCode[])('%s is a denial with the status of its row', (code) => {
    const answer = decodeCheckResponse(toFailureResponse(new Failure(code, 'secret?'), 'id-1'));
    const row = new Failure(code, '').row;
    const http = row.dataPlaneHttp ?? row.http;
    expect(answer.status?.code).toBe(row.grpc);
    expect(row.grpc).toBeGreaterThan(0);
    const body = JSON.parse(answer.denied_response?.body ?? '');
    expect(body).toEqual({ status: http, code, title: row.title, ...(http < 500 && { detail: 'secret?' }) });
    expect(answer.denied_response?.headers).toContainEqual(
      option('content-type', 'application/problem+json', OVERWRITE),
    );
  });

  it('challenges after a bad credential and asks to come back when overloaded', () => {
    const headersOf = (code: FailureCode) =>
      decodeCheckResponse(toFailureResponse(new Failure(code, ''), 'id-1')).denied_response?.headers;
    expect(headersOf('credential_expired')).toContainEqual(
      option('www-authenticate', 'Bearer error="invalid_token"', OVERWRITE),
    );
    expect(headersOf('overloaded')).toContainEqual(option('retry-after', '1', OVERWRITE));
    expect(headersOf('deadline_exceeded')).toHaveLength(1);
  });

  it('says 503 for a deadline, not 504', () => {
    const answer = decodeCheckResponse(toFailureResponse(new Failure('deadline_exceeded', ''), 'id-1'));
    expect(answer.denied_response?.status.code).toBe('ServiceUnavailable');
  });
});
