/** How bodies are parsed: JSON, forms, multipart, what was cut off. */
import { type CaseSpec, cases, refused, see, seen } from './case.ts';

const BODY = see('[input.parsed_body, input.truncated_body]');
const NOT_PARSED = seen([null, false]);
const TRUNCATED = seen([null, true]);
type Value = Parameters<typeof seen>[0];

const typed = (contentType: string, more: object = {}): object => ({ 'content-type': contentType, ...more });
const JSON_TYPE = typed('application/json');
const FORM_TYPE = typed('application/x-www-form-urlencoded');
const body = (id: string, headers: object, content: string, expect = NOT_PARSED): CaseSpec => ({
  id,
  http: { headers, body: content },
  policy: BODY,
  expect,
});
const json = (id: string, content: string, value: Value): CaseSpec =>
  body(id, JSON_TYPE, content, seen([value, false]));
/** @param sure  the plugin's wording of the error is ours too, with `compatibility: opa-envoy` */
const bad = (id: string, headers: object, content: string, detail: string, sure = true): CaseSpec => ({
  ...body(id, headers, content, refused(detail)),
  policy: 'true',
  differs: sure ? ['parse-refusal'] : ['parse-refusal', 'error-text'],
});
const badJson = (id: string, content: string, at: number): CaseSpec =>
  bad(id, JSON_TYPE, content, `the body is not valid JSON at character ${at}`, false);
const number = (id: string, text: string, expression: string): CaseSpec => ({
  id,
  http: { headers: JSON_TYPE, body: `{"n":${text}}` },
  policy: see(expression),
  expect: seen(true),
});
const form = (id: string, content: string, value: Value): CaseSpec =>
  body(id, FORM_TYPE, content, seen([value, false]));

const MULTIPART = typed('multipart/form-data; boundary=b');
const part = (name: string, content: string, more = ''): string =>
  `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`;
const parts = (id: string, content: string, value: Value, headers = MULTIPART): CaseSpec =>
  body(id, headers, content, seen([value, false]));
const badParts = (id: string, content: string, detail: string, sure = true): CaseSpec =>
  bad(id, MULTIPART, content, detail, sure);

const COMMON: readonly CaseSpec[] = [
  body('body_without_type', {}, '{}'),
  body('body_of_another_type', typed('application/vnd.api+json'), '{}'),
  body('body_type_in_capitals', typed('Application/JSON'), '{}'),
  body('body_text_json', typed('text/json'), '{}'),
  { ...body('body_type_header_in_capitals', { 'Content-Type': 'application/json' }, '{}') },
  body('body_partial', { ...JSON_TYPE, 'x-envoy-auth-partial-body': 'true' }, '{}', TRUNCATED),
  body('body_partial_without_type', { 'x-envoy-auth-partial-body': 'true' }, '', TRUNCATED),
  body(
    'body_partial_in_capitals',
    { ...JSON_TYPE, 'x-envoy-auth-partial-body': 'True' },
    '[]',
    seen([[], false]),
  ),
  body('body_empty_with_length', { ...JSON_TYPE, 'content-length': '7' }, ''),
  body('body_shorter_than_its_length', { ...JSON_TYPE, 'content-length': '3' }, '{}', TRUNCATED),
  body('body_longer_than_its_length', { ...JSON_TYPE, 'content-length': '1' }, '{}', seen([{}, false])),
  body('body_length_minus_one', { ...JSON_TYPE, 'content-length': '-1' }, '{}', seen([{}, false])),
  body('body_length_plus', { ...JSON_TYPE, 'content-length': '+2' }, '{}', seen([{}, false])),
  body('body_length_in_bytes', { ...JSON_TYPE, 'content-length': '4' }, '"ä"', seen(['ä', false])),
  body('body_truncated_before_it_is_bad', { ...JSON_TYPE, 'content-length': '9' }, '{', TRUNCATED),
  bad(
    'body_length_of_letters',
    { ...JSON_TYPE, 'content-length': 'ten' },
    '{}',
    'content-length is not an integer',
  ),
  bad('body_length_empty', { ...JSON_TYPE, 'content-length': '' }, '{}', 'content-length is not an integer'),
  bad(
    'body_length_with_space',
    { ...JSON_TYPE, 'content-length': ' 2' },
    '{}',
    'content-length is not an integer',
  ),
  bad(
    'body_length_twice',
    { ...JSON_TYPE, 'content-length': '2,2' },
    '{}',
    'content-length is not an integer',
  ),
  bad(
    'body_length_beyond_64_bits',
    { ...JSON_TYPE, 'content-length': '9223372036854775808' },
    '{}',
    'content-length is not an integer',
  ),
  {
    id: 'body_raw',
    http: { headers: JSON_TYPE, raw_body: Buffer.from('{"a":1}') },
    policy: BODY,
    expect: seen([{ a: 1 }, false]),
  },
  {
    id: 'body_before_raw',
    http: { headers: JSON_TYPE, body: '1', raw_body: Buffer.from('2') },
    policy: BODY,
    expect: seen([1, false]),
  },
  {
    id: 'no_bodies',
    group: 'no-bodies',
    http: { headers: JSON_TYPE, body: '{' },
    policy: see('[object.get(input, "parsed_body", "none"), object.get(input, "truncated_body", "none")]'),
    expect: seen(['none', 'none']),
  },
];

const JSON_CASES: readonly CaseSpec[] = [
  json('json_object', '{"a":{"b":[1,"x",true,null]}}', { a: { b: [1, 'x', true, null] } }),
  body('json_with_parameters', typed('application/json; charset=utf-8'), '[1]', seen([[1], false])),
  body('json_within_another_type', typed('x/application/json+y'), '[1]', seen([[1], false])),
  json('json_scalar', '"x"', 'x'),
  json('json_null', 'null', null),
  json('json_false', 'false', false),
  json('json_space', ' \t\r\n[ 1 , 2 ] \n', [1, 2]),
  json('json_same_name_twice', '{"a":1,"a":2}', { a: 2 }),
  json('json_same_name_spelled_twice', '{"a":1,"\\u0061":2}', { a: 2 }),
  json('json_empty_name', '{"":1}', { '': 1 }),
  json('json_proto', '{"__proto__":1}', JSON.parse('{"__proto__":1}')),
  json('json_escapes', '"\\u00e4\\n\\/\\ud83d\\ude00"', 'ä\n/😀'),
  json('json_lone_surrogate', '"\\ud800"', '\uFFFD'),
  json('json_nul', '"a\\u0000b"', 'a\0b'),
  {
    id: 'json_not_utf8',
    http: { headers: JSON_TYPE, raw_body: Buffer.from([0x22, 0xff, 0x22]) },
    policy: BODY,
    expect: seen(['\uFFFD', false]),
  },
  {
    id: 'json_half_a_character',
    http: { headers: JSON_TYPE, raw_body: Buffer.from([0x22, 0xe2, 0x82, 0x22]) },
    policy: BODY,
    expect: seen(['\uFFFD', false]),
    differs: ['utf8'],
  },
  number('json_number_beyond_53_bits', '9007199254740993', 'input.parsed_body.n == 9007199254740993'),
  number('json_number_beyond_53_bits_exact', '9007199254740993', 'input.parsed_body.n != 9007199254740992'),
  number('json_number_with_fraction', '1.0', 'input.parsed_body.n == 1'),
  number('json_number_huge', '1e400', 'input.parsed_body.n > 1e308'),
  number('json_number_exponent', '12E-1', 'input.parsed_body.n == 1.2'),
  number('json_number_minus_zero', '-0', 'input.parsed_body.n == 0'),
  badJson('json_open', '{"a":1', 6),
  badJson('json_trailing_comma', '[1,]', 3),
  badJson('json_second_value', '{} {}', 3),
  badJson('json_number_after_value', '1 2', 2),
  badJson('json_spaces_only', '  ', 2),
  badJson('json_bom', '\uFEFF{}', 0),
  badJson('json_leading_zero', '01', 1),
  badJson('json_single_quotes', "{'a':1}", 1),
  badJson('json_word', 'nul', 0),
  badJson('json_nan', 'NaN', 0),
  badJson('json_control_character', '"a\nb"', 0),
  badJson('json_bad_escape', '"\\x"', 4),
  badJson('json_comment', '{}//', 2),
  {
    ...bad('json_deep', JSON_TYPE, '['.repeat(1001) + ']'.repeat(1001), 'the JSON body is nested too deeply'),
    differs: ['input-limits'],
  },
];

const FORMS: readonly CaseSpec[] = [
  form('form', 'a=1&b=x+y&a=2', { a: ['1', '2'], b: ['x y'] }),
  form('form_escapes', 'a=%26%3D%2B%C3%A4', { a: ['&=+ä'] }),
  form('form_character_half_escaped', 'ä=ö', { ä: ['ö'] }),
  form('form_name_alone', 'a&=1', { a: [''], '': ['1'] }),
  form('form_line_break', 'a=1\r\n', { a: ['1\r\n'] }),
  body(
    'form_with_parameters',
    typed('application/x-www-form-urlencoded; charset=UTF-8'),
    'a=1',
    seen([{ a: ['1'] }, false]),
  ),
  body('form_empty', FORM_TYPE, ''),
  form('form_ampersand', '&', {}),
  body('form_truncated', { ...FORM_TYPE, 'content-length': '4' }, 'a=1', TRUNCATED),
  {
    id: 'form_raw',
    http: { headers: FORM_TYPE, raw_body: Buffer.from('a=1') },
    policy: BODY,
    expect: seen([{ a: ['1'] }, false]),
  },
  {
    id: 'form_character_of_two_spellings',
    http: {
      headers: FORM_TYPE,
      raw_body: Buffer.concat([Buffer.from('a='), Buffer.from([0xc3]), Buffer.from('%a4')]),
    },
    policy: BODY,
    expect: seen([{ a: ['ä'] }, false]),
  },
  {
    id: 'form_not_utf8',
    http: { headers: FORM_TYPE, raw_body: Buffer.from([0x61, 0x3d, 0xff]) },
    policy: BODY,
    expect: seen([{ a: ['\uFFFD'] }, false]),
  },
  bad('form_bad_escape', FORM_TYPE, 'a=%', 'invalid URL escape'),
  bad('form_semicolon', FORM_TYPE, 'a=1;b=2', 'invalid semicolon separator in query'),
  bad(
    'form_bad_length',
    { ...FORM_TYPE, 'content-length': '1.0' },
    'a=1',
    'content-length is not an integer',
  ),
];

const MULTIPARTS: readonly CaseSpec[] = [
  parts('multipart', `${part('a', '1')}${part('b', '2')}${part('a', '3')}--b--\r\n`, {
    a: ['1', '3'],
    b: ['2'],
  }),
  parts('multipart_no_last_line_break', `${part('a', '1')}--b--`, { a: ['1'] }),
  parts('multipart_bare_lf', '--b\nContent-Disposition: form-data; name=a\n\n1\n--b--\n', { a: ['1'] }),
  parts('multipart_preamble', `hello\r\n${part('a', '1')}--b--\r\nbye`, { a: ['1'] }),
  parts('multipart_empty_part', part('a', '') + '--b--', { a: [''] }),
  parts('multipart_boundary_at_once', '--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--', {
    a: [''],
  }),
  parts('multipart_none', '--b--', {}),
  parts('multipart_file', part('f', 'data', '; filename="x.txt"\r\nContent-Type: text/plain') + '--b--', {
    f: ['data'],
  }),
  parts('multipart_json_part', part('j', '{"a":1}', '\r\nContent-Type: application/json') + '--b--', {
    j: [{ a: 1 }],
  }),
  parts(
    'multipart_without_name',
    `--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n${part('a', '2')}--b--`,
    {
      a: ['2'],
    },
  ),
  parts(
    'multipart_other_disposition',
    '--b\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--b--',
    {},
  ),
  parts('multipart_no_header', '--b\r\n\r\n1\r\n--b--', {}),
  parts('multipart_name_in_capitals', '--b\r\nCONTENT-DISPOSITION: Form-Data; NAME=a\r\n\r\n1\r\n--b--', {
    a: ['1'],
  }),
  parts('multipart_quoted_name', part('a\\"b\\c', '1') + '--b--', { 'a"b\\c': ['1'] }),
  parts(
    'multipart_name_in_charset',
    "--b\r\nContent-Disposition: form-data; name*=utf-8''%C3%A4\r\n\r\n1\r\n--b--",
    {
      ä: ['1'],
    },
  ),
  parts(
    'multipart_name_in_pieces',
    '--b\r\nContent-Disposition: form-data; name*0=a; name*1=b\r\n\r\n1\r\n--b--',
    {
      ab: ['1'],
    },
  ),
  parts('multipart_folded_header', '--b\r\nContent-Disposition: form-data;\r\n  name=a\r\n\r\n1\r\n--b--', {
    a: ['1'],
  }),
  parts(
    'multipart_space_before_colon',
    '--b\r\nContent-Disposition : form-data; name=a\r\n\r\n1\r\n--b--',
    {},
  ),
  parts('multipart_boundary_within', part('a', '1\r\n--bx\r\n2') + '--b--', { a: ['1\r\n--bx\r\n2'] }),
  parts('multipart_space_after_boundary', part('a', '1').replace('--b', '--b \t') + '--b-- ', { a: ['1'] }),
  parts(
    'multipart_quoted_printable',
    part('a', 'x=3Dy=\r\nz  \r\n=zz', '\r\nContent-Transfer-Encoding: Quoted-Printable') + '--b--',
    { a: ['x=yz\r\n=zz'] },
  ),
  parts('multipart_base64_stays', part('a', 'eA==', '\r\nContent-Transfer-Encoding: base64') + '--b--', {
    a: ['eA=='],
  }),
  parts('multipart_header_cut_off', '--b\r\nContent-Disposition: form-data; name=a', {}),
  parts(
    'multipart_quoted_boundary',
    part('a', '1').replace('--b', '--b b') + '--b b--',
    { a: ['1'] },
    typed('multipart/form-data; boundary="b b"'),
  ),
  body('multipart_without_boundary', typed('multipart/form-data'), part('a', '1')),
  body('multipart_empty', MULTIPART, ''),
  body('multipart_truncated', { ...MULTIPART, 'content-length': '999' }, part('a', '1'), TRUNCATED),
  badParts('multipart_no_boundary_line', 'abc', 'multipart: NextPart: EOF'),
  badParts('multipart_unterminated', part('a', '1').slice(0, -2), 'unexpected EOF'),
  badParts('multipart_no_last_boundary', part('a', '1'), 'unexpected EOF'),
  badParts('multipart_unterminated_without_name', '--b\r\n\r\n1', 'multipart: NextPart: EOF'),
  badParts('multipart_missing_colon', '--b\r\nabc\r\n\r\n1\r\n--b--', 'malformed MIME header: missing colon'),
  badParts(
    'multipart_header_starts_with_space',
    '--b\r\n a: b\r\n\r\n1\r\n--b--',
    'malformed MIME header initial line',
  ),
  badParts('multipart_bad_header_name', '--b\r\na(: b\r\n\r\n1\r\n--b--', 'malformed MIME header line'),
  badParts(
    'multipart_bad_json_part',
    part('j', '{', '\r\nContent-Type: application/json') + '--b--',
    'the body is not valid JSON at character 1',
    false,
  ),
  badParts(
    'multipart_bad_quoted_printable',
    part('a', 'a=\rb', '\r\nContent-Transfer-Encoding: quoted-printable') + '--b--',
    'quotedprintable: invalid hex byte',
    false,
  ),
  bad('multipart_bad_type', typed('multipart/form-data; boundary'), 'x', 'mime: invalid media parameter'),
  bad(
    'multipart_type_twice',
    typed('multipart/form-data, multipart/form-data; boundary=b'),
    'x',
    'mime: unexpected content after media subtype',
  ),
  bad(
    'multipart_boundary_twice',
    typed('multipart/form-data; boundary=b; boundary=c'),
    'x',
    'mime: duplicate parameter name',
  ),
  bad(
    'multipart_boundary_empty',
    typed('multipart/form-data; boundary=""'),
    'x',
    'multipart: boundary is empty',
  ),
];

export const BODY_CASES = cases([...COMMON, ...JSON_CASES, ...FORMS, ...MULTIPARTS]);
