/**
 * `parsed_path` and `parsed_query` as opa-envoy-plugin makes them, by hand: a URL parser would read `//admin` as a
 * host name (CVE-2026-26205).
 *
 * The path is cut at the first `?`, percent-decoded (`+` stays), freed of all leading slashes and split at `/`.
 */
import { decodePathText, decodeQueryText, parseQuery } from './url-query.ts';

/** @throws ParseFailure  on a bad percent escape */
export function parsePath(target: string): readonly string[] {
  const cut = target.indexOf('?');
  const path = decodePathText(cut < 0 ? target : target.slice(0, cut));
  return path.replace(/^\/+/, '').split('/');
}

/** @throws ParseFailure; Failure request_malformed  on keys chosen to collide */
export function parseTargetQuery(target: string): ReadonlyMap<string, readonly string[]> {
  const cut = target.indexOf('?');
  return parseQuery(cut < 0 ? '' : target.slice(cut + 1));
}

/**
 * The keys of a query as they are written, and the names that they mean.
 *
 * @throws ParseFailure  on what `parseTargetQuery` refuses too: with a `;` nobody knows what the upstream reads
 */
export function queryKeys(target: string): readonly { readonly written: string; readonly name: string }[] {
  const cut = target.indexOf('?');
  if (cut < 0) return [];
  const text = target.slice(cut + 1);
  parseQuery(text);
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const written = pair.split('=', 1)[0] ?? '';
      return { written, name: decodeQueryText(written) };
    });
}
