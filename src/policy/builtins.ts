/**
 * The built-in functions that a policy may call: those that OPA's compiler puts into the module itself and that
 * answer there as OPA's own evaluator does; test/component/rego-builtins.test.ts compares them.
 *
 * Left out although the module has them, with what was seen (OPA 1.22.2):
 *
 * - `replace` with an empty search string ends at its budget only, and OPA answers it; `strings.replace_n` takes the
 *   keys in another order;
 * - `base64.decode`, `base64url.decode`, `base64.is_valid` accept what is not base64, and refuse "";
 * - `json.unmarshal`, `json.is_valid` accept `[1,]` and `01`; `json.marshal` does not sort keys;
 * - `bits.*` do not know that 1.0 is an integer; `format_int` fails above 2^53; `0 / 0` is not undefined;
 * - `glob.match`: no wildcard matches a line break, which a decoded path can hold;
 * - `to_number` accepts `1e400`; `indexof` finds "" at 0; `net.cidr_*` do not know IPv4 in IPv6 addresses.
 *
 * What differs and cannot be refused here: sets and objects are walked in another order than OPA's (Rego promises
 * none; `concat` of a set is refused by the type checker); sums are exact, OPA's end after 19 digits; a *pattern*
 * of `regex.match` ends at a NUL character, so a pattern should not come from the request.
 */
export const SUPPORTED_BUILTINS: readonly string[] = [
  'eq equal assign neq lt lte gt gte internal.member_2 internal.member_3',
  'plus minus mul rem abs ceil floor round numbers.range',
  'count sum product max min sort',
  'and or union intersection',
  'array.concat array.flatten array.reverse array.slice',
  'object.filter object.get object.keys object.remove object.union object.union_n',
  'json.filter json.remove walk graph.reachable',
  'concat contains endswith startswith lower upper split substring strings.reverse',
  'trim trim_left trim_prefix trim_right trim_space trim_suffix',
  'regex.match regex.is_valid regex.find_all_string_submatch_n',
  'base64.encode base64url.encode',
  'type_name is_array is_boolean is_null is_number is_object is_set is_string',
].flatMap((line) => line.split(' '));
