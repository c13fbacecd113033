import { describe, expect, it } from 'vitest';
import type { CheckRecord } from '../../../src/audit/record.ts';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { aCheckRequest, encodeCheckRequest } from '../../support/check-client.ts';
import { aRecord, eventOf, type LineOptions, lineOf } from '../../support/decision-record.ts';
import { spellingsOf } from '../../support/spellings.ts';

const subject = 'alice-4711';
const workload = { spiffe: 'spiffe://mesh/app/4711' };
const identity = { workload, user: { issuer: 'idp', subject, claims: { email: 'a@b.test' } } };
const withInput = (input: Json, mask: Json) => eventOf(aRecord(), { input, mask });

describe('a mask policy', () => {
  it.each<[string, Json, Json, JsonObject]>([
    ['removes a member', { a: 1, b: 2 }, ['/input/a'], { input: { b: 2 }, erased: ['/input/a'] }],
    [
      'removes a key with a slash, by ~1',
      { 'a/b': 1 },
      ['/input/a~1b'],
      { input: {}, erased: ['/input/a~1b'] },
    ],
    [
      'removes a key with a tilde, by ~0',
      { 'a~1b': 1 },
      ['/input/a~01b'],
      { input: {}, erased: ['/input/a~01b'] },
    ],
    [
      'does not decode percent signs',
      { 'a b': 1, 'a%20b': 2 },
      ['/input/a%20b'],
      { input: { 'a b': 1 }, erased: ['/input/a%20b'] },
    ],
    [
      'removes elements by the places that they had',
      { l: [0, 1, 2, 3] },
      ['/input/l/0', '/input/l/2'],
      { input: { l: [1, 3] }, erased: ['/input/l/0', '/input/l/2'] },
    ],
    ['removes the whole input', { a: 1 }, ['/input'], { erased: ['/input', '/chancery/principal'] }],
    [
      'puts a value',
      { a: 1 },
      [{ op: 'upsert', path: '/input/a', value: '*' }],
      { input: { a: '*' }, masked: ['/input/a'] },
    ],
    [
      'puts a value where objects are missing',
      {},
      [{ op: 'upsert', path: '/input/x/y', value: [1] }],
      { input: { x: { y: [1] } }, masked: ['/input/x/y'] },
    ],
    [
      'puts an element that is there',
      { l: [1] },
      [{ op: 'upsert', path: '/input/l/0', value: 2 }],
      { input: { l: [2] }, masked: ['/input/l/0'] },
    ],
    [
      'removes by an object',
      { a: 1 },
      [{ op: 'remove', path: '/input/a' }],
      { input: {}, erased: ['/input/a'] },
    ],
    [
      'leaves what is not there alone',
      { a: 1 },
      ['/input/b', '/input/a/c', '/input/l/0'],
      { input: { a: 1 } },
    ],
    ['may name a prototype', { a: 1 }, ['/input/__proto__', '/input/constructor'], { input: { a: 1 } }],
  ])('%s', (_title, input, mask, expected) => {
    const { input: masked, erased, masked: put } = withInput(input, mask);
    expect({
      ...(masked !== undefined && { input: masked }),
      ...(erased && { erased }),
      ...(put && { masked: put }),
    }).toEqual(expected);
    expect(({} as JsonObject)['y']).toBeUndefined();
  });

  const body = (contentType: string, content: string | Buffer) =>
    aRecord({
      request: encodeCheckRequest(
        aCheckRequest({ headers: { 'content-type': contentType }, raw_body: Buffer.from(content) }),
      ),
    });

  it('masks a JSON body in every form in which it stands', () => {
    const line = lineOf(body('application/json', '{"pin":"4711-4711","user":"a"}'), {
      mask: ['/input/parsed_body/pin'],
      bodies: true,
    });
    expect(line).not.toContain('4711');
    expect(line).not.toContain(Buffer.from('4711-4711').toString('base64').slice(0, 8));
    expect(JSON.parse(line ?? '')).toMatchObject({
      input: { parsed_body: { user: 'a' } },
      erased: ['/input/parsed_body/pin', '/input/attributes/request/http/rawBody'],
    });
  });

  it.each<[string, Json, string, Json]>([
    ['a form', { pin: ['4711'], user: ['a'] }, '/input/parsed_body/pin', { user: ['a'] }],
    ['an element of a form', { pin: ['4711', 'x'] }, '/input/parsed_body/pin/0', { pin: ['x'] }],
    ['multipart', { pin: [{ part: '4711' }], user: ['a'] }, '/input/parsed_body/pin', { user: ['a'] }],
    [
      'gRPC',
      { card: { number: '4711', owner: 'a' } },
      '/input/parsed_body/card/number',
      { card: { owner: 'a' } },
    ],
    ['a list', ['4711', 'a'], '/input/parsed_body/0', ['a']],
  ])('masks a body that was parsed from %s', (_title, parsed, pointer, expected) => {
    const input = { parsed_body: parsed, attributes: { request: { http: { body: 'pin=4711' } } } };
    const event = eventOf(aRecord(), { input, mask: [pointer], bodies: true });
    expect(JSON.stringify(event)).not.toContain('4711');
    expect((event['input'] as JsonObject)['parsed_body']).toEqual(expected);
    expect(event['erased']).toEqual([pointer, '/input/attributes/request/http/body']);
  });

  it('masks a parameter of the query in the path, too', () => {
    const path = '/a?pin=4711&page=2';
    const headers = [{ key: ':path', raw_value: Buffer.from(path) }];
    for (const form of [{ headers: { ':path': path } }, { header_map: { headers } }]) {
      const request = encodeCheckRequest(aCheckRequest({ path, ...form }));
      const line = lineOf(aRecord({ request }), { mask: ['/input/parsed_query/pin/0'] }) ?? '';
      expect(line).not.toContain('4711');
      expect(line).not.toContain(Buffer.from('pin=4711').toString('base64').slice(2, 8));
      expect(line).toContain('/a?pin=redacted&page=2');
    }
  });

  it('masks a header in both forms, and a part of the path with the whole path', () => {
    const headers = { header_map: { headers: [{ key: 'x-pin', raw_value: Buffer.from('4711') }] } };
    const request = encodeCheckRequest(aCheckRequest({ path: '/u/4711', ...headers }));
    const mask = ['/input/attributes/request/http/headers/x-pin', '/input/parsed_path/1'];
    const line = lineOf(aRecord({ request }), { mask }) ?? '';
    expect(line).not.toContain('4711');
    expect(line).not.toContain(Buffer.from('4711').toString('base64'));
  });

  it.each<[string, Json]>([
    ['takes all headers out', ['/input/attributes/request/http/headers']],
    [
      'puts other headers in their place',
      [{ op: 'upsert', path: '/input/attributes/request/http/headers', value: { 'x-kept': '1' } }],
    ],
  ])('that %s takes them out of headerMap, too', (_title, mask) => {
    const headers = ['x-pin', 'x-other', ':path'].map((key) => ({
      key,
      raw_value: Buffer.from(`4711 ${key}`),
    }));
    for (const [form, place] of [
      [{ header_map: { headers } }, true],
      [{ headers: { 'x-pin': '4711' } }, false],
    ] as const) {
      const record = aRecord({ request: encodeCheckRequest(aCheckRequest(form)) });
      expect(lineOf(record)).toMatch(place ? Buffer.from('4711 x').toString('base64') : '4711');
      const line = lineOf(record, { mask }) ?? '';
      expect(line).not.toContain('4711');
      expect(line).not.toContain(Buffer.from('4711').toString('base64').slice(0, 4));
      expect(JSON.parse(line).erased ?? []).toEqual([
        ...(Array.isArray(mask) && typeof mask[0] === 'string' ? [mask[0]] : []),
        ...(place ? ['/input/attributes/request/http/headerMap'] : []),
      ]);
    }
  });

  const HTTP = '/input/attributes/request/http';
  const SECRET = 'pin-4711-of-alice';
  const spiffe = `spiffe://mesh/${SECRET}`;
  const path = `/u/${SECRET}?pin=${SECRET}&page=2`;
  const repeated = ['x-envoy-original-path', 'x-original-url', 'x-rewrite-url', 'x-forwarded-uri'];
  const everywhere = (form: 'headers' | 'header_map', given: object = {}) => {
    const texts = Object.fromEntries([':path', ...repeated].map((name) => [name, path]));
    const all = { ...texts, 'x-forwarded-client-cert': `By=x;URI=${spiffe}`, 'x-kept': '1' };
    const list = Object.entries(all).map(([key, value]) => ({ key, raw_value: Buffer.from(value) }));
    const headers = form === 'headers' ? { headers: all } : { header_map: { headers: list } };
    const source = { principal: spiffe, certificate: encodeURIComponent(`CERT ${spiffe}`) };
    return aRecord({
      identity: { workload: { spiffe } },
      request: encodeCheckRequest(aCheckRequest({ path, ...headers, ...given }, { source })),
    });
  };
  const PATHS = [`${HTTP}/path`, `${HTTP}/headers/:path`];
  const WORKLOADS = [
    '/input/source_principal',
    '/input/attributes/source/principal',
    '/input/identity/workload/spiffe',
  ];

  it.each(['headers', 'header_map'] as const)(
    'leaves a path in no other spelling, nor a workload: %s',
    (form) => {
      for (const one of PATHS) {
        for (const other of WORKLOADS) {
          const line = lineOf(everywhere(form), { mask: [one, other] }) ?? '';
          for (const spelling of spellingsOf(SECRET)) expect(line, `${one} ${other}`).not.toContain(spelling);
          expect(line).toMatch(form === 'headers' ? '"x-kept":"1"' : '"rawValue":"MQ=="');
        }
      }
    },
  );

  it('that names what it wants of a parsed form leaves the rest of it', () => {
    const form = {
      headers: { 'content-type': 'application/json' },
      body: `{"pin":"${SECRET}","user":"alice"}`,
    };
    const record = aRecord({
      request: encodeCheckRequest(aCheckRequest({ path: `/?pin=${SECRET}&page=2`, ...form })),
    });
    const mask = [`${HTTP}/body`, '/input/parsed_body/pin', `${HTTP}/path`, '/input/parsed_query/pin'];
    const event = eventOf(record, { mask, bodies: true });
    expect(JSON.stringify(event)).not.toContain(SECRET);
    expect(event['input']).toMatchObject({ parsed_body: { user: 'alice' }, parsed_query: { page: ['2'] } });
    const bodyAlone = eventOf(record, { mask: [`${HTTP}/body`], bodies: true })['input'] as JsonObject;
    expect(Object.keys(bodyAlone)).not.toContain('parsed_body');
    expect(bodyAlone['parsed_query']).toEqual({ pin: [SECRET], page: ['2'] });
  });

  it('that takes out headerMap takes the same headers out of the other form, too', () => {
    const request = encodeCheckRequest(
      aCheckRequest({ header_map: { headers: [{ key: 'x-pin', raw_value: Buffer.from(SECRET) }] } }),
    );
    for (const mask of [[`${HTTP}/headerMap`], [`${HTTP}/headerMap/headers/0/rawValue`]]) {
      const line = lineOf(aRecord({ request }), { mask }) ?? '';
      for (const spelling of spellingsOf(SECRET)) expect(line).not.toContain(spelling);
    }
  });

  it('finds a parameter in a query that cannot be parsed, and all of it where it names all', () => {
    const request = encodeCheckRequest(aCheckRequest({ path: `/a?pin=${SECRET};page=2` }));
    const reading = { parseErrors: 'input' } as const;
    const one = lineOf(aRecord({ request }), { mask: ['/input/parsed_query/pin'], reading }) ?? '';
    expect(one).toContain('"path":"/a?pin=redacted;page=2"');
    expect(one).not.toContain(SECRET);
    const all = lineOf(aRecord({ request }), { mask: ['/input/parsed_query'], reading }) ?? '';
    expect(all).not.toContain(SECRET);
    const segment = encodeCheckRequest(aCheckRequest({ path: `/${SECRET}/%zz` }));
    const line = lineOf(aRecord({ request: segment }), { mask: ['/input/parsed_path/0'], reading }) ?? '';
    expect(line).not.toContain(SECRET);
  });

  it('keeps what it has put in a form beside one that it has taken out', () => {
    const put = { op: 'upsert', path: `${HTTP}/path`, value: '/masked' };
    const event = eventOf(everywhere('headers'), {
      mask: [put, '/input/parsed_path', '/input/source_principal'],
    });
    expect(event['input']).toMatchObject({ attributes: { request: { http: { path: '/masked' } } } });
    const http = { op: 'upsert', path: HTTP, value: { body: 'put', path: '/put' } };
    const whole = eventOf(everywhere('headers'), { mask: [http, '/input/parsed_body'], bodies: true });
    expect(whole['input']).toMatchObject({
      attributes: { request: { http: { body: 'put', path: '/put' } } },
    });
  });

  it.each<[string, JsonObject, Json]>([
    ['a claim', identity, ['/input/identity/user/claims/email']],
    ['the identity', identity, ['/input/identity']],
    ['a claim of nobody', {}, ['/input/identity/user/claims/email']],
  ])('that names %s takes it out of what the proxy has left in its metadata', (_title, who, mask) => {
    const payload = { fields: { email: { stringValue: 'a@b.test' } } };
    const metadata = { 'envoy.filters.http.jwt_authn': payload, 'envoy.other': { fields: {} } };
    const http = aCheckRequest({}, { metadata_context: { filter_metadata: metadata } });
    const record = aRecord({ identity: who, request: encodeCheckRequest(http) });
    const place = '/input/attributes/metadataContext/filterMetadata/envoy.filters.http.jwt_authn';
    expect(lineOf(record, { claims: ['*'], mask: ['/input/parsed_path'] })).toContain('a@b.test');
    const line = lineOf(record, { claims: ['*'], mask }) ?? '';
    expect(line).not.toContain('a@b.test');
    expect(line).toContain('envoy.other');
    expect(JSON.parse(line).erased).toContain(place);
  });

  it('keeps what it has put itself, also under a name that is a secret', () => {
    const record = aRecord({
      request: encodeCheckRequest(aCheckRequest({ headers: { authorization: 'Bearer abcdefgh' } })),
    });
    const path = '/input/attributes/request/http/headers/authorization';
    const event = eventOf(record, { mask: [{ op: 'upsert', path, value: 'sha256:1' }] });
    expect(JSON.stringify(event)).toContain('"authorization":"sha256:1"');
    expect(event['masked']).toEqual([path]);
  });

  it('sees the event of OPA: before redaction, without error and metrics', () => {
    let seen: JsonObject = {};
    const request = encodeCheckRequest(aCheckRequest({ headers: { authorization: 'Bearer abcdefgh' } }));
    const error = { code: 'policy_failed', message: 'x' };
    eventOf(aRecord({ request, error }), {
      mask: (input) => {
        seen = input;
        return [];
      },
    });
    expect(Object.keys(seen).toSorted()).toEqual(
      ['bundles', 'chancery', 'decision_id', 'input', 'labels', 'path', 'result', 'timestamp'].toSorted(),
    );
    expect(seen['input']).toMatchObject({
      version: { ext_authz: 'v3', encoding: 'protojson' },
      attributes: { request: { http: { headers: { authorization: 'Bearer abcdefgh' } } } },
    });
  });

  const source = { principal: workload.spiffe };
  const asAlice = (given: Partial<CheckRecord> = {}) =>
    aRecord({ identity, request: encodeCheckRequest(aCheckRequest({}, { source })), ...given });

  it.each<[string, Json]>([
    ['the input', ['/input']],
    ['the identity', ['/input/identity']],
    ['the user', ['/input/identity/user']],
    ['the subject', ['/input/identity/user/subject']],
    ['a claim', ['/input/identity/user/claims/email']],
    [
      'a subject in another form',
      [{ op: 'upsert', path: '/input/identity/user/subject', value: 'sha256:1' }],
    ],
    ['the principal of the connection', ['/input/source_principal']],
    ['the source of the connection', ['/input/attributes/source']],
  ])('that changes %s leaves no principal beside it', (_title, mask) => {
    expect(eventOf(asAlice())['chancery']).toHaveProperty('principal');
    const event = eventOf(asAlice(), { mask });
    expect(event['chancery']).not.toHaveProperty('principal');
    expect(event['erased']).toContain('/chancery/principal');
  });

  it('that changes something else, or nothing, leaves the principal', () => {
    for (const mask of [[], ['/input/parsed_path', '/input/identity/user/nothing', '/result']])
      expect(eventOf(asAlice(), { mask })['chancery']).toHaveProperty('principal');
  });

  it('leaves no principal of a request that could not be shown to it', () => {
    const record = asAlice({ request: Buffer.from('no protobuf') });
    expect(eventOf(record)['chancery']).toHaveProperty('principal');
    const line = lineOf(record, { mask: [] }) ?? '';
    expect(line).not.toContain('4711');
    expect(JSON.parse(line).erased).toEqual(['/chancery/principal']);
  });

  it('that fails leaves no principal', () => {
    const fail = (): Json => {
      throw new Error('any');
    };
    for (const options of [{ mask: fail }, { maskMissing: true }, { mask: 'odd' }, { drop: fail }]) {
      const line = lineOf(asAlice(), options) ?? '';
      expect(line).not.toContain('4711');
      expect(JSON.parse(line).erased).toEqual(['/input', '/result', '/chancery/principal']);
    }
  });

  it.each<[string, LineOptions, string]>([
    [
      'throws',
      {
        mask: () => {
          throw new Error('any');
        },
      },
      'the mask policy failed',
    ],
    ['is not loaded', { maskMissing: true }, 'the mask policy is not loaded'],
    ['is no set', { mask: { a: 1 } }, 'the mask policy says something odd'],
    ['holds something that is no pointer', { mask: ['input/a'] }, 'the mask policy says something odd'],
    ['holds a bad escape', { mask: ['/input/a~2'] }, 'the mask policy says something odd'],
    ['changes something else', { mask: ['/labels/id'] }, 'the mask policy says something odd'],
    [
      'has another operation',
      { mask: [{ op: 'copy', path: '/input/a' }] },
      'the mask policy says something odd',
    ],
    ['has one bad rule among good ones', { mask: ['/input/a', 7] }, 'the mask policy says something odd'],
  ])('that %s loses no event and lets nothing out', (_title, options, why) => {
    const event = eventOf(aRecord({ resultText: '{"allowed":true}' }), {
      ...options,
      input: { a: 'content' },
    });
    expect(event).toMatchObject({
      decision_id: 'decision-1',
      erased: ['/input', '/result', '/chancery/principal'],
      chancery: { effect: 'allow', redaction: { failed: why } },
    });
    expect(Object.keys(event)).not.toContain('input');
    expect(JSON.stringify(event)).not.toContain('content');
  });
});

describe('a drop policy', () => {
  it('drops by true, and by nothing else', () => {
    expect(lineOf(aRecord(), { drop: () => true })).toBeUndefined();
    expect(lineOf(aRecord(), { drop: () => false })).toContain('decision-1');
    expect(lineOf(aRecord(), { drop: () => undefined })).toContain('decision-1');
  });

  it('that fails, or says something odd, loses no event and lets nothing out', () => {
    const fail = (): Json => {
      throw new Error('any');
    };
    for (const [drop, failed] of [
      [fail, 'the drop policy failed'],
      [() => 'yes', 'the drop policy says neither true nor false'],
    ] as const) {
      const event = eventOf(aRecord(), { drop });
      expect(event).toMatchObject({
        erased: ['/input', '/result', '/chancery/principal'],
        chancery: { redaction: { failed } },
      });
    }
  });
});
