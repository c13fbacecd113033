/**
 * Who answers each built-in function of OPA 1.22.2, and why not the compiled module where it could.
 *
 * Those of the module are OPA's own in C, but for the functions that read numbers (`rego/toolchain/numbers.wat`). What
 * cannot be answered is listed in test/conformance/builtins-differential.test.ts, each form of arguments with its reason.
 */
import type { BuiltinSource } from './builtin.ts';

interface Row {
  readonly source: BuiltinSource;
  readonly names: string;
  readonly why?: string;
}

const ROWS: readonly Row[] = [
  // in the module, and it answers there as OPA does
  { source: 'native', names: 'equal neq lt lte gt gte internal.member_2 internal.member_3' },
  { source: 'native', names: 'count sort any all numbers.range' },
  { source: 'native', names: 'and or union intersection set_diff' },
  { source: 'native', names: 'array.concat array.flatten array.reverse array.slice' },
  {
    source: 'native',
    names: 'object.filter object.get object.keys object.remove object.union',
  },
  { source: 'native', names: 'walk graph.reachable' },
  {
    source: 'native',
    names: 'contains endswith startswith lower upper split substring strings.reverse',
  },
  { source: 'native', names: 'trim trim_left trim_prefix trim_right trim_space trim_suffix' },
  { source: 'native', names: 'regex.match regex.is_valid regex.find_all_string_submatch_n re_match' },
  { source: 'native', names: 'base64.encode base64url.encode' },
  { source: 'native', names: 'type_name is_array is_boolean is_null is_number is_object is_set is_string' },
  {
    source: 'native',
    names: 'eq assign print internal.print internal.test_case rego.metadata.chain rego.metadata.rule',
    why: 'the compiler takes them out',
  },

  // ours, where the module has none or another answer
  {
    source: 'host',
    names: 'json.marshal json.unmarshal json.is_valid',
    why: 'the module does not sort keys, and accepts `[1,]` and `01`',
  },
  {
    source: 'host',
    names: 'base64.decode base64.is_valid base64url.decode',
    why: 'the module accepts what is no base64 and refuses ""',
  },
  { source: 'host', names: 'base64url.encode_no_pad hex.decode hex.encode' },
  { source: 'host', names: 'urlquery.decode urlquery.decode_object urlquery.encode urlquery.encode_object' },
  { source: 'host', names: 'crypto.md5 crypto.sha1 crypto.sha256 crypto.hmac.equal' },
  { source: 'host', names: 'crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512' },
  {
    source: 'host',
    names: 'indexof replace strings.replace_n',
    why: 'the module does not end with an empty string, finds it at 0, and takes keys in another order',
  },
  { source: 'host', names: 'indexof_n strings.any_prefix_match strings.any_suffix_match strings.count' },
  {
    source: 'host',
    names: 'plus minus mul div rem abs ceil floor round sum product',
    why: 'the module computes with decimals of any length, OPA with 64 bits where a number is no integer; `minus` of sets is the module’s',
  },
  {
    source: 'host',
    names: 'max min',
    why: 'of two equal numbers the module gives the first as it is written, OPA the last',
  },
  {
    source: 'host',
    names: 'object.union_n',
    why: 'where the module says nothing: of no objects OPA says {}',
  },
  {
    source: 'host',
    names: 'to_number',
    why: 'the module accepts other texts',
  },
  { source: 'host', names: 'object.subset semver.compare semver.is_valid' },
  { source: 'host', names: 'time.now_ns time.parse_rfc3339_ns rand.intn uuid.rfc4122' },
  { source: 'host', names: 'io.jwt.decode io.jwt.decode_verify io.jwt.verify_eddsa' },
  { source: 'host', names: 'io.jwt.verify_hs256 io.jwt.verify_hs384 io.jwt.verify_hs512' },
  { source: 'host', names: 'io.jwt.verify_rs256 io.jwt.verify_rs384 io.jwt.verify_rs512' },
  { source: 'host', names: 'io.jwt.verify_ps256 io.jwt.verify_ps384 io.jwt.verify_ps512' },
  { source: 'host', names: 'io.jwt.verify_es256 io.jwt.verify_es384 io.jwt.verify_es512' },

  {
    source: 'host',
    names: 'concat',
    why: 'of a set: the module takes the members in another order; of an array it answers itself',
  },

  // OPA's own, in a worker
  {
    source: 'go',
    names: 'json.filter json.remove',
    why: 'an empty path makes the module read where nothing is',
  },
  { source: 'go', names: 'io.jwt.encode_sign io.jwt.encode_sign_raw' },
  {
    source: 'go',
    names: 'bits.and bits.lsh bits.negate bits.or bits.rsh bits.xor format_int',
    why: 'the module fails above 2^53, does not know that 1.0 is an integer, and finds 0/0 defined',
  },
  { source: 'go', names: 'glob.match', why: 'no wildcard of the module matches a line break' },
  { source: 'go', names: 'strings.split_n' },
  { source: 'go', names: 'sprintf strings.render_template internal.template_string' },
  {
    source: 'go',
    names: 'regex.find_n regex.globs_match regex.replace regex.split regex.template_match glob.quote_meta',
  },
  {
    source: 'go',
    names: 'time.add_date time.clock time.date time.diff time.format time.weekday',
  },
  { source: 'go', names: 'time.parse_duration_ns time.parse_ns' },
  { source: 'go', names: 'net.cidr_contains net.cidr_contains_matches net.cidr_expand net.cidr_intersects' },
  { source: 'go', names: 'net.cidr_is_valid net.cidr_merge net.cidr_overlap' },
  { source: 'go', names: 'json.marshal_with_options json.patch json.match_schema json.verify_schema' },
  { source: 'go', names: 'numbers.range_step uuid.parse units.parse units.parse_bytes' },
  {
    source: 'go',
    names: 'yaml.is_valid yaml.marshal yaml.unmarshal uri.is_valid uri.parse graph.reachable_paths',
  },
  { source: 'go', names: 'graphql.is_valid graphql.parse graphql.parse_and_verify graphql.parse_query' },
  { source: 'go', names: 'graphql.parse_schema graphql.schema_is_valid rego.parse_module trace' },
  {
    source: 'go',
    names: 'crypto.parse_private_keys crypto.x509.parse_keypair crypto.x509.parse_rsa_private_key',
  },
  { source: 'go', names: 'crypto.x509.parse_certificate_request crypto.x509.parse_certificates' },
  { source: 'go', names: 'crypto.x509.parse_and_verify_certificates' },
  { source: 'go', names: 'crypto.x509.parse_and_verify_certificates_with_options providers.aws.sign_req' },
  { source: 'go', names: 'cast_array cast_boolean cast_null cast_object cast_set cast_string' },
  { source: 'go', names: 'opa.runtime', why: 'what the host is: nothing that a policy needs to know' },

  // asked of others, where the configuration allows it
  { source: 'network', names: 'http.send net.lookup_ip_addr' },
];

/** Every built-in function of OPA with who answers it. */
export const BUILTIN_SOURCES: ReadonlyMap<string, BuiltinSource> = new Map(
  ROWS.flatMap(({ source, names }) => names.split(' ').map((name) => [name, source] as const)),
);

/** Those that may say something else each time, as OPA's table says: within an evaluation they say the same to the same arguments. */
export const NOT_DETERMINISTIC: ReadonlySet<string> = new Set(
  (
    'http.send io.jwt.decode_verify io.jwt.encode_sign io.jwt.encode_sign_raw json.match_schema json.verify_schema ' +
    'net.lookup_ip_addr opa.runtime rand.intn time.now_ns uuid.rfc4122'
  ).split(' '),
);

export function builtinsFrom(source: BuiltinSource): readonly string[] {
  return [...BUILTIN_SOURCES].filter(([, own]) => own === source).map(([name]) => name);
}
