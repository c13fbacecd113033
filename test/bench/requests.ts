/**
 * The load: 1,000 different requests such as Envoy sends them (about 1.3 KB), each with the input that a policy should
 * see, made from the same parts and by none of our own code.
 */
import { encodeCheckRequest } from '../support/check-client.ts';

export interface BenchRequest {
  /** encoded CheckRequest */
  readonly bytes: Buffer;
  /** JSON; as much of the input as the policies read, and the headers */
  readonly input: string;
}

export const REQUEST_COUNT = 1_000;

const HOST = 'orders.example';
/** As long as an ES256 token with a few claims; under `authenticate: none` nobody verifies it. */
const TOKEN = `${'e'.repeat(76)}.${'c'.repeat(420)}.${'s'.repeat(86)}`;

/** [method, first segment] in the order in which they repeat: six of ten are for everybody. */
const KINDS: readonly (readonly [method: string, segment: string])[] = [
  ['GET', 'public'],
  ['GET', 'hello'],
  ['GET', 'public'],
  ['POST', 'public'],
  ['HEAD', 'public'],
  ['GET', 'public'],
  ['POST', 'articles'],
  ['GET', 'public'],
  ['GET', 'secrets'],
  ['GET', 'public'],
];

export function createRequests(): readonly BenchRequest[] {
  return Array.from({ length: REQUEST_COUNT }, (_, index) => {
    const [method, first] = KINDS[index % KINDS.length] as (typeof KINDS)[number];
    return createRequest(method, [first, 'items', `${index}`, `part-${(index * 7919) % 1_000}`], index);
  });
}

function createRequest(method: string, segments: readonly string[], index: number): BenchRequest {
  const path = `/${segments.join('/')}`;
  const query = `page=${index % 50}&sort=name`;
  const headers = headersOf(index);
  const pseudo = { ':authority': HOST, ':path': `${path}?${query}`, ':method': method, ':scheme': 'http' };
  const http = {
    id: `${1_000_000_007 * (index + 1)}`,
    method,
    path: `${path}?${query}`,
    host: HOST,
    scheme: 'http',
    protocol: 'HTTP/1.1',
    size: '0',
  };
  const raw = Object.entries({ ...pseudo, ...headers }).map(([key, value]) => ({
    key,
    raw_value: Buffer.from(value),
  }));
  const attributes = {
    source: { address: socketAddress('10.1.2.3', 40_000 + index) },
    destination: { address: socketAddress('10.4.5.6', 10_000) },
    request: {
      time: { seconds: `${1_790_000_000 + index}`, nanos: 123_000_000 },
      http: { ...http, header_map: { headers: raw } },
    },
    metadata_context: {},
    route_metadata_context: {},
  };
  const input = {
    attributes: { request: { http: { ...http, headers: { ...pseudo, ...headers } } } },
    parsed_path: segments,
    parsed_query: { page: [`${index % 50}`], sort: ['name'] },
    identity: {},
  };
  return { bytes: encodeCheckRequest({ attributes }), input: JSON.stringify(input) };
}

function headersOf(index: number): Readonly<Record<string, string>> {
  const id = index.toString(16).padStart(12, '0');
  return {
    'user-agent':
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36',
    accept: 'application/json, text/plain, */*',
    'accept-language': 'en-GB,en;q=0.9',
    'accept-encoding': 'gzip, deflate, br',
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/json',
    'cache-control': 'no-cache',
    referer: 'https://orders.example/list',
    'x-forwarded-for': `203.0.113.${index % 250}`,
    'x-forwarded-proto': 'http',
    'x-request-id': `00000000-0000-4000-8000-${id}`,
    traceparent: `00-${id.padStart(32, 'a')}-${id.padStart(16, 'b')}-01`,
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}
