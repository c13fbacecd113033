/**
 * Percent decoding and queries by Go's rules (`url.PathUnescape`, `url.ParseQuery`): split at `&`, cut at the first
 * `=`, `+` is a space, a `;` is an error, and so are more than 10,000 parameters.
 *
 * Text is UTF-8 where it comes from a string field, and bytes (`latin1`) where it comes from a body: an escape may
 * complete a character that began without one. Bytes that are not UTF-8 become U+FFFD: Rego strings are Unicode.
 */
import { expectSpread } from './key-spread.ts';
import { ParseFailure } from './parse-failure.ts';

/** How the characters of a text stand for bytes. */
export type TextEncoding = 'utf8' | 'latin1';

const MAX_PARAMETERS = 10_000;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** @throws ParseFailure; Failure request_malformed  on names chosen to collide */
export function parseQuery(text: string, encoding: TextEncoding = 'utf8'): Map<string, string[]> {
  const query = new Map<string, string[]>();
  if (text === '') return query;
  const pairs = text.split('&');
  if (pairs.length > MAX_PARAMETERS) throw new ParseFailure('number of URL query parameters exceeded limit');
  if (text.includes(';')) throw new ParseFailure('invalid semicolon separator in query');
  for (const pair of pairs) {
    if (pair === '') continue;
    const cut = pair.indexOf('=');
    const key = decodeQueryText(cut < 0 ? pair : pair.slice(0, cut), encoding);
    const value = cut < 0 ? '' : decodeQueryText(pair.slice(cut + 1), encoding);
    const values = query.get(key);
    if (values === undefined) query.set(key, [value]);
    else values.push(value);
  }
  expectSpread(query);
  return query;
}

/** @throws ParseFailure */
export function decodeQueryText(text: string, encoding: TextEncoding = 'utf8'): string {
  return decodePercent(text, encoding, true);
}

/** @throws ParseFailure */
export function decodePathText(text: string): string {
  return decodePercent(text, 'utf8', false);
}

function decodePercent(text: string, encoding: TextEncoding, plusIsSpace: boolean): string {
  if (!text.includes('%')) {
    const spaced = plusIsSpace ? text.replaceAll('+', ' ') : text;
    return encoding === 'utf8' ? spaced : Buffer.from(spaced, 'latin1').toString('utf8');
  }
  const bad = BAD_ESCAPE.exec(text);
  if (bad !== null) {
    const quoted = JSON.stringify(text.slice(bad.index, bad.index + 3));
    throw new ParseFailure('invalid URL escape', `invalid URL escape ${quoted}`);
  }
  const source = Buffer.from(plusIsSpace ? text.replaceAll('+', ' ') : text, encoding);
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
