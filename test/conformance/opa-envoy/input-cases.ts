/** How a request becomes the input: attributes, path, query. */
import { collidingNames } from '../../support/check-collisions.ts';
import { cases, ID, PLAIN_ALLOW, PLAIN_DENIAL, refused, see, seen, UNDEFINED } from './case.ts';

const NOT_AN_ESCAPE = refused('invalid URL escape');
const SEMICOLON = refused('invalid semicolon separator in query');
const path = (id: string, target: string, segments: readonly string[]) => ({
  id,
  http: { path: target },
  policy: see('input.parsed_path'),
  expect: seen(segments),
});
const query = (id: string, target: string, members: Record<string, readonly string[]>) => ({
  id,
  http: { path: target },
  policy: see('input.parsed_query'),
  expect: seen(members),
});
const refusal = (id: string, target: string, expect: typeof SEMICOLON) => ({
  id,
  http: { path: target },
  policy: 'true',
  expect,
  differs: ['parse-refusal'] as const,
});
const attribute = (
  id: string,
  expression: string,
  attributes: object,
  value: Parameters<typeof seen>[0],
) => ({
  id,
  attributes,
  policy: see(expression),
  expect: seen(value),
});
const metadata = (fields: object) => ({ metadata_context: { filter_metadata: { m: { fields } } } });
const ME = 'spiffe://example.test/me';

export const INPUT_CASES = cases([
  path('path_empty', '', ['']),
  path('path_root', '/', ['']),
  path('path_two_slashes', '//', ['']),
  path('path_slash_at_the_end', '/a/', ['a', '']),
  path('path_slashes_within', '/a//b', ['a', '', 'b']),
  path('path_slashes_in_front', '//x/people', ['x', 'people']),
  path('path_encoded_slash', '/a%2Fb/c', ['a', 'b', 'c']),
  path('path_encoded_first_slash', '%2Fmy%2Ftest?a=1', ['my', 'test']),
  path('path_encoded_slash_lower_case', '/a%2fb', ['a', 'b']),
  path('path_dots', '/a/../b/./c', ['a', '..', 'b', '.', 'c']),
  path('path_encoded_dots', '/a/%2e%2e/b', ['a', '..', 'b']),
  path('path_fragment', '/a#frag?x=1', ['a#frag']),
  path('path_parameters', '/a;v=1/b', ['a;v=1', 'b']),
  path('path_plus', '/a+b%2Bc', ['a+b+c']),
  path('path_space', '/a%20b', ['a b']),
  path('path_utf8', '/%C3%A4/ä', ['ä', 'ä']),
  path('path_nul', '/a%00b', ['a\0b']),
  path('path_escaped_twice', '/%252e', ['%2e']),
  path('path_question_encoded', '/a%3Fb', ['a?b']),
  path('path_absolute_form', 'http://example.test/a', ['http:', '', 'example.test', 'a']),
  path('path_star', '*', ['*']),
  { ...path('path_not_utf8', '/%ff', ['\uFFFD']), differs: ['utf8'] },
  query('query_none', '/a', {}),
  query('query_empty', '/a?', {}),
  query('query_key_alone', '/a?b', { b: [''] }),
  query('query_value_alone', '/a?=1', { '': ['1'] }),
  query('query_question_marks', '/a?a=1?b=2', { a: ['1?b=2'] }),
  query('query_plus', '/a?q=c+d&e+f=1', { q: ['c d'], 'e f': ['1'] }),
  query('query_encoded_plus', '/a?q=c%2Bd', { q: ['c+d'] }),
  query('query_repeated', '/a?x=1&y=2&x=3', { x: ['1', '3'], y: ['2'] }),
  query('query_two_spellings', '/a?x=1&%78=2', { x: ['1', '2'] }),
  query('query_empty_pairs', '/a?&&x=1&', { x: ['1'] }),
  query('query_equals_in_value', '/a?x=1=2', { x: ['1=2'] }),
  query('query_brackets', '/a?x[]=1&x[]=2', { 'x[]': ['1', '2'] }),
  query('query_encoded_ampersand', '/a?x=1%262', { x: ['1&2'] }),
  query('query_encoded_semicolon', '/a?x=1%3B2', { x: ['1;2'] }),
  query('query_utf8', '/a?x=%E2%82%AC', { x: ['€'] }),
  query('query_proto', '/a?__proto__=1&constructor=2', JSON.parse('{"__proto__":["1"],"constructor":["2"]}')),
  { ...query('query_not_utf8', '/a?x=%ff', { x: ['\uFFFD'] }), differs: ['utf8'] },
  refusal('path_bad_escape', '/%zz', NOT_AN_ESCAPE),
  refusal('path_escape_at_the_end', '/a%', NOT_AN_ESCAPE),
  refusal('path_half_an_escape', '/a%2', NOT_AN_ESCAPE),
  refusal('query_bad_escape', '/a?%zz=1', NOT_AN_ESCAPE),
  refusal('query_percent', '/a?b=100%', NOT_AN_ESCAPE),
  refusal('query_bad_escape_with_plus', '/a?b=%+1', NOT_AN_ESCAPE),
  refusal('query_semicolon', '/a?b=1;c=2', SEMICOLON),
  refusal('query_semicolon_in_key', '/a?b;c', SEMICOLON),
  refusal('query_semicolon_after_a_bad_escape', '/a?x=%zz&b;c', SEMICOLON),
  refusal(
    'query_too_many',
    `/a?${'&'.repeat(10_000)}`,
    refused('number of URL query parameters exceeded limit'),
  ),
  {
    id: 'query_colliding_names',
    http: { path: `/?${collidingNames(100).join('&')}` },
    policy: 'true',
    expect: refused('too many names of one object have the same hash'),
    differs: ['input-limits'],
  },

  {
    id: 'version',
    policy: see('input.version'),
    expect: seen({ ext_authz: 'v3', encoding: 'protojson' }),
  },
  {
    id: 'keys',
    attributes: { source: { principal: ME } },
    policy: see('sort([key | some key, _ in object.remove(input, ["identity"])])'),
    expect: seen([
      'attributes',
      'parsed_body',
      'parsed_path',
      'parsed_query',
      'source_principal',
      'truncated_body',
      'version',
    ]),
  },
  {
    id: 'identity',
    policy: see('object.get(input, "identity", "none")'),
    expect: seen({}),
    differs: ['identity'],
  },
  {
    id: 'no_source_principal',
    policy: see('object.get(input, "source_principal", "none")'),
    expect: seen('none'),
  },
  attribute('source_principal', 'input.source_principal', { source: { principal: ME } }, ME),
  attribute(
    'http_fields',
    'object.filter(input.attributes.request.http, ["id", "method", "path", "host", "scheme", "query", "fragment", "protocol"])',
    {
      request: {
        http: {
          id: '7',
          method: 'POST',
          path: '/p?q=1',
          host: 'h:80',
          scheme: 'https',
          query: 'q',
          fragment: 'f',
          protocol: 'HTTP/2',
        },
      },
    },
    {
      id: '7',
      method: 'POST',
      path: '/p?q=1',
      host: 'h:80',
      scheme: 'https',
      query: 'q',
      fragment: 'f',
      protocol: 'HTTP/2',
    },
  ),
  {
    id: 'http_unset',
    attributes: { request: { http: {} } },
    policy: see('input.attributes.request'),
    expect: seen({ http: {} }),
  },
  {
    id: 'http_headers',
    http: { headers: { ':method': 'GET', 'X-Mixed': 'A', accept: '*/*,a', empty: '' } },
    policy: see('input.attributes.request.http.headers'),
    expect: seen({ ':method': 'GET', 'X-Mixed': 'A', accept: '*/*,a', empty: '' }),
  },
  {
    id: 'http_no_headers',
    policy: see('object.get(input.attributes.request.http, "headers", "none")'),
    expect: seen('none'),
  },
  {
    id: 'http_size',
    http: { size: '9007199254740993' },
    policy: see(
      '[input.attributes.request.http.size == 9007199254740993, is_number(input.attributes.request.http.size)]',
    ),
    expect: seen([true, true]),
  },
  {
    id: 'http_size_unknown',
    http: { size: '-1' },
    policy: see('input.attributes.request.http.size'),
    expect: seen(-1),
  },
  {
    id: 'http_size_zero',
    http: { size: '0' },
    policy: see('object.get(input.attributes.request.http, "size", "none")'),
    expect: seen('none'),
  },
  {
    id: 'raw_body_base64',
    http: { raw_body: Buffer.from([0, 255, 254, 62, 63]) },
    policy: see('input.attributes.request.http.rawBody'),
    expect: seen('AP/+Pj8='),
  },
  attribute(
    'time',
    'input.attributes.request.time',
    { request: { time: { seconds: '1569026124', nanos: 11516000 } } },
    { seconds: 1569026124, nanos: 11516000 },
  ),
  attribute(
    'time_without_nanos',
    'input.attributes.request.time',
    { request: { time: { seconds: '1569026124' } } },
    { seconds: 1569026124 },
  ),
  attribute('time_zero', 'input.attributes.request.time', { request: { time: {} } }, {}),
  attribute(
    'address_udp',
    'input.attributes.source.address',
    { source: { address: { socket_address: { protocol: 'UDP', address: '10.1.2.3', port_value: 0 } } } },
    { socketAddress: { protocol: 1, address: '10.1.2.3', portValue: 0 } },
  ),
  attribute(
    'address_tcp',
    'input.attributes.source.address',
    {
      source: {
        address: {
          socket_address: { protocol: 'TCP', address: '::1', named_port: 'http', ipv4_compat: true },
        },
      },
    },
    { socketAddress: { address: '::1', namedPort: 'http', ipv4Compat: true } },
  ),
  attribute(
    'address_pipe',
    'input.attributes.destination.address',
    { destination: { address: { pipe: { path: '/run/s', mode: 384 } } } },
    { pipe: { path: '/run/s', mode: 384 } },
  ),
  attribute(
    'address_internal',
    'input.attributes.destination.address',
    { destination: { address: { envoy_internal_address: { server_listener_name: 'l', endpoint_id: 'e' } } } },
    { envoyInternalAddress: { serverListenerName: 'l', endpointId: 'e' } },
  ),
  attribute(
    'peers',
    '[input.attributes.source, input.attributes.destination]',
    {
      source: { service: 's', labels: { a: 'b', '': '' }, principal: ME, certificate: 'PEM' },
      destination: { service: 'd', principal: ME },
    },
    [
      { service: 's', labels: { a: 'b', '': '' }, principal: ME, certificate: 'PEM' },
      { service: 'd', principal: ME },
    ],
  ),
  attribute('context_extensions', 'input.attributes.contextExtensions', {}, { case: 'context_extensions' }),
  attribute(
    'metadata_struct',
    'input.attributes.metadataContext',
    metadata({
      s: { stringValue: 'x' },
      n: { numberValue: 1569026124 },
      half: { numberValue: -0.5 },
      big: { numberValue: 1e21 },
      small: { numberValue: 1e-7 },
      t: { boolValue: true },
      f: { boolValue: false },
      z: { nullValue: 'NULL_VALUE' },
      unset: {},
      o: { structValue: { fields: { a: { listValue: { values: [{ numberValue: 1 }, {}] } } } } },
      e: { structValue: {} },
      l: { listValue: {} },
    }),
    {
      filterMetadata: {
        m: {
          s: 'x',
          n: 1569026124,
          half: -0.5,
          big: 1e21,
          small: 1e-7,
          t: true,
          f: false,
          z: null,
          unset: null,
          o: { a: [1, null] },
          e: {},
          l: [],
        },
      },
    },
  ),
  attribute(
    'metadata_number_equals_its_integer',
    'input.attributes.metadataContext.filterMetadata.m.n == 1569026124',
    metadata({ n: { numberValue: 1569026124 } }),
    true,
  ),
  attribute('metadata_empty', 'input.attributes.metadataContext', { metadata_context: {} }, {}),
  attribute(
    'metadata_empty_struct',
    'input.attributes.metadataContext',
    { metadata_context: { filter_metadata: { m: {} } } },
    { filterMetadata: { m: {} } },
  ),
  attribute(
    'metadata_any',
    'input.attributes.metadataContext',
    {
      metadata_context: {
        typed_filter_metadata: {
          a: { type_url: 'type.googleapis.com/google.protobuf.Duration', value: Buffer.from([8, 3]) },
          none: {},
        },
      },
    },
    {
      typedFilterMetadata: {
        a: { typeUrl: 'type.googleapis.com/google.protobuf.Duration', value: 'CAM=' },
        none: {},
      },
    },
  ),
  attribute(
    'route_metadata',
    'input.attributes.routeMetadataContext',
    { route_metadata_context: { filter_metadata: { r: { fields: { a: { stringValue: 'b' } } } } } },
    { filterMetadata: { r: { a: 'b' } } },
  ),
  attribute(
    'tls_session',
    'input.attributes.tlsSession',
    { tls_session: { sni: 'a.test' } },
    { sni: 'a.test' },
  ),
  attribute('tls_session_empty', 'input.attributes.tlsSession', { tls_session: {} }, {}),
  attribute('source_empty', 'input.attributes.source', { source: { address: {} } }, { address: {} }),

  {
    id: 'header_map',
    http: {
      header_map: {
        headers: [{ key: 'A', raw_value: Buffer.from('1') }, { key: 'a', value: '2' }, { key: 'empty' }],
      },
    },
    policy: see('input.attributes.request.http.headerMap'),
    expect: seen({ headers: [{ key: 'A', rawValue: 'MQ==' }, { key: 'a', value: '2' }, { key: 'empty' }] }),
  },
  {
    id: 'header_map_in_headers',
    http: {
      header_map: {
        headers: [
          { key: 'A', raw_value: Buffer.from('1') },
          { key: 'a', raw_value: Buffer.from('2') },
        ],
      },
    },
    policy: see('object.get(input.attributes.request.http, "headers", "none")'),
    expect: seen({ a: '1,2' }),
    differs: ['raw-headers'],
  },
  {
    id: 'header_map_body',
    http: {
      header_map: { headers: [{ key: 'content-type', raw_value: Buffer.from('application/json') }] },
      body: '{"a":1}',
    },
    policy: see('input.parsed_body'),
    expect: seen({ a: 1 }),
    differs: ['raw-headers'],
  },
  {
    id: 'no_attributes',
    bytes: Buffer.alloc(0),
    policy: 'true',
    expect: {
      status: 0,
      ok: {},
      metadata: {
        seen: {
          parsed_path: [''],
          parsed_query: {},
          parsed_body: null,
          truncated_body: false,
          version: { ext_authz: 'v3', encoding: 'protojson' },
        },
        decision_id: ID,
      },
    },
  },
  {
    id: 'empty_attributes',
    bytes: Buffer.from([0x0a, 0]),
    policy: 'true',
    expect: {
      status: 0,
      ok: {},
      metadata: {
        seen: {
          attributes: {},
          parsed_path: [''],
          parsed_query: {},
          parsed_body: null,
          truncated_body: false,
          version: { ext_authz: 'v3', encoding: 'protojson' },
        },
        decision_id: ID,
      },
    },
  },
  {
    id: 'not_a_message',
    bytes: Buffer.from([0x0a, 5, 1]),
    policy: 'true',
    expect: refused('the CheckRequest is not valid protobuf: a length beyond the end'),
    differs: ['wire-strictness'],
  },
  {
    id: 'path_decides_allow',
    http: { path: '/public/a', method: 'GET' },
    policy: 'default allow := false\nallow if input.parsed_path[0] == "public"',
    expect: PLAIN_ALLOW,
  },
  {
    id: 'path_decides_deny',
    http: { path: '/private', method: 'GET' },
    policy: 'default allow := false\nallow if input.parsed_path[0] == "public"',
    expect: PLAIN_DENIAL,
  },
  {
    id: 'path_decides_undefined',
    http: { path: '/private', method: 'GET' },
    policy: 'allow if input.parsed_path[0] == "public"',
    expect: UNDEFINED,
    differs: ['undefined'],
  },
  // what the cases with `bytes` are asked with
  {
    id: 'bare',
    bytes: Buffer.from([0x0a, 0]),
    policy: see('object.remove(input, ["identity"])'),
    expect: {
      status: 0,
      ok: {},
      metadata: {
        seen: {
          attributes: {},
          parsed_path: [''],
          parsed_query: {},
          parsed_body: null,
          truncated_body: false,
          version: { ext_authz: 'v3', encoding: 'protojson' },
        },
        decision_id: ID,
      },
    },
  },
]);
