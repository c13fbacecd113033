/** How gRPC bodies are parsed, by the descriptor set of `orders.proto`. */
import { gzipSync } from 'node:zlib';
import { type CaseSpec, cases, refused, see, seen } from './case.ts';
import { frame, order } from './orders.ts';

const BODY = see('[input.parsed_body, input.truncated_body]');
const NOT_PARSED = seen([null, false]);
const TYPE = { 'content-type': 'application/grpc' };
type Value = Parameters<typeof order>[0];

const grpc = (id: string, raw: Buffer, expect = NOT_PARSED, more: object = {}): CaseSpec => ({
  id,
  http: { method: 'POST', path: '/shop.v1.Orders/Create', headers: TYPE, raw_body: raw, ...more },
  policy: BODY,
  expect,
});
const message = (id: string, json: Value): CaseSpec =>
  grpc(id, frame(order(json)), seen([json as Parameters<typeof seen>[0], false]));
const bad = (id: string, raw: Buffer, detail: string, more: object = {}, sure = true): CaseSpec => ({
  ...grpc(id, raw, refused(detail), more),
  differs: sure ? ['parse-refusal'] : ['parse-refusal', 'error-text'],
});

const ORDER = frame(order({ id: 'o1' }));
const PARSED = seen([{ id: 'o1' }, false]);
const ANY = { '@type': 'type.googleapis.com/shop.v1.Line', sku: 's' };

export const GRPC_CASES = cases([
  message('grpc_scalars', {
    id: 'o1',
    amount: '9007199254740993',
    count: -3,
    kind: 'KIND_GIFT',
    isOpen: true,
  }),
  message('grpc_floats', { ratio: 0.1, weight: 1e21, boxed: 1.5 }),
  message('grpc_floats_in_lists_and_maps', { ratios: [0.1, 0.2, 1e10], rates: { a: 0.3 } }),
  message('grpc_not_a_number', { weight: 'NaN', ratio: 'Infinity' }),
  message('grpc_well_known', {
    at: '2026-11-29T01:02:03.500Z',
    ttl: '1.500s',
    note: 'n',
    extra: { a: [1, null] },
  }),
  message('grpc_bytes', { blob: 'AP/+' }),
  message('grpc_nested', { lines: [{ sku: 'a', price: '1' }, {}], totals: { x: '1' }, line: { sku: 'b' } }),
  message('grpc_optional_zero', { maybe: 0, email: '' }),
  message('grpc_empty_message', {}),
  message('grpc_any_of_a_known_type', {
    detail: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1s' },
  }),
  { ...message('grpc_any_of_the_set', { detail: ANY }), differs: ['grpc-any'] },
  grpc(
    'grpc_unknown_field',
    frame(Buffer.concat([order({ id: 'o1' }), Buffer.from([0xf8, 0x3f, 1])])),
    PARSED,
  ),
  grpc('grpc_unknown_enum', frame(Buffer.from([0x20, 7])), seen([{ kind: 7 }, false])),
  grpc('grpc_second_message_is_not_read', Buffer.concat([ORDER, Buffer.from('junk')]), PARSED),
  grpc('grpc_response_stream', ORDER, PARSED, { path: '/shop.v1.Orders/Watch' }),
  grpc('grpc_client_stream', ORDER, NOT_PARSED, { path: '/shop.v1.Orders/Upload' }),
  grpc('grpc_unknown_method', ORDER, NOT_PARSED, { path: '/shop.v1.Orders/Nope' }),
  grpc('grpc_unknown_service', ORDER, NOT_PARSED, { path: '/shop.v1.Nope/Create' }),
  grpc('grpc_service_is_a_message', ORDER, NOT_PARSED, { path: '/shop.v1.Order/Create' }),
  grpc('grpc_encoded_path', ORDER, PARSED, { path: '//shop%2Ev1.Orders%2FCreate?x=1' }),
  grpc('grpc_web', ORDER, PARSED, { headers: { 'content-type': 'application/grpc-web+proto' } }),
  grpc('grpc_no_raw_body', Buffer.alloc(0), NOT_PARSED, { body: 'x' }),
  grpc('grpc_partial', ORDER, seen([null, true]), {
    headers: { ...TYPE, 'x-envoy-auth-partial-body': 'true' },
  }),
  grpc('grpc_length_is_not_read', ORDER, PARSED, { headers: { ...TYPE, 'content-length': 'x' } }),
  grpc('grpc_frame_cut_off', frame(order({ id: 'o1' }), { size: 99 }), seen([null, true])),
  grpc('grpc_frame_of_4_gib', frame(order({ id: 'o1' }), { size: 0xffff_ffff }), seen([null, true])),
  grpc('grpc_compressed', frame(gzipSync(order({ id: 'o1' })), { flag: 1 }), NOT_PARSED, {
    headers: { ...TYPE, 'grpc-encoding': 'gzip' },
  }),
  grpc('grpc_unknown_flag', frame(order({ id: 'o1' }), { flag: 2 }), NOT_PARSED),
  bad('grpc_short_frame', Buffer.from([0, 0, 0]), 'less than 5 bytes'),
  bad('grpc_path_of_one', ORDER, 'invalid parsed path', { path: '/shop.v1.Orders' }),
  bad('grpc_path_of_three', ORDER, 'invalid parsed path', { path: '/a/shop.v1.Orders/Create' }),
  bad(
    'grpc_not_the_type',
    frame(Buffer.from([0x0a, 9])),
    'the gRPC message is not of the type that its method takes',
    {},
    false,
  ),
  bad(
    'grpc_string_not_utf8',
    frame(Buffer.from([0x0a, 1, 0xff])),
    'the gRPC message is not of the type that its method takes',
    {},
    false,
  ),
  { ...grpc('grpc_without_descriptor', Buffer.from([0])), group: 'no-descriptor' },
]);
