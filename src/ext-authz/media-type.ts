/**
 * Media types and dispositions with their parameters, by the rules of Go's `mime.ParseMediaType` (RFC 2045, and
 * RFC 2231 for `name*0`, `name*`), which are laxer than the RFCs: a backslash escapes special characters only, equal
 * parameters may repeat, and one trailing `;` is fine.
 */
import { ParseFailure } from './parse-failure.ts';

export interface MediaType {
  /** in lower case */
  readonly type: string;
  /** by name in lower case */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]*/y;
const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*/y;
const SPECIAL = '()<>@,;:\\"/[]?=';

/** @throws ParseFailure */
export function parseMediaType(text: string): MediaType {
  const base = text.split(';', 1)[0] ?? '';
  const type = base.toLowerCase().trim();
  expectType(type);
  return { type, parameters: joinPieces(readParameters(text, base.length)) };
}

function expectType(type: string): void {
  const [, first = '', slash = '', second = '', rest = ''] =
    /^([!#$%&'*+.^_`|~0-9a-z-]*)(\/?)([!#$%&'*+.^_`|~0-9a-z-]*)(.*)$/s.exec(type) ?? [];
  if (first === '') throw new ParseFailure('mime: no media type');
  if (slash === '' && rest === '') return;
  if (slash === '') throw new ParseFailure('mime: expected slash after first token');
  if (second === '') throw new ParseFailure('mime: expected token after slash');
  if (rest !== '') throw new ParseFailure('mime: unexpected content after media subtype');
}

/** The parameters as they are written, stars and numbers in their names included. */
function readParameters(text: string, start: number): Map<string, string> {
  const parameters = new Map<string, string>();
  let at = start;
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? '';
    at += found.length;
    return found;
  };
  for (;;) {
    take(SPACE);
    if (at >= text.length) return parameters;
    const before = at;
    if (text[at] !== ';') throw invalidParameter();
    at += 1;
    take(SPACE);
    const name = take(TOKEN).toLowerCase();
    if (name === '') {
      if (text.slice(before).trim() === ';') return parameters;
      throw invalidParameter();
    }
    take(SPACE);
    if (text[at] !== '=') throw invalidParameter();
    at += 1;
    take(SPACE);
    const quoted = text[at] === '"' ? quotedAt(text, at) : undefined;
    const value = quoted?.text ?? take(TOKEN);
    if (quoted === undefined && value === '') throw invalidParameter();
    at = quoted?.end ?? at;
    if ((parameters.get(name) ?? value) !== value) throw new ParseFailure('mime: duplicate parameter name');
    parameters.set(name, value);
  }
}

function quotedAt(text: string, start: number): { readonly text: string; readonly end: number } {
  let content = '';
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') return { text: content, end: at + 1 };
    const next = text.charAt(at + 1);
    if (character === '\\' && next !== '' && SPECIAL.includes(next)) {
      content += next;
      at += 1;
    } else if (character === '\r' || character === '\n') break;
    else content += character;
  }
  throw invalidParameter();
}

/** RFC 2231: `name*` is in a charset, `name*0`, `name*1*` … are pieces. What cannot be decoded is left out. */
function joinPieces(written: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const starred = new Set<string>();
  for (const [name, value] of written) {
    const star = name.indexOf('*');
    if (star < 0) parameters.set(name, value);
    else starred.add(name.slice(0, star));
  }
  for (const name of starred) {
    const whole = written.get(`${name}*`);
    const value = whole === undefined ? joinNumbered(written, name) : inCharset(whole);
    if (value !== undefined) parameters.set(name, value);
  }
  return parameters;
}

function joinNumbered(written: ReadonlyMap<string, string>, name: string): string | undefined {
  const pieces: string[] = [];
  for (;;) {
    const plain = written.get(`${name}*${pieces.length}`);
    const encoded = written.get(`${name}*${pieces.length}*`);
    if (plain !== undefined) pieces.push(plain);
    else if (encoded === undefined) break;
    else pieces.push((pieces.length === 0 ? inCharset(encoded) : percentDecoded(encoded)) ?? '');
  }
  return pieces.length === 0 ? undefined : pieces.join('');
}

function inCharset(text: string): string | undefined {
  const [, charset = '', encoded = ''] = /^([^']*)'[^']*'(.*)$/s.exec(text) ?? [];
  return /^(us-ascii|utf-8)$/i.test(charset) ? percentDecoded(encoded) : undefined;
}

function percentDecoded(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  const bytes = Buffer.from(text).toString('latin1');
  const decoded = bytes.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, 'latin1').toString('utf8');
}

function invalidParameter(): ParseFailure {
  return new ParseFailure('mime: invalid media parameter');
}
