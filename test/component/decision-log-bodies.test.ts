import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { writeDescriptorSet } from '../conformance/opa-envoy/groups.ts';
import { frame, order } from '../conformance/opa-envoy/orders.ts';
import { aCheckRequest } from '../support/check-client.ts';
import { startLoggedApp } from '../support/logged-app.ts';
import { spellingsOf } from '../support/spellings.ts';

const folder = mkdtempSync(join(tmpdir(), 'chancery-bodies-'));
afterAll(() => rmSync(folder, { recursive: true }));
const descriptorSet = writeDescriptorSet(folder);

/** in each body, where the masks below look for it */
const PIN = 'pin-4711-of-alice';
const ORDER = order({ id: PIN, count: 2, lines: [{ sku: 'a' }] });
const GRPC = { method: 'POST', path: '/shop.v1.Orders/Create' };
const MULTIPART = [
  '--b\r\nContent-Disposition: form-data; name="id"\r\n\r\n',
  PIN,
  '\r\n--b\r\nContent-Disposition: form-data; name="more"\r\nContent-Type: application/json\r\n\r\n',
  '{"n": 1.50}\r\n--b--\r\n',
].join('');
const JSON_TEXT = `{"id": "${PIN}", "n": 12345678901234567890, "list": [1.0, null]}`;
const FORM = `id=${PIN}&id=other&n=%C3%A9`;

interface Body {
  readonly http: { readonly headers: Readonly<Record<string, string>> } & Readonly<Record<string, unknown>>;
  readonly parsed: Json;
  /** in `parsed`, as they are written */
  readonly numbers: readonly string[];
}

const bodyOf = (contentType: string, parsed: Json, http: object, more: Partial<Body> = {}): Body => ({
  http: { method: 'POST', ...http, headers: { 'content-type': contentType } },
  parsed,
  numbers: [],
  ...more,
});
const asBytes = (text: string) => ({ raw_body: Buffer.from(text) });
const JSON_NUMBERS = ['12345678901234567890'];
const parsedForm = { id: [PIN, 'other'], n: ['é'] };
const parsedParts = { id: [PIN], more: [{ n: 1.5 }] };
const parsedJson = { id: PIN, n: Number('12345678901234567890'), list: [1, null] };
const parsedOrder = { id: PIN, count: 2, lines: [{ sku: 'a' }] };

const BODIES: Readonly<Record<string, Body>> = {
  'JSON as text': bodyOf('application/json', parsedJson, { body: JSON_TEXT }, { numbers: JSON_NUMBERS }),
  'JSON as bytes': bodyOf('application/json', parsedJson, asBytes(JSON_TEXT), { numbers: JSON_NUMBERS }),
  'a form as text': bodyOf('application/x-www-form-urlencoded', parsedForm, { body: FORM }),
  'a form as bytes': bodyOf('application/x-www-form-urlencoded', parsedForm, asBytes(FORM)),
  'multipart as text': bodyOf(
    'multipart/form-data; boundary=b',
    parsedParts,
    { body: MULTIPART },
    { numbers: ['1.50'] },
  ),
  'multipart as bytes': bodyOf('multipart/form-data; boundary=b', parsedParts, asBytes(MULTIPART), {
    numbers: ['1.50'],
  }),
  gRPC: bodyOf('application/grpc', parsedOrder, { ...GRPC, raw_body: frame(ORDER) }),
  'compressed gRPC': {
    ...bodyOf('application/grpc', parsedOrder, {}),
    http: {
      ...GRPC,
      headers: { 'content-type': 'application/grpc', 'grpc-encoding': 'gzip' },
      raw_body: frame(gzipSync(ORDER), { flag: 1 }),
    },
  },
};

/** Of a policy that reads all of its input and says what it saw. */
const ECHO = 'package envoy.authz\n\nallow := {"allowed": true, "seen": input}\n';
const MASKS: Readonly<Record<string, string>> = {
  member: '/input/parsed_body/id',
  all: '/input/parsed_body',
  body: '/input/attributes/request/http/body',
  rawBody: '/input/attributes/request/http/rawBody',
};
const SET = [
  `authz.protoDescriptorFile=${descriptorSet}`,
  'authz.maxInflatedBytes=65536',
  'audit.redact.bodies=true',
];

/** The lines of Checks with these requests, one for each. */
async function logged(set: readonly string[], asked: readonly object[], rego = ECHO): Promise<string[]> {
  await using closing = new AsyncDisposableStack();
  const masks = Object.entries(MASKS).map(
    ([name, pointer]) =>
      `mask contains ${JSON.stringify(pointer)} if input.input.attributes.request.http.headers["x-mask"] == "${name}"`,
  );
  const modules = { 'mask.rego': `package system.log\n\n${masks.join('\n\n')}\n` };
  const { client, lines } = await startLoggedApp(
    [...SET, 'audit.maskPolicy=logging', 'state.settings.defaultPolicy=only', ...set],
    {
      rego,
      more: [{ name: 'logging', source: { modules, entrypoints: ['system/log/mask'] } }],
      defer: (close) => closing.defer(async () => void (await close())),
    },
  );
  for (const http of asked) await client.check(aCheckRequest(http));
  const written = await lines();
  expect(written).toHaveLength(asked.length);
  return written;
}

describe('the input of an event', () => {
  const lines = new Map<string, string>();
  beforeAll(async () => {
    const written = await logged(
      [],
      Object.values(BODIES).map(({ http }) => http),
    );
    Object.keys(BODIES).forEach((title, index) => lines.set(title, written[index] ?? ''));
  });

  it.each(Object.entries(BODIES))('is what the policy saw of %s', (title, { parsed, numbers }) => {
    const line = lines.get(title) ?? '';
    const { input, result } = JSON.parse(line) as { input: JsonObject; result: JsonObject };
    expect(input['parsed_body']).toEqual(parsed);
    expect(input).toEqual(result['seen']);
    for (const number of numbers) expect(line.split(`"n":${number}`)).toHaveLength(3);
  });

  it.each<[string, string, object]>([
    ['the body', 'body', { ...BODIES['JSON as text']?.http, body: '{' }],
    ['the query', 'query', { path: '/a?x=%zz' }],
    ['the path', 'path', { path: '/%zz?x=1' }],
  ])('is what the policy saw where %s cannot be parsed', async (_title, part, http) => {
    const [line = ''] = await logged(['authz.parseErrors=input'], [http]);
    const { input, result } = JSON.parse(line) as { input: JsonObject; result: JsonObject };
    expect(input['parse_error']).toMatchObject({ part });
    expect(input).toEqual(result['seen']);
  });

  it('is what the policy saw where bodies are not parsed', async () => {
    const [line = ''] = await logged(['authz.parseBodies=false'], [BODIES['JSON as text']?.http ?? {}]);
    const { input, result } = JSON.parse(line) as { input: JsonObject; result: JsonObject };
    expect(Object.keys(input)).not.toContain('parsed_body');
    expect(input).toEqual(result['seen']);
  });
});

describe('a mask policy', () => {
  const SILENT = 'package envoy.authz\n\nallow := true\n';
  const table = Object.entries(BODIES).flatMap(([title, { http }]) =>
    Object.keys(MASKS).map((mask) => {
      const masked = { ...http, headers: { ...http.headers, 'x-mask': mask } };
      return { title, mask, http: masked };
    }),
  );
  const lines = new Map<string, string>();
  beforeAll(async () => {
    const written = await logged(
      [],
      table.map(({ http }) => http),
      SILENT,
    );
    table.forEach(({ title, mask }, index) => lines.set(`${title} ${mask}`, written[index] ?? ''));
  });

  it.each(table)('that takes out $mask of $title leaves it in no spelling', ({ title, mask }) => {
    const line = lines.get(`${title} ${mask}`) ?? '';
    for (const spelling of spellingsOf(PIN)) expect(line).not.toContain(spelling);
    const { erased, input } = JSON.parse(line) as { erased: string[]; input: JsonObject };
    expect(erased.some((pointer) => pointer.startsWith('/input/parsed_body'))).toBe(true);
    expect(line).not.toMatch(/"(body|rawBody)":/);
    // what was not masked is there still
    if (mask === 'member') expect(input['parsed_body']).toEqual(withoutId(BODIES[title]?.parsed));
  });

  it.each<[string, readonly string[], object]>([
    ['a body that was cut off', [], { ...BODIES['JSON as text']?.http, body: `{"id": "${PIN}` }],
    ['a body that is larger than what was sent', [], cutOff()],
    [
      'a compressed gRPC message that is too large',
      ['authz.maxInflatedBytes=1'],
      BODIES['compressed gRPC']?.http ?? {},
    ],
  ])('that names a member of %s leaves it in no spelling', async (_title, set, http) => {
    const masked = { ...http, headers: { ...(http as Body['http']).headers, 'x-mask': 'member' } };
    const [line = ''] = await logged(['authz.parseErrors=input', ...set], [masked], SILENT);
    expect(JSON.parse(line)).toMatchObject({ input: {}, chancery: { effect: 'allow' } });
    for (const spelling of spellingsOf(PIN)) expect(line).not.toContain(spelling);
    expect(line).not.toMatch(/"(body|rawBody)":/);
  });
});

function withoutId(parsed: Json | undefined): Json {
  const { id: _id, ...rest } = parsed as JsonObject;
  return rest;
}

function cutOff(): object {
  const { http = { headers: {} } } = BODIES['JSON as text'] ?? {};
  return { ...http, headers: { ...http.headers, 'content-length': '10000' } };
}
