/** The header of one part, as Go's `textproto` reads it: folded lines are joined, a space may stand before the colon. */
import { ParseFailure } from './parse-failure.ts';

export interface PartHeader {
  /** by name in lower case; of several fields of one name the first. A name with a space in it is nobody's */
  readonly fields: ReadonlyMap<string, string>;
  /** where the content begins */
  readonly end: number;
}

const MAX_FIELDS = 10_000;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z -]+$/;
/** every byte but the control characters; a tab is fine */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * @param text  bytes as latin1
 * @returns undefined when the text ends before the header does: the peer takes it for the end of the body
 * @throws ParseFailure
 */
export function readPartHeader(text: string, start: number): PartHeader | undefined {
  const fields = new Map<string, string>();
  let at = start;
  const line = (): string | undefined => {
    if (at >= text.length) return undefined;
    const found = text.indexOf('\n', at);
    const content = text.slice(at, found < 0 ? text.length : found);
    at = found < 0 ? text.length : found + 1;
    return found >= 0 && content.endsWith('\r') ? content.slice(0, -1) : content;
  };

  if (' \t'.includes(text.charAt(start) || 'x'))
    throw malformed('malformed MIME header initial line:', line() ?? '');
  for (let count = 0; ; count++) {
    const first = line();
    if (first === undefined) return undefined;
    if (first === '') return { fields, end: at };
    if (!first.includes(':')) throw malformed('malformed MIME header: missing colon:', first);
    const pieces = [trimmed(first)];
    while (text[at] === ' ' || text[at] === '\t') pieces.push(trimmed(line() ?? ''));
    addField(fields, pieces.join(' '));
    if (count >= MAX_FIELDS) throw new ParseFailure('multipart: message too large');
  }
}

function addField(fields: Map<string, string>, line: string): void {
  const cut = line.indexOf(':');
  const name = line.slice(0, cut);
  const value = line.slice(cut + 1).replace(/^[ \t]+/, '');
  if (!NAME.test(name) || !VALUE.test(value)) throw malformed('malformed MIME header line:', line);
  const key = name.includes(' ') ? name : name.toLowerCase();
  if (!fields.has(key)) fields.set(key, value);
}

function trimmed(line: string): string {
  return line.replace(/^[ \t]+|[ \t]+$/g, '');
}

function malformed(what: string, line: string): ParseFailure {
  return new ParseFailure(what.slice(0, -1), `${what} ${JSON.stringify(line)}`);
}
