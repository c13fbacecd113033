/** The first PEM block of a text, found as Go's `encoding/pem` finds it. */
import { decodeBase64 } from './encoding.ts';

export interface PemBlock {
  readonly type: string;
  readonly bytes: Buffer;
  /** what follows the line of its end */
  readonly rest: string;
}

const BEGIN = '-----BEGIN ';
const END = '\n-----END ';
const DASHES = '-----';
const SPACES_AT_END = /[ \t]+$/;

/** @returns undefined  where there is none */
export function firstPemBlock(text: string): PemBlock | undefined {
  let rest = text;
  for (;;) {
    const end = rest.indexOf(END);
    if (end === -1) return undefined;
    const afterEnd = end + END.length;
    const begin = rest.lastIndexOf(BEGIN, end - BEGIN.length);
    const isAtLineStart = begin === 0 || (begin > 0 && rest[begin - 1] === '\n');
    const block =
      isAtLineStart && end >= BEGIN.length
        ? readBlock(rest.slice(begin + BEGIN.length), end - begin - BEGIN.length)
        : undefined;
    if (block !== undefined) return block;
    rest = rest.slice(afterEnd);
  }
}

/** @param end  where the line break before the line of the end is */
function readBlock(text: string, end: number): PemBlock | undefined {
  const typeLine = lineAt(text, 0);
  if (!typeLine.text.endsWith(DASHES)) return undefined;
  const type = typeLine.text.slice(0, -DASHES.length);
  let from = typeLine.next;
  let headers = 0;
  for (;;) {
    if (from >= text.length) return undefined;
    const line = lineAt(text, from);
    if (!line.text.includes(':')) break;
    headers += 1;
    from = line.next;
  }
  if (headers > 0 && end < from) return undefined;
  const trailer = text.slice(end + END.length);
  if (!trailer.startsWith(type + DASHES)) return undefined;
  if (lineAt(trailer, type.length + DASHES.length).text !== '') return undefined;
  const bytes = end > from ? decodeBase64(text.slice(from, end).replaceAll(/[ \t]/g, '')) : Buffer.alloc(0);
  if (bytes === undefined) return undefined;
  return { type, bytes, rest: trailer.slice(lineAt(trailer, 0).next) };
}

interface Line {
  /** without spaces at its end */
  readonly text: string;
  readonly next: number;
}

function lineAt(text: string, from: number): Line {
  const found = text.indexOf('\n', from);
  if (found === -1) return { text: text.slice(from).replace(SPACES_AT_END, ''), next: text.length };
  const end = found > from && text[found - 1] === '\r' ? found - 1 : found;
  return { text: text.slice(from, end).replace(SPACES_AT_END, ''), next: found + 1 };
}
