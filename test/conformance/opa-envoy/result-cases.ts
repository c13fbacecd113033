/** What a policy may say, and what becomes of it. */
import {
  allows,
  type CaseSpec,
  cases,
  denies,
  FAILED,
  PLAIN_ALLOW,
  PLAIN_DENIAL,
  UNDEFINED,
} from './case.ts';

const decision = (
  id: string,
  policy: string,
  expect: CaseSpec['expect'],
  differs: CaseSpec['differs'] = [],
): CaseSpec => ({
  id,
  policy,
  expect,
  differs,
});
/** The plugin ends the RPC, with a text that `compatibility: opa-envoy` has too. */
const odd = (id: string, policy: string): CaseSpec => decision(id, policy, FAILED, ['policy-failed']);
/** The plugin passes on what no proxy can send, or answer. */
const unsendable = (id: string, policy: string): CaseSpec => decision(id, policy, FAILED, ['unsendable']);
const allow = (members: string): string => `{"allowed": true, ${members}}`;
const deny = (members: string): string => `{"allowed": false, ${members}}`;
const set = (name: string, value: string) => ({ name, value, action: 'OVERWRITE_IF_EXISTS_OR_ADD' });
const join = (name: string, value: string) => ({ name, value, append: true });
const add = (name: string, value: string) => ({ name, value });

const TOP: readonly CaseSpec[] = [
  decision('result_true', 'true', PLAIN_ALLOW),
  decision('result_false', 'false', PLAIN_DENIAL),
  decision('result_undefined', 'allow if input.nothing', UNDEFINED, ['undefined']),
  decision('result_allowed', '{"allowed": true}', allows({})),
  decision('result_denied', '{"allowed": false}', denies({})),
  decision(
    'result_unknown_keys',
    '{"allowed": true, "status_code": 1, "http_status": "x", "body": 1}',
    allows({}),
  ),
  decision(
    'result_built_by_partial_rules',
    'allow.allowed := true\nallow.headers["x-a"] := "1"\nallow.body := input.nothing',
    allows({ headers: [set('x-a', '1')] }),
    ['append-action'],
  ),
  odd('result_number', '1'),
  odd('result_string', '"true"'),
  odd('result_null', 'null'),
  odd('result_array', '[true]'),
  odd('result_set', '{true, false}'),
  odd('result_object_without_allowed', '{"allow": true}'),
  odd('result_empty_object', '{}'),
  odd('result_allowed_number', '{"allowed": 1}'),
  odd('result_allowed_string', '{"allowed": "true"}'),
  odd('result_allowed_null', '{"allowed": null}'),
  odd('result_allowed_array', '{"allowed": [true]}'),
  odd('result_allowed_object', '{"allowed": {}}'),
  decision(
    'result_conflict',
    'allow := true if input.version\n\nallow := false if input.parsed_path',
    FAILED,
    ['policy-failed', 'error-text'],
  ),
  decision('result_error_of_a_builtin', 'allow if 1 % count(input.parsed_query) == 1', UNDEFINED, [
    'undefined',
  ]),
];

const HEADERS: readonly CaseSpec[] = [
  decision(
    'headers_of_an_allow',
    allow('"headers": {"x-a": "1", "x-b": "2"}'),
    allows({ headers: [set('x-a', '1'), set('x-b', '2')] }),
    ['append-action'],
  ),
  decision(
    'headers_with_several_values',
    allow('"headers": {"x-a": ["1", "2"]}'),
    allows({ headers: [set('x-a', '1'), join('x-a', '2')] }),
    ['append-action'],
  ),
  decision(
    'headers_as_a_list',
    allow('"headers": [{"x-a": "1"}, {"x-b": "2"}, {"x-a": "3"}]'),
    allows({ headers: [set('x-a', '1'), join('x-a', '3'), set('x-b', '2')] }),
    ['append-action'],
  ),
  decision('headers_as_a_set', allow('"headers": {{"x-a": "1"}}'), allows({ headers: [set('x-a', '1')] }), [
    'append-action',
  ]),
  decision('headers_empty', allow('"headers": {}'), allows({})),
  decision('headers_empty_list', allow('"headers": []'), allows({})),
  decision('headers_no_values', allow('"headers": {"x-a": []}'), allows({})),
  decision('headers_empty_value', allow('"headers": {"x-a": ""}'), allows({ headers: [set('x-a', '')] }), [
    'append-action',
  ]),
  decision(
    'headers_of_a_denial',
    deny('"headers": {"x-a": "1", "set-cookie": ["a", "b"]}'),
    denies({ headers: [add('set-cookie', 'a'), add('set-cookie', 'b'), set('x-a', '1')] }),
    ['append-action'],
  ),
  decision(
    'headers_for_the_client',
    allow('"response_headers_to_add": {"x-a": "1", "x-b": ["2", "3"]}'),
    allows({ responseHeaders: [set('x-a', '1'), add('x-b', '2'), add('x-b', '3')] }),
    ['append-action'],
  ),
  decision(
    'headers_for_the_client_as_a_list',
    allow('"response_headers_to_add": [{"x-a": "1"}]'),
    allows({ responseHeaders: [set('x-a', '1')] }),
    ['append-action'],
  ),
  decision(
    'headers_to_remove',
    allow('"request_headers_to_remove": ["x-a", "x-b"]'),
    allows({ remove: ['x-a', 'x-b'] }),
  ),
  decision(
    'headers_to_remove_as_a_set',
    allow('"request_headers_to_remove": {"x-a"}'),
    allows({ remove: ['x-a'] }),
  ),
  decision('headers_to_remove_empty', allow('"request_headers_to_remove": []'), allows({})),
  odd('headers_null', allow('"headers": null')),
  odd('headers_string', allow('"headers": "x-a: 1"')),
  odd('headers_of_numbers', allow('"headers": {"x-a": 1}')),
  odd('headers_of_booleans', allow('"headers": {"x-a": true}')),
  odd('headers_of_numbers_in_a_list', allow('"headers": {"x-a": ["1", 2]}')),
  odd('headers_list_of_strings', allow('"headers": ["x-a"]')),
  odd('headers_null_on_a_denial', deny('"headers": null')),
  odd('headers_for_the_client_string', allow('"response_headers_to_add": "x"')),
  odd('headers_for_the_client_number', allow('"response_headers_to_add": {"x-a": 1}')),
  odd('headers_to_remove_string', allow('"request_headers_to_remove": "x-a"')),
  odd('headers_to_remove_numbers', allow('"request_headers_to_remove": ["x-a", 1]')),
  odd('headers_to_remove_object', allow('"request_headers_to_remove": {"x-a": true}')),
  odd('headers_to_remove_null', allow('"request_headers_to_remove": null')),
  unsendable('headers_bad_name', allow('"headers": {"x a": "1"}')),
  unsendable('headers_line_break', allow('"headers": {"x-a": "1\\r\\nx-b: 2"}')),
  unsendable('headers_framing', allow('"headers": {"Content-Length": "0"}')),
  unsendable(
    'headers_for_the_client_framing',
    allow('"response_headers_to_add": {"transfer-encoding": "chunked"}'),
  ),
  unsendable('headers_to_remove_bad_name', allow('"request_headers_to_remove": ["x a"]')),
  decision(
    'headers_to_remove_not_read_on_a_denial',
    deny(
      '"request_headers_to_remove": 1, "response_headers_to_add": 2, "query_parameters_to_set": 3, "query_parameters_to_remove": 4',
    ),
    denies({}),
  ),
];

/** Where the plugin knows an error only: `{"value", "append_action"}`. */
const action = (
  id: string,
  headers: string,
  expected: CaseSpec['expect'],
  more: Partial<CaseSpec> = {},
): CaseSpec => ({
  ...decision(id, allow(headers), expected, ['append-choice']),
  ...more,
});
const SENT = { headers: { 'x-a': 'client' } };
const value = (name: string, chosen: string): string =>
  `"headers": {"${name}": {"value": "1", "append_action": "${chosen}"}}`;
const ACTIONS: readonly CaseSpec[] = [
  action(
    'append_to_one_that_is_sent',
    value('x-a', 'append_if_exists_or_add'),
    allows({ headers: [join('x-a', '1')] }),
    { http: SENT },
  ),
  action('append_to_none', value('x-a', 'append_if_exists_or_add'), allows({ headers: [add('x-a', '1')] })),
  action('add_if_absent_to_one_that_is_sent', value('x-a', 'add_if_absent'), allows({}), { http: SENT }),
  action(
    'add_if_absent_to_none',
    value('x-a', 'add_if_absent'),
    allows({ headers: [{ name: 'x-a', value: '1', action: 'ADD_IF_ABSENT' }] }),
  ),
  action(
    'overwrite_if_exists_one_that_is_sent',
    value('X-A', 'overwrite_if_exists'),
    allows({ headers: [{ name: 'X-A', value: '1', action: 'OVERWRITE_IF_EXISTS' }] }),
    { http: SENT },
  ),
  action('overwrite_if_exists_none', value('x-a', 'overwrite_if_exists'), allows({})),
  action(
    'append_action_for_the_client',
    '"response_headers_to_add": {"x-a": ["0", {"value": "1", "append_action": "add_if_absent"}]}',
    allows({ responseHeaders: [add('x-a', '0'), { name: 'x-a', value: '1', action: 'ADD_IF_ABSENT' }] }),
  ),
  odd('append_action_unknown', allow(value('x-a', 'append'))),
  odd('append_action_left_out', allow('"headers": {"x-a": {"value": "1"}}')),
  odd(
    'append_action_with_more',
    allow('"headers": {"x-a": {"value": "1", "append_action": "add_if_absent", "x": 1}}'),
  ),
];

const QUERIES: readonly CaseSpec[] = [
  decision(
    'query_to_set',
    allow('"query_parameters_to_set": {"a": "1", "b": ["2", "3"]}'),
    allows({
      setQuery: [
        ['a', '1'],
        ['b', '2'],
        ['b', '3'],
      ],
    }),
  ),
  decision('query_to_set_empty', allow('"query_parameters_to_set": {}'), allows({})),
  decision(
    'query_to_remove',
    allow('"query_parameters_to_remove": ["a", "b"]'),
    allows({ removeQuery: ['a', 'b'] }),
  ),
  decision(
    'query_to_remove_as_a_set',
    allow('"query_parameters_to_remove": {"a"}'),
    allows({ removeQuery: ['a'] }),
  ),
  {
    ...decision(
      'query_to_remove_in_every_spelling',
      allow('"query_parameters_to_remove": ["a"]'),
      allows({ removeQuery: ['a', '%61'] }),
      ['query-spellings'],
    ),
    http: { path: '/?%61=1' },
  },
  odd('query_to_set_null', allow('"query_parameters_to_set": null')),
  odd('query_to_set_list', allow('"query_parameters_to_set": [{"a": "1"}]')),
  odd('query_to_set_number', allow('"query_parameters_to_set": {"a": 1}')),
  odd('query_to_set_numbers', allow('"query_parameters_to_set": {"a": [1]}')),
  odd('query_to_remove_string', allow('"query_parameters_to_remove": "a"')),
  odd('query_to_remove_numbers', allow('"query_parameters_to_remove": [1]')),
];

const status = (id: string, written: string, name: string): CaseSpec =>
  decision(id, deny(`"http_status": ${written}`), denies({ status: name }));
const STATUSES: readonly CaseSpec[] = [
  status('status_401', '401', 'Unauthorized'),
  status('status_429', '429', 'TooManyRequests'),
  status('status_200', '200', 'OK'),
  status('status_302', '302', 'Found'),
  status('status_305', '305', 'UseProxy'),
  status('status_421', '421', 'MisdirectedRequest'),
  status('status_503', '503', 'ServiceUnavailable'),
  status('status_511', '511', 'NetworkAuthenticationRequired'),
  unsendable('status_100', deny('"http_status": 100')),
  ...['101', '103', '306', '418', '425', '451', '0', '-403', '600', '99999999999999999999'].map((code) =>
    odd(`status_${code.replace('-', 'minus_')}`, deny(`"http_status": ${code}`)),
  ),
  odd('status_string', deny('"http_status": "403"')),
  odd('status_null', deny('"http_status": null')),
  odd('status_true', deny('"http_status": true')),
  odd('status_with_fraction', deny('"http_status": 403.5')),
  {
    ...odd('status_as_a_float', deny('"http_status": input.parsed_body')),
    http: { headers: { 'content-type': 'application/json' }, body: '403.0' },
  },
  {
    ...odd('status_with_exponent', deny('"http_status": input.parsed_body')),
    http: { headers: { 'content-type': 'application/json' }, body: '4.03e2' },
  },
  {
    ...decision(
      'status_from_the_input',
      deny('"http_status": input.parsed_body'),
      denies({ status: 'NotFound' }),
    ),
    http: { headers: { 'content-type': 'application/json' }, body: '404' },
  },
  decision(
    'body_of_a_denial',
    deny('"body": "no: ä", "http_status": 402'),
    denies({ status: 'PaymentRequired', body: 'no: ä' }),
  ),
  decision('body_empty', deny('"body": ""'), denies({})),
  odd('body_number', deny('"body": 1')),
  odd('body_null', deny('"body": null')),
  odd('body_object', deny('"body": {"a": 1}')),
];

const METADATA: readonly CaseSpec[] = [
  decision(
    'metadata_of_an_allow',
    allow('"dynamic_metadata": {"a": [1, "x", true, null, {"b": -0.5}], "s": {1}}'),
    allows({}, { a: [1, 'x', true, null, { b: -0.5 }], s: [1] }),
  ),
  decision('metadata_of_a_denial', deny('"dynamic_metadata": {"a": {}}'), denies({}, { a: {} })),
  decision('metadata_empty_result', allow('"dynamic_metadata": {}'), allows({})),
  decision(
    'metadata_decision_id',
    allow('"dynamic_metadata": {"decision_id": "mine", "a": 1}'),
    allows({}, { a: 1 }),
  ),
  decision(
    'metadata_numbers',
    allow('"dynamic_metadata": {"n": 9007199254740993, "e": 1e21}'),
    allows({}, { n: 9007199254740992, e: 1e21 }),
  ),
  decision(
    'metadata_key_that_is_no_string',
    allow('"dynamic_metadata": {"a": {1: "x"}}'),
    allows({}, { a: { '1': 'x' } }),
  ),
  odd('metadata_null', allow('"dynamic_metadata": null')),
  odd('metadata_string', allow('"dynamic_metadata": "x"')),
  odd('metadata_list', deny('"dynamic_metadata": []')),
  {
    ...decision('metadata_number_too_large', allow('"dynamic_metadata": {"n": input.parsed_body}'), FAILED, [
      'policy-failed',
      'error-text',
    ]),
    http: { headers: { 'content-type': 'application/json' }, body: '1e400' },
  },
  odd('metadata_after_headers', allow('"dynamic_metadata": 1, "headers": 2')),
  odd('status_after_body', deny('"http_status": 1, "body": 2')),
  odd('query_after_headers_to_remove', allow('"request_headers_to_remove": 1, "query_parameters_to_set": 2')),
];

const DRY: readonly CaseSpec[] = (
  [
    decision('dry_allow', allow('"headers": {"x-a": "1"}'), allows({ headers: [set('x-a', '1')] }), [
      'append-action',
    ]),
    decision('dry_true', 'true', PLAIN_ALLOW),
    decision(
      'dry_false',
      'false',
      allows({}, { dry_run: { effect: 'deny', reason: 'policy_denied', status: 403 } }),
      ['dry-run'],
    ),
    decision(
      'dry_denial',
      deny('"http_status": 401, "body": "x", "headers": {"x-a": "1"}, "dynamic_metadata": {"a": 1}'),
      allows({}, { a: 1, dry_run: { effect: 'deny', reason: 'policy_denied', status: 401 } }),
      ['dry-run'],
    ),
    decision(
      'dry_undefined',
      'allow if input.nothing',
      allows({}, { dry_run: { effect: 'deny', reason: 'policy_undefined', status: 403 } }),
      ['dry-run'],
    ),
    decision('dry_odd', '1', allows({}, { dry_run: { effect: 'failure', reason: 'policy_failed' } }), [
      'dry-run',
    ]),
    decision(
      'dry_error',
      'allow := true if input.version\n\nallow := false if input.parsed_path',
      allows({}, { dry_run: { effect: 'failure', reason: 'policy_failed' } }),
      ['dry-run', 'error-text'],
    ),
    {
      ...decision(
        'dry_parse',
        'true',
        allows({}, { dry_run: { effect: 'failure', reason: 'request_malformed' } }),
        ['dry-run'],
      ),
      http: { path: '/%' },
    },
  ] as const
).map((spec): CaseSpec => ({ ...spec, group: 'dry-run' }));

export const RESULT_CASES = cases([
  ...TOP,
  ...HEADERS,
  ...ACTIONS,
  ...QUERIES,
  ...STATUSES,
  ...METADATA,
  ...DRY,
]);
