import canonicalize from 'canonicalize';
import type { Json } from './json.ts';

/**
 * RFC 8785 text of a JSON value; members that are `undefined` are left out.
 *
 * @throws TypeError  when the value is not JSON (NaN, a function, a lone surrogate)
 */
export function toCanonicalJson(value: Json | object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no JSON form');
  if (!text.isWellFormed()) throw new TypeError('a lone surrogate has no JSON form (RFC 8785, 3.2.2.2)');
  return text;
}
