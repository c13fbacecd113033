/**
 * Quoted-printable (RFC 2045, section 6.7) as Go's `quotedprintable.Reader` reads it: `=` at the end of a line, also
 * before a bare LF or at the very end, joins lines; `=` before anything but two hex digits is an `=`; white space at
 * the end of a line goes.
 */
import { ParseFailure } from './parse-failure.ts';

/** As long as a line may be, with its end: the peer's buffer. */
const MAX_LINE = 4096;
/** control characters but tab, CR and LF */
const NOT_PLAIN = /(?![\t\r\n])\p{Cc}/u;

/** @param text  bytes as latin1; so is the result. @throws ParseFailure */
export function decodeQuotedPrintable(text: string): string {
  const lines: string[] = [];
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('\n', at);
    const end = found < 0 ? text.length : found + 1;
    if (end - at > MAX_LINE || (found < 0 && end - at === MAX_LINE))
      throw new ParseFailure('bufio: buffer full');
    lines.push(decodeLine(text.slice(at, end), found < 0));
    at = end;
  }
  return lines.join('');
}

function decodeLine(whole: string, isLast: boolean): string {
  let length = whole.length;
  while (length > 0 && '\n\r \t'.includes(whole.charAt(length - 1))) length -= 1;
  const line = whole.slice(0, length);
  const ending = whole.slice(length).replace(/^[ \t]+/, '');
  if (line.endsWith('=')) {
    const kept = line.slice(0, -1);
    if (!/^\r?\n/.test(ending) && !(ending === '' && kept !== '' && isLast))
      throw new ParseFailure('quotedprintable: invalid bytes after =');
    return unescapeLine(kept);
  }
  if (!whole.endsWith('\n')) return unescapeLine(line);
  return unescapeLine(line) + (whole.endsWith('\r\n') ? '\r\n' : '\n');
}

function unescapeLine(line: string): string {
  if (/=(?:[\r\n]|$)/.test(line)) throw new ParseFailure('quotedprintable: invalid hex byte');
  if (NOT_PLAIN.test(line)) throw new ParseFailure('quotedprintable: invalid unescaped byte in body');
  return line.replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
