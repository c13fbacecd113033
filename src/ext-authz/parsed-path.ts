/**
 * `parsed_path` and `parsed_query` as opa-envoy-plugin makes them, by hand: a URL parser would read `//admin` as a
 * host name (CVE-2026-26205).
 *
 * The path is cut at the first `?`, percent-decoded (`+` stays), freed of all leading slashes and split at `/`.
 */
import type { JsonWriter } from './json-writer.ts';
import type { Span } from './span.ts';
import { decodePathText, decodeQueryText, parseQuery } from './url-query.ts';

const SLASH = 0x2f;
const PERCENT = 0x25;
const SEMICOLON = 0x3b;
const QUESTION_MARK = 0x3f;
const AMPERSAND = 0x26;
/** Below it nobody looks how many parameters there are, or how their names spread. */
const FEW_PARAMETERS = 64;

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
 * Whether a target has nothing that `parsePath` or `parseTargetQuery` could refuse or would have to decode in the path:
 * most have not, and then nobody needs to parse what nobody reads.
 */
export function isPlainTarget(bytes: Uint8Array, { start, end }: Span): boolean {
  let parameters = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === PERCENT || byte === SEMICOLON) return false;
    if (byte === AMPERSAND || byte === QUESTION_MARK) parameters += 1;
  }
  return parameters <= FEW_PARAMETERS;
}

/** `parsePath` of a plain target, written from its bytes. */
export function writePlainPath(to: JsonWriter, bytes: Buffer, { start, end }: Span): void {
  let from = start;
  while (from < end && bytes[from] === SLASH) from += 1;
  to.raw('[');
  for (let at = from; ; at++) {
    const isOver = at === end || bytes[at] === QUESTION_MARK;
    if (!isOver && bytes[at] !== SLASH) continue;
    to.utf8(bytes, { start: from, end: at });
    to.raw(',');
    if (isOver) break;
    from = at + 1;
  }
  to.end(']');
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
