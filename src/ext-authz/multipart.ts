/**
 * The parts of a `multipart/form-data` body as Go's `mime/multipart` reads them (RFC 2046, section 5.1): lines end
 * with CRLF, or with bare LF where the first boundary does; what stands before the first boundary is skipped; a part
 * whose header never ends is left out without a word, as is what follows the last boundary.
 *
 * Bytes travel as latin1 text; each search goes on where the one before ended, so that the work is linear.
 */
import { parseMediaType } from './media-type.ts';
import { ParseFailure } from './parse-failure.ts';
import { readPartHeader } from './part-header.ts';
import { decodeQuotedPrintable } from './quoted-printable.ts';

export interface FormPart {
  readonly name: string;
  readonly contentType: string;
  readonly content: Buffer;
}

const MAX_PARTS = 10_000;
/** As long as a line between parts may be: the peer's buffer. */
const MAX_LINE = 4096;

/**
 * @param bytes  the body as latin1
 * @returns those parts that are fields of a form, in order
 * @throws ParseFailure
 */
export function readFormParts(bytes: string, boundary: string): readonly FormPart[] {
  if (boundary === '') throw new ParseFailure('multipart: boundary is empty');
  return new MultipartReader(bytes, Buffer.from(boundary).toString('latin1')).parts();
}

class MultipartReader {
  readonly #text: string;
  readonly #dashBoundary: string;
  #newline = '\r\n';
  #at = 0;
  #count = 0;

  constructor(text: string, boundary: string) {
    this.#text = text;
    this.#dashBoundary = `--${boundary}`;
  }

  parts(): readonly FormPart[] {
    const parts: FormPart[] = [];
    while (this.#findPart()) {
      if (this.#count > MAX_PARTS) throw new ParseFailure('the multipart body has too many parts');
      const header = readPartHeader(this.#text, this.#at);
      if (header === undefined) return parts;
      this.#at = header.end;
      const name = formName(header.fields.get('content-disposition') ?? '');
      const raw = this.#content();
      if (name === '') continue;
      if (raw === undefined) throw new ParseFailure('unexpected EOF');
      const coding = header.fields.get('content-transfer-encoding') ?? '';
      const content = coding.toLowerCase() === 'quoted-printable' ? decodeQuotedPrintable(raw) : raw;
      const contentType = header.fields.get('content-type') ?? '';
      parts.push({ name, contentType, content: Buffer.from(content, 'latin1') });
    }
    return parts;
  }

  /** Goes behind the next boundary line. @returns false at the last one */
  #findPart(): boolean {
    let separated = false;
    for (;;) {
      const line = this.#line();
      if (!line.endsWith('\n')) {
        if (this.#isLast(line)) return false;
        throw new ParseFailure(
          `multipart: NextPart: ${line.length === MAX_LINE ? 'bufio: buffer full' : 'EOF'}`,
        );
      }
      if (this.#isBoundary(line)) {
        this.#count += 1;
        return true;
      }
      if (this.#isLast(line)) return false;
      if (separated) throw unexpected('multipart: expecting a new Part; got line', line);
      if (this.#count === 0) continue;
      if (line !== this.#newline) throw unexpected('multipart: unexpected line in Next():', line);
      separated = true;
    }
  }

  /** To the next LF, or as much as the buffer or the body holds. */
  #line(): string {
    const limit = this.#at + MAX_LINE;
    const window = this.#text.slice(this.#at, limit);
    const found = window.indexOf('\n');
    const line = found < 0 ? window : window.slice(0, found + 1);
    this.#at += line.length;
    return line;
  }

  #isBoundary(line: string): boolean {
    if (!line.startsWith(this.#dashBoundary)) return false;
    const rest = line.slice(this.#dashBoundary.length).replace(/^[ \t]+/, '');
    if (this.#count === 0 && rest === '\n') this.#newline = '\n';
    return rest === this.#newline;
  }

  #isLast(line: string): boolean {
    const last = `${this.#dashBoundary}--`;
    if (!line.startsWith(last)) return false;
    const rest = line.slice(last.length).replace(/^[ \t]+/, '');
    return rest === '' || rest === this.#newline;
  }

  /** Up to the line break before a boundary. @returns undefined when the body ends first */
  #content(): string | undefined {
    const start = this.#at;
    const dash = this.#dashBoundary;
    let from = start;
    if (this.#text.startsWith(dash, start)) {
      if (this.#endsBoundary(start + dash.length)) return '';
      from += dash.length;
    }
    const separator = this.#newline + dash;
    for (;;) {
      const found = this.#text.indexOf(separator, from);
      if (found < 0) {
        this.#at = this.#text.length;
        return undefined;
      }
      if (this.#endsBoundary(found + separator.length)) {
        this.#at = found;
        return this.#text.slice(start, found);
      }
      from = found + separator.length;
    }
  }

  #endsBoundary(at: number): boolean {
    const next = this.#text.charAt(at);
    return next === '' || ' \t\r\n'.includes(next) || (next === '-' && this.#text.charAt(at + 1) === '-');
  }
}

/** '' when it is no field of a form, or cannot be read. */
function formName(disposition: string): string {
  try {
    const { type, parameters } = parseMediaType(Buffer.from(disposition, 'latin1').toString('utf8'));
    return type === 'form-data' ? (parameters.get('name') ?? '') : '';
  } catch (thrown) {
    if (thrown instanceof ParseFailure) return '';
    throw thrown;
  }
}

function unexpected(what: string, line: string): ParseFailure {
  return new ParseFailure(what.replace(/[:;].*$/, ': an unexpected line'), `${what} ${JSON.stringify(line)}`);
}
