/**
 * `parsed_path` and `parsed_query` as opa-envoy-plugin makes them, by hand: a URL parser would read `//admin` as a
 * host name (CVE-2026-26205).
 *
 * The path is cut at the first `?`, percent-decoded (`+` stays), freed of all leading slashes and split at `/`. The
 * query follows Go's `url.ParseQuery`: split at `&`, cut at the first `=`, `+` is a space, a `;` is an error.
 */
import { Failure } from '../core/failure.ts';
import { expectSpread } from './key-spread.ts';

export interface ParsedPath {
  readonly path: readonly string[];
  readonly query: ReadonlyMap<string, readonly string[]>;
}

/** @throws Failure request_malformed  on a bad percent escape, `;` in the query, or keys chosen to collide */
export function parsePath(target: string): ParsedPath {
  const cut = target.indexOf('?');
  const path = decodePercent(cut < 0 ? target : target.slice(0, cut));
  return {
    path: path.replace(/^\/+/, '').split('/'),
    query: parseQuery(cut < 0 ? '' : target.slice(cut + 1)),
  };
}

/** The keys of a query as they are written, and the names that they mean. */
export function queryKeys(target: string): readonly { readonly written: string; readonly name: string }[] {
  const cut = target.indexOf('?');
  if (cut < 0) return [];
  return target
    .slice(cut + 1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const written = pair.split('=', 1)[0] ?? '';
      return { written, name: decodeKey(written) };
    });
}

function parseQuery(text: string): Map<string, string[]> {
  const query = new Map<string, string[]>();
  if (text === '') return query;
  if (text.includes(';')) throw new Failure('request_malformed', 'invalid semicolon separator in query');
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const cut = pair.indexOf('=');
    const key = decodeKey(cut < 0 ? pair : pair.slice(0, cut));
    const value = cut < 0 ? '' : decodePercent(pair.slice(cut + 1).replaceAll('+', ' '));
    const values = query.get(key);
    if (values === undefined) query.set(key, [value]);
    else values.push(value);
  }
  expectSpread(query);
  return query;
}

function decodeKey(written: string): string {
  return decodePercent(written.replaceAll('+', ' '));
}

/** Bytes that are not UTF-8 become U+FFFD: Rego strings are Unicode. */
function decodePercent(text: string): string {
  if (!text.includes('%')) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw new Failure('request_malformed', 'invalid URL escape');
  const source = Buffer.from(text);
  const target = Buffer.allocUnsafe(source.length);
  let length = 0;
  for (let at = 0; at < source.length; at++) {
    const byte = source[at] as number;
    if (byte !== 0x25) target[length++] = byte;
    else {
      target[length++] = Number.parseInt(source.toString('latin1', at + 1, at + 3), 16);
      at += 2;
    }
  }
  return target.toString('utf8', 0, length);
}
