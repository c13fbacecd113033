/**
 * `http.send` and `net.lookup_ip_addr` against OPA's own, built for this machine: both ask the same server, which is to see the
 * same requests, and policies are to see the same answers.
 */
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonText } from '../../src/builtins/json-text.ts';
import { parseText } from '../../src/builtins/parse-text.ts';
import { createOutbound, type Outbound } from '../../src/outbound/outbound.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createBuiltinHost } from '../support/builtin-host.ts';
import { createAuthority } from '../support/certificates.ts';
import { type NativeToolchain, startNativeToolchain } from '../support/native-toolchain.ts';
import { type HostRequest, httpSendTo, type PolicyHost, startPolicyHost } from '../support/policy-host.ts';

const TIMEOUT_MS = 300_000;
const DATE = 'Sun, 29 Nov 2026 08:00:00 GMT';

const answers: Readonly<Record<string, (response: ServerResponse, request: HostRequest) => void>> = {
  '/json': (response) =>
    send(response, { 'content-type': 'application/json' }, '{"b": [1.50, "é<"], "a": {}}'),
  '/problem': (response) =>
    send(response, { 'content-type': 'application/problem+json; charset=utf-8' }, '{}', 418),
  '/odd-type': (response) => send(response, { 'content-type': 'application/json; =' }, '{"a": 1}'),
  '/broken': (response) => send(response, { 'content-type': 'application/json' }, '{"a": 1} x'),
  '/two': (response) => send(response, { 'content-type': 'application/json' }, ' 1 2'),
  '/cut': (response) => send(response, { 'content-type': 'application/json' }, '[1, {"a": ]'),
  '/word': (response) => send(response, { 'content-type': 'application/json' }, 'truest'),
  '/empty': (response) => send(response, { 'content-type': 'application/json' }, ''),
  '/none': (response) => send(response, {}, '', 204),
  '/text': (response) => send(response, { 'content-type': 'text/plain' }, '{"a": "plain"}'),
  '/yaml': (response) =>
    send(response, { 'content-type': 'application/yaml' }, 'a: [1, 2.50, yes, 0o7, ~]\nb: {c: d}'),
  '/headers': (response) =>
    send(response, { 'X-Two': ['a', 'b'], 'Set-Cookie': ['c=1', 'd=2'], etag: '"x"' }, 'x'),
  '/gzip': (response) =>
    send(
      response,
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      gzipSync('{"zipped": true}'),
    ),
  '/moved': (response) => send(response, { location: '/json' }, '', 302),
  '/kept': (response) => send(response, { location: '/echo' }, '', 307),
  '/echo': (response, { method, body }) =>
    send(response, { 'content-type': 'text/plain' }, `${method} ${body}`),
};

function send(response: ServerResponse, headers: object, body: string | Buffer, status = 200): void {
  response.sendDate = false;
  response.writeHead(status, { date: DATE, connection: 'close', ...headers });
  response.end(body);
}

/** Members of the request besides `url`, which is `path` at the server. */
const REQUESTS: readonly (readonly [path: string, request: object])[] = [
  ...Object.keys(answers).map((path) => [path, { method: 'get' }] as const),
  ['/json', { method: 'HEAD' }],
  ['/json', { method: '' }],
  ['/json?a=b%20c&d=', { method: 'GET' }],
  ['/text', { method: 'get', force_json_decode: true }],
  ['/text', { method: 'get', force_yaml_decode: true }],
  ['/text', { method: 'get', force_json_decode: true, force_yaml_decode: true }],
  ['/yaml', { method: 'get', force_json_decode: true }],
  ['/echo', { method: 'post', body: { b: [1, '<é>'], a: null } }],
  ['/echo', { method: 'post', raw_body: '"quoted"' }],
  ['/echo', { method: 'put', raw_body: 'raw', body: { not: 'this' } }],
  ['/echo', { method: 'delete', body: 'text' }],
  ['/echo', { method: 'get', body: {} }],
  ['/echo', { method: 'post' }],
  ['/echo', { method: 'patch', body: 1, headers: { 'X-Own': 'a', 'content-type': 'x/y', Accept: '*/*' } }],
  [
    '/echo',
    { method: 'post', raw_body: 'abc', headers: { 'Content-Length': '1', 'transfer-encoding': 'chunked' } },
  ],
  ['/json', { method: 'get', headers: { Host: 'elsewhere.test', 'user-agent': 'own' } }],
  ['/json', { method: 'get', headers: { 'accept-encoding': 'identity' } }],
  ['/moved', { method: 'get', enable_redirect: true }],
  [
    '/moved',
    { method: 'post', body: 1, enable_redirect: true, headers: { 'content-type': 'a/b', 'x-own': 'a' } },
  ],
  ['/kept', { method: 'post', body: [1], enable_redirect: true }],
  ['/kept', { method: 'post', body: [1], enable_redirect: 1 }],
  ['/json', { method: 'get', cache: true, caching_mode: 'deserialized' }],
  ['/json', { method: 'get', cache: true, caching_mode: 'odd' }],
  ['/json', { method: 'get', force_cache: true, force_cache_duration_seconds: 5 }],
  ['/json', { method: 'get', headers: { a: 'b' }, cache_ignored_headers: ['a'] }],
  ['/json', { method: 'get', timeout: '5s' }],
  ['/json', { method: 'get', timeout: 5_000_000_000 }],
  ['/json', { method: 'get', timeout: 0, max_retry_attempts: 2 }],
  ['/json', { method: 'get', tls_use_system_certs: true, tls_insecure_skip_verify: true }],
];

/** Which are errors of the built-in; each is asked with `raise_error: false`, too. */
const ERRORS: readonly object[] = [
  {},
  { method: 'get' },
  { method: 'get', odd: 1 },
  { method: 1 },
  { method: 'not a token' },
  { method: 'get', url: 'ftp://127.0.0.1/' },
  { method: 'get', url: 'http://127.0.0.1:1/' },
  { method: 'get', url: '::' },
  { method: 'get', url: 1 },
  { method: 'get', headers: 1 },
  { method: 'get', headers: { a: 1 } },
  { method: 'get', headers: { 'a b': 'c' } },
  { method: 'get', headers: { a: 'b\nc' } },
  { method: 'get', timeout: 'soon' },
  { method: 'get', timeout: true },
  { method: 'get', timeout: 1.5 },
  { method: 'get', enable_redirect: 'true' },
  { method: 'get', enable_redirect: 2 },
  { method: 'get', force_json_decode: 1 },
  { method: 'get', max_retry_attempts: -1 },
  { method: 'get', max_retry_attempts: 'x' },
  { method: 'get', cache: 1 },
  { method: 'get', force_cache: true },
  { method: 'get', force_cache: true, force_cache_duration_seconds: 'x' },
  { method: 'get', force_cache: true, force_cache_duration_seconds: 1.5 },
  { method: 'get', cache_ignored_headers: ['a'], headers: { a: 1 } },
  { method: 'get', cache_ignored_headers: 'a', headers: {} },
  { method: 'get', tls_ca_cert: 1 },
  { method: 'get', tls_client_cert: 'no', tls_client_key: 'pem' },
  { method: 'get', raw_body: 1 },
  { method: 'get', raise_error: 1 },
];

let native: NativeToolchain;
let host: PolicyHost;
let outbound: Outbound;

function open(allowedHosts: readonly string[]): Outbound {
  const yaml = createBuiltinHost();
  const decodeYaml = async (text: string) => yaml.answer('yaml.unmarshal', [JSON.stringify(text)]);
  const options = httpSendTo(allowedHosts);
  const opened = createOutbound({ options, metrics: createMetrics(), decodeYaml });
  if (opened === undefined) throw new Error('there is no network');
  return opened;
}

beforeAll(async () => {
  native = startNativeToolchain();
  host = await startPolicyHost((request, response) => {
    const [path = ''] = request.url.split('?');
    answers[path]?.(response, request);
  });
  outbound = open([host.host, '127.0.0.1:1', 'localhost', '127.0.0.1', '[::1]']);
}, TIMEOUT_MS);
afterAll(async () => {
  native?.close();
  outbound?.close();
  await host?.close();
});

/** JSON; undefined: the call is undefined */
async function theirs(name: string, operands: readonly unknown[]): Promise<readonly unknown[]> {
  const { outcomes } = await native.ask<{ outcomes: readonly { text?: string; error?: unknown }[] }>({
    do: 'evaluate',
    modules: { 't.rego': `package t\n\nr := ${name}(input.x)\n` },
    data: {},
    entrypoint: 't/r',
    inputs: operands.map((x) => JSON.stringify({ x })),
  });
  expect(outcomes.map(({ error }) => error)).toEqual(outcomes.map(() => undefined));
  return outcomes.map(({ text }) => text && (JSON.parse(text) as unknown));
}

async function ours(name: string, operand: unknown, asked = outbound): Promise<unknown> {
  const evaluation = { nowNs: BigInt(Date.now()) * 1_000_000n, sent: new Map() };
  const call = { name, args: [JSON.stringify(operand)] };
  const { text } = await asked.ask(call, evaluation, AbortSignal.timeout(60_000));
  return text === undefined ? undefined : (JSON.parse(jsonText(parseText(text))) as unknown);
}

const NOT_COMPARED: ReadonlySet<string> = new Set(['user-agent', 'connection', 'referer']);

/** What a server sees of a request, but for who asks. */
function seen({ method, url, headers, body }: HostRequest): unknown {
  const compared = Object.entries(headers).filter(([name]) => !NOT_COMPARED.has(name));
  return { method, url, body, headers: Object.fromEntries(compared.toSorted()) };
}

describe('http.send', () => {
  it('asks a server what OPA asks, and says what OPA says', { timeout: TIMEOUT_MS }, async () => {
    const operands = REQUESTS.map(([path, request]) => ({ ...request, url: `http://${host.host}${path}` }));
    const expected = await theirs('http.send', operands);
    const askedByOpa = host.requests.map(seen);
    const actual: unknown[] = [];
    for (const operand of operands) actual.push(await ours('http.send', operand));
    expect(actual).toEqual(expected);
    expect(host.requests.slice(askedByOpa.length).map(seen)).toEqual(askedByOpa);
    expect(expected.filter((each) => each === undefined)).toEqual([]);
  });

  it('is undefined where OPA meets an error, or says which kind it is', { timeout: TIMEOUT_MS }, async () => {
    const reached = host.requests.length;
    const url = `http://${host.host}/json`;
    const complete = ERRORS.map((each) => (Object.keys(each).length === 0 ? each : { url, ...each }));
    const operands = [...complete, ...complete.map((each) => ({ raise_error: false, ...each }))];
    const kind = (answer: unknown): unknown => {
      const { status_code: status, error } = (answer ?? {}) as {
        status_code?: number;
        error?: { code: string };
      };
      return answer === undefined ? undefined : { status, code: error?.code };
    };
    const expected = (await theirs('http.send', operands)).map(kind);
    const askedByOpa = host.requests.length - reached;
    const actual: unknown[] = [];
    for (const operand of operands) actual.push(kind(await ours('http.send', operand)));
    const differing = operands.flatMap((operand, index) =>
      JSON.stringify(actual[index]) === JSON.stringify(expected[index])
        ? []
        : [{ operand, actual: actual[index], expected: expected[index] }],
    );
    expect(differing).toEqual([]);
    console.log(`${operands.length} errors, ${askedByOpa} of them after OPA had sent a request`);
  });
});

describe('http.send over TLS', () => {
  it('trusts and shows what OPA does', { timeout: TIMEOUT_MS }, async () => {
    const [authority, other] = await Promise.all([createAuthority(), createAuthority()]);
    const [leaf, client] = await Promise.all([
      authority.issue({ dnsNames: ['host.test'] }),
      authority.issue({ subject: 'client' }),
    ]);
    const names: (string | undefined)[] = [];
    const server = createServer(
      {
        cert: leaf.certificate,
        key: leaf.privateKey,
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => {
        const { authorized, servername } = request.socket as TLSSocket & { servername?: string };
        names.push(servername || undefined);
        send(response, { 'content-type': 'application/json' }, JSON.stringify({ authorized }));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `https://${host.host.replace(/:.*/, '')}:${(server.address() as AddressInfo).port}/`;
    const ca = { tls_ca_cert: authority.certificate };
    const own = { tls_client_cert: client.certificate, tls_client_key: client.privateKey };
    const name = { tls_server_name: 'host.test' };
    const operands = [
      {},
      ca,
      { ...ca, ...name },
      { ...ca, tls_server_name: 'elsewhere.test' },
      { ...ca, headers: { Host: 'host.test' } },
      { tls_ca_cert: authority.certificate.replaceAll('\n', '\\n'), ...name },
      { ...ca, ...name, tls_use_system_certs: true },
      { tls_ca_cert: other.certificate, ...name },
      { tls_ca_cert: 'no certificate', ...name },
      { tls_use_system_certs: true, ...name },
      { tls_insecure_skip_verify: true },
      { ...ca, ...name, ...own },
      { ...ca, ...name, tls_client_cert: client.certificate },
    ].map((each) => ({ method: 'get', url, raise_error: false, ...each }));
    const allowed = open([new URL(url).host]);
    try {
      // what each has shown the server, or why there is no answer
      const shown = (answer: unknown): unknown => {
        const { body, error } = answer as { body?: unknown; error?: { code: string } };
        return body ?? error?.code;
      };
      const expected = (await theirs('http.send', operands)).map(shown);
      const namesOfOpa = names.splice(0);
      const actual: unknown[] = [];
      for (const operand of operands) actual.push(shown(await ours('http.send', operand, allowed)));
      expect(actual).toEqual(expected);
      expect(names).toEqual(namesOfOpa);
      expect(expected.filter((each) => typeof each === 'object')).toHaveLength(7);
    } finally {
      allowed.close();
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('net.lookup_ip_addr', () => {
  it('says what OPA says', async () => {
    const names = ['127.0.0.1', '::1', 'localhost', 1, ''];
    const expected = await theirs('net.lookup_ip_addr', names);
    const sorted = (value: unknown): unknown => (Array.isArray(value) ? value.toSorted() : value);
    const actual: unknown[] = [];
    for (const name of names) actual.push(await ours('net.lookup_ip_addr', name));
    expect(actual.map(sorted)).toEqual(expected.map(sorted));
    expect(expected.slice(0, 3).every((each) => Array.isArray(each))).toBe(true);
  });
});
