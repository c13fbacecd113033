/**
 * The built-ins that OPA's WASM brings but answers otherwise than OPA's evaluator: whoever compiles a policy asks for
 * them as `host`. test/conformance/builtins-differential.test.ts finds a difference in each that is not here.
 */
export const DRIFTING_BUILTINS: readonly string[] = [
  'base64.decode base64.is_valid base64url.decode',
  'bits.and bits.lsh bits.negate bits.or bits.rsh bits.xor',
  'concat format_int indexof internal.template_string replace strings.replace_n to_number',
  'glob.match',
  'json.is_valid json.marshal json.unmarshal',
  'net.cidr_contains net.cidr_intersects net.cidr_overlap',
].flatMap((line) => line.split(' '));
