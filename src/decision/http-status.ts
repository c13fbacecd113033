import { memberNumberText } from '../policy/number-text.ts';

/**
 * The statuses of a denial: those that both Envoy (`envoy/type/v3/http_status.proto`) and opa-envoy-plugin know.
 *
 * A status of 1xx ends no response, and 306, 418, 425 and 451 are not in Envoy's list.
 */
const STATUSES: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402,
  403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 426, 428,
  429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
]);

export function isDenialStatus(status: number): boolean {
  return STATUSES.has(status);
}

/**
 * Whether the number `key` of a result is written without fraction and exponent: `403.0` and `4.03e2` are numbers of
 * the same value, and opa-envoy-plugin refuses them.
 *
 * @param text  JSON of the result object
 */
export function isIntegerText(text: string, key: string): boolean {
  // the usual case: no number of that name anywhere, in nested objects and strings either, is written otherwise
  if (!new RegExp(`"${key}"\\s*:\\s*-?[0-9]+[.eE]`).test(text)) return true;
  return /^-?[0-9]+$/.test(memberNumberText(text, key) ?? '');
}
