/** Arguments with which built-ins have something to say: texts of their own forms, and values of their declared types. */
import {
  ANY,
  arrayOf,
  BOOLEAN,
  type Generator,
  INTEGER,
  JSON_VALUE,
  joined,
  listOf,
  membersOf,
  mostly,
  NULL,
  NUMBER,
  objectOf,
  ofType,
  oneOf,
  quoted,
  type RegoType,
  STRING,
  setOf,
  strings,
  terms,
} from './rego-values.ts';

const SMALL = terms('0', '1', '2', '3', '5', '-1', '7', '10');
const COUNT = terms('1', '2', '3', '10', '64', '1.0');
const WHOLE = oneOf(
  INTEGER,
  INTEGER,
  terms('1.0', '255', '18446744073709551616', '-123456789012345678901234567890'),
);
const KEY = strings('a', 'b', 'c', 'x', 'y');
const DOCUMENT: Generator = objectOf(KEY, oneOf(objectOf(KEY, ANY), arrayOf(objectOf(KEY, ANY)), ANY));
const PATH = oneOf(
  strings('a', 'b', 'a/b', '/a', 'b/0', 'a/0/x', 'x~1y', '', '-'),
  arrayOf(oneOf(KEY, SMALL), 3),
);
const PATHS = oneOf(arrayOf(PATH, 3), setOf(PATH, 3));
const REGEX = strings(
  'a',
  '^a',
  'b$',
  '[a-z]+',
  '(a)(b)?',
  'a|b',
  '.',
  '.*',
  '(?i)ABC',
  String.raw`\d+`,
  String.raw`\w\s?`,
  String.raw`\p{L}`,
  'a{1,2}',
  '(?P<n>a+)',
  '',
  '^$',
  '(?s).',
  '[^a]',
  '(',
  'a**',
  String.raw`\bab\b`,
  'é',
  '😀',
);
const GLOB = strings(
  '*',
  '**',
  'a*',
  '*.b',
  'a.*.c',
  'a?c',
  '[a-c]x',
  '[!a]',
  '{a,b}*',
  'a/**/c',
  String.raw`\*`,
  '',
  '*.github.com',
  '{a',
  '日*',
);
const GLOB_SUBJECT = strings(
  'a',
  'ab',
  'a.b',
  'a.b.c',
  'abc',
  'ax',
  'a/b/c',
  'api.github.com',
  '',
  '*',
  'a\nb',
  '日本',
  'x.y.b',
);
const BYTE = strings('0', '1', '10', '127', '192', '255');
const IPV4 = joined(BYTE, strings('.'), BYTE, strings('.'), BYTE, strings('.'), BYTE);
const IPV6 = strings('::', '::1', 'fe80::1', '2001:db8::', '2001:db8:0:1::5', '::ffff:10.0.0.1');
const ADDRESS = oneOf(IPV4, IPV4, IPV6);
const CIDR = mostly(
  oneOf(
    joined(IPV4, strings('/8', '/16', '/24', '/28', '/31', '/32', '/0')),
    joined(IPV6, strings('/64', '/120', '/128', '/32')),
    strings('10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.128/25', '192.168.0.0/23'),
  ),
  strings('10.0.0.0/33', '10.0.0', 'x', '', '010.0.0.0/8', '::/129'),
);
const NARROW = mostly(
  strings('10.0.0.0/30', '10.1.2.128/29', '192.168.1.1/32', '2001:db8::/126', '::1/128'),
  strings('10.0.0.0/33', '10.0.0', 'x', '', '::/129'),
);
const MATCHED = oneOf(CIDR, arrayOf(CIDR), setOf(CIDR), arrayOf(listOf(CIDR, ANY)), objectOf(KEY, CIDR));
const SEMVER = mostly(
  strings(
    '1.2.3',
    '0.0.1',
    '1.10.0',
    '1.2.3-alpha',
    '1.2.3-alpha.1',
    '1.2.3-1',
    '1.2.3+build.5',
    '2.0.0-rc.1+x',
    '99.99.99',
  ),
  strings('1', '1.2', 'v1.2.3', '01.2.3', '1.2.3-01', '', '1.2.3-', 'a.b.c'),
  8,
);
const UNIT = strings('', 'm', 'k', 'K', 'M', 'G', 'T', 'P', 'E', 'Ki', 'mi', 'Gi', 'Ti', 'Pi', 'Ei');
const BYTES = strings('', 'b', 'B', 'k', 'KB', 'kib', 'Mi', 'MB', 'gb', 'GiB', 'TB', 'pib', 'EiB');
const AMOUNT = strings('0', '1', '10', '1.5', '0.25', '100', '-3', '1e3', '1234567890', '.5');
const TIME_TEXT = mostly(
  strings(
    '2024-02-29T12:00:00Z',
    '1970-01-01T00:00:00Z',
    '2023-11-14T22:13:20.123456789+01:00',
    '1999-12-31T23:59:59-08:00',
    '2262-04-11T23:47:16Z',
    '1677-09-21T00:12:44Z',
    '2023-11-14t22:13:20z',
  ),
  strings('2023-02-29T12:00:00Z', '2023-11-14', 'x', '', '9999-12-31T23:59:59Z', '0000-01-01T00:00:00Z'),
  6,
);
const NANOSECONDS = terms(
  '0',
  '1700000000123456789',
  '-1',
  '951782400000000000',
  '1709164800000000000',
  '-2208988800000000000',
  '4102444800000000000',
);
const ZONE = strings('UTC', '', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Nowhere/None');
const MOMENT = mostly(oneOf(NANOSECONDS, NANOSECONDS, listOf(NANOSECONDS, ZONE)), oneOf(INTEGER, ANY), 8);
const LAYOUT = strings(
  'RFC1123',
  'RFC3339',
  'ANSIC',
  'RFC3339Nano',
  '2006-01-02',
  '15:04:05.000',
  'Mon Jan _2',
  'Kitchen',
  'x',
);
const DURATION = strings(
  '1h',
  '3m',
  '1.5s',
  '-2h45m',
  '10ms',
  '1us',
  '100ns',
  '1d',
  '2w',
  '1y',
  '0',
  '',
  'x',
  '1h30',
  '9999999h',
);
const JSON_TEXT = mostly(
  quoted(JSON_VALUE),
  strings(
    '[1,]',
    '01',
    '1 2',
    '{"a":1,"a":2}',
    '{',
    '"\\ud800"',
    '1e400',
    '1E5',
    '-0',
    ' [1] ',
    'nul',
    '',
    '{"b":1,"a":[true,null]}',
    '\ufeff1',
  ),
  3,
);
const YAML_TEXT = mostly(
  strings(
    'a: 1',
    '- 1\n- x',
    'yes',
    '012',
    'a: {b: [1, 2]}',
    '"x"',
    'a:\n  b: true\n',
    '1.50',
    '~',
    'a: &x 1\nb: *x',
    '2024-01-01',
    '|\n  text\n',
  ),
  oneOf(strings('a: b: c', '[', 'a: 1\na: 2', '\t- x'), JSON_TEXT),
  4,
);
const BASE64 = strings(
  '',
  'YQ==',
  'YWI=',
  'YWJj',
  '8J-YgA==',
  '8J+YgA==',
  'YQ',
  'Y Q==',
  'YQ==\n',
  '!',
  'YR==',
  'w6k=',
  'Pz8_',
  'Pz8/',
);
const HEX = strings('', '61', '6162', 'C3A9', 'f09f9880', '6', 'zz', '6a 6b', '00');
const URL_TEXT = strings(
  'a=1&b=2',
  'a=1&a=2',
  'x',
  '',
  'a%20b',
  'a+b',
  '%zz',
  '%',
  'a=%C3%A9',
  '=',
  '&&',
  'a;b',
  '%F0%9F%98%80=1',
  'ü=ö',
);
const URI = strings(
  'http://example.com/a?b=c#d',
  'https://u:p@[::1]:8443/',
  'mailto:a@b',
  '/a/b',
  '',
  'http://%zz',
  '//h:80x',
  'a b',
  'urn:x:y',
  'http://a/%2f?%',
);
const UUID = strings(
  '00000000-0000-1000-8000-00805f9b34fb',
  'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  '{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}',
  'urn:uuid:9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d',
  '9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d',
  '01890a5d-ac96-774b-bcce-b302099a8057',
  'x',
  '',
);
const FORMAT = strings(
  '%s',
  '%v',
  '%d',
  '%s-%v',
  '%5d|%-5s|',
  '%q',
  '%x',
  '%t',
  '%.2f',
  '%e',
  '%%',
  '%[2]v %[1]v',
  '%!',
  'plain',
  '%c',
  '%T',
  '%08b',
  '%+v',
  '%U',
  '%',
);
const SCHEMA = oneOf(
  membersOf({ type: strings('object', 'array', 'string', 'integer', 'number', 'null', 'boolean') }),
  membersOf({ type: strings('object'), required: arrayOf(KEY, 2) }),
  membersOf({ properties: membersOf({ a: membersOf({ type: strings('integer', 'string') }) }) }),
  membersOf({ type: terms('"unknown"', '7') }),
  strings('{"type": "object"}', '{"minimum": 3}', '{', '{"enum": [1, "a"]}', '{"pattern": "^a"}'),
);
const GRAPHQL_SCHEMA = strings(
  'type Query { a: Int b(x: Int): String }',
  'type Query { a: [T!]! } type T { n: ID }',
  'type Query',
  'type Query { a: Nope }',
  '}',
  '',
);
const GRAPHQL_QUERY = strings(
  '{ a }',
  'query Q { a b(x: 1) }',
  '{ a { n } }',
  '{ nope }',
  '{',
  '',
  'query ($x: Int) { b(x: $x) }',
  'fragment F on Query { a } { ...F }',
);
const PATCH = membersOf({
  op: strings('add', 'replace', 'remove', 'test'),
  path: oneOf(strings('/a', '/b/0', '/a/b', '', '/-', '/c'), arrayOf(KEY, 2)),
  value: ANY,
});
const GRAPH_NODE = strings('a', 'b', 'c', 'd');
const GRAPH = objectOf(GRAPH_NODE, oneOf(arrayOf(GRAPH_NODE, 3), setOf(GRAPH_NODE, 3)), 5);
const NODES = oneOf(arrayOf(GRAPH_NODE, 2), setOf(GRAPH_NODE, 2));
const STRING_LIST = oneOf(arrayOf(STRING), setOf(STRING));
const NUMBER_LIST = oneOf(arrayOf(NUMBER), setOf(NUMBER), arrayOf(INTEGER));
const MODULE = strings(
  'package a\n\np := 1',
  'package a.b\n\nimport data.x\n\nq contains x if { some x in input.y }',
  'package',
  'package a\np {',
  '',
);
const TEMPLATE = strings(
  '{{.a}}',
  'x {{.b}} y',
  '{{range .c}}{{.}},{{end}}',
  '{{',
  'plain',
  '{{if .a}}1{{end}}',
  '{{.nope}}',
);

/** By name; what is not here takes values of the declared types. */
export const ARGUMENTS: Readonly<Record<string, readonly Generator[]>> = {
  'base64.decode': [BASE64],
  'base64.is_valid': [oneOf(BASE64, STRING)],
  'base64url.decode': [BASE64],
  'bits.and': [WHOLE, WHOLE],
  'bits.or': [WHOLE, WHOLE],
  'bits.xor': [WHOLE, WHOLE],
  'bits.negate': [WHOLE],
  'bits.lsh': [WHOLE, COUNT],
  'bits.rsh': [WHOLE, COUNT],
  rem: [WHOLE, WHOLE],
  format_int: [NUMBER, terms('2', '8', '10', '16', '3')],
  concat: [STRING, STRING_LIST],
  'glob.match': [
    GLOB,
    oneOf(terms('[]', 'null', '["."]', '["/"]', '[".", "/"]'), arrayOf(STRING, 1)),
    GLOB_SUBJECT,
  ],
  'glob.quote_meta': [GLOB],
  'graph.reachable': [GRAPH, NODES],
  'graph.reachable_paths': [GRAPH, NODES],
  'graphql.is_valid': [GRAPHQL_QUERY, GRAPHQL_SCHEMA],
  'graphql.parse': [GRAPHQL_QUERY, GRAPHQL_SCHEMA],
  'graphql.parse_and_verify': [GRAPHQL_QUERY, GRAPHQL_SCHEMA],
  'graphql.parse_query': [GRAPHQL_QUERY],
  'graphql.parse_schema': [GRAPHQL_SCHEMA],
  'graphql.schema_is_valid': [GRAPHQL_SCHEMA],
  'hex.decode': [HEX],
  'internal.template_string': [arrayOf(setOf(ANY, 1))],
  'json.filter': [DOCUMENT, PATHS],
  'json.remove': [DOCUMENT, PATHS],
  'json.patch': [DOCUMENT, arrayOf(PATCH, 2)],
  'json.unmarshal': [JSON_TEXT],
  'json.is_valid': [JSON_TEXT],
  'json.marshal_with_options': [
    ANY,
    oneOf(
      membersOf({ pretty: BOOLEAN }),
      membersOf({ pretty: BOOLEAN, indent: strings('', ' ', '\t'), prefix: strings('', '> ') }),
    ),
  ],
  'json.match_schema': [oneOf(DOCUMENT, JSON_TEXT), SCHEMA],
  'json.verify_schema': [SCHEMA],
  'net.cidr_contains': [CIDR, oneOf(CIDR, ADDRESS)],
  'net.cidr_intersects': [CIDR, CIDR],
  'net.cidr_is_valid': [CIDR],
  'net.cidr_contains_matches': [MATCHED, MATCHED],
  'net.cidr_expand': [NARROW],
  'net.cidr_merge': [oneOf(arrayOf(CIDR), setOf(CIDR))],
  'numbers.range': [SMALL, SMALL],
  'numbers.range_step': [SMALL, SMALL, COUNT],
  'object.get': [DOCUMENT, oneOf(KEY, PATH, ANY), ANY],
  'object.subset': [
    oneOf(DOCUMENT, arrayOf(SMALL, 6), setOf(SMALL, 6)),
    oneOf(objectOf(KEY, ANY, 1), arrayOf(SMALL, 2), setOf(SMALL, 2)),
  ],
  minus: [oneOf(NUMBER, NUMBER, setOf(SMALL)), oneOf(NUMBER, NUMBER, setOf(SMALL))],
  sum: [NUMBER_LIST],
  product: [NUMBER_LIST],
  max: [oneOf(NUMBER_LIST, arrayOf(ANY), setOf(ANY))],
  min: [oneOf(NUMBER_LIST, arrayOf(ANY), setOf(ANY))],
  'regex.find_all_string_submatch_n': [REGEX, STRING, SMALL],
  'regex.find_n': [REGEX, STRING, SMALL],
  'regex.globs_match': [
    strings('a.*', '[a-c]+', 'ab', 'x*', '.b', '('),
    strings('a.*', '[b-d]+', 'abc', 'y*', 'ab'),
  ],
  'regex.is_valid': [REGEX],
  'regex.match': [REGEX, STRING],
  'regex.replace': [STRING, REGEX, strings('x', '$1', '${n}', '$$', '')],
  'regex.split': [REGEX, STRING],
  'regex.template_match': [
    strings('a{.*}', 'urn:{[a-z]+}:x', '{', 'plain', '{a}{b}'),
    strings('abc', 'urn:foo:x', 'plain', 'ab'),
    strings('{'),
    strings('}'),
  ],
  'rego.parse_module': [strings('a.rego', ''), MODULE],
  'semver.compare': [SEMVER, SEMVER],
  'semver.is_valid': [oneOf(SEMVER, ANY)],
  sprintf: [FORMAT, arrayOf(oneOf(NUMBER, STRING, ANY), 3)],
  'strings.any_prefix_match': [oneOf(STRING, STRING_LIST), oneOf(STRING, STRING_LIST)],
  'strings.any_suffix_match': [oneOf(STRING, STRING_LIST), oneOf(STRING, STRING_LIST)],
  'strings.render_template': [TEMPLATE, membersOf({ a: ANY, b: STRING, c: arrayOf(NUMBER) })],
  'strings.split_n': [STRING, STRING, SMALL],
  substring: [STRING, terms('0', '1', '2', '7', '-1'), SMALL],
  'time.add_date': [NANOSECONDS, SMALL, SMALL, SMALL],
  'time.clock': [MOMENT],
  'time.date': [MOMENT],
  'time.weekday': [MOMENT],
  'time.diff': [MOMENT, MOMENT],
  'time.format': [oneOf(MOMENT, listOf(NANOSECONDS, ZONE, LAYOUT))],
  'time.parse_duration_ns': [DURATION],
  'time.parse_ns': [oneOf(LAYOUT, strings('2006-01-02T15:04:05Z07:00', 'RFC3339')), TIME_TEXT],
  'time.parse_rfc3339_ns': [TIME_TEXT],
  to_number: [
    oneOf(
      NUMBER,
      quoted(NUMBER),
      BOOLEAN,
      NULL,
      strings('1e400', '0x10', '1_000', ' 1', '+1', '.5', '1.', 'Inf', 'NaN', ''),
    ),
  ],
  'units.parse': [joined(AMOUNT, UNIT)],
  'units.parse_bytes': [joined(AMOUNT, BYTES)],
  'uri.is_valid': [URI],
  'uri.parse': [URI],
  'urlquery.decode': [URL_TEXT],
  'urlquery.decode_object': [URL_TEXT],
  'urlquery.encode_object': [objectOf(KEY, oneOf(STRING, arrayOf(STRING), setOf(STRING)))],
  'uuid.parse': [UUID],
  'yaml.is_valid': [YAML_TEXT],
  'yaml.marshal': [JSON_VALUE],
  'yaml.unmarshal': [YAML_TEXT],
};

/** What grows without end with a number is given no other numbers than its own. */
const GROWING = ['bits.lsh', 'net.cidr_expand', 'numbers.range', 'numbers.range_step'];

/** One generator per argument; seldom a value of any type. */
export function argumentsOf(
  name: string,
  declared: readonly RegoType[],
  further: Readonly<Record<string, readonly Generator[]>>,
): readonly Generator[] {
  const own = further[name] ?? ARGUMENTS[name];
  return declared.map((type, at) => {
    const typed = ofType(type);
    const other = GROWING.includes(name) ? oneOf(STRING, NULL, BOOLEAN) : oneOf(typed, ANY);
    return mostly(own?.[at] ?? typed, other, own === undefined ? 12 : 15);
  });
}
