/**
 * `parsed_path`, `parsed_query`, `parsed_body` and `truncated_body` of a request. What cannot be parsed is refused, or
 * told in `parse_error`, also where nobody reads it, or the answer would depend on the policy. But most targets can be
 * seen to be good without being parsed, and then each part is made for who reads it.
 */
import { type InputReads, readsBelow } from '../core/input-reads.ts';
import type { JsonWriter } from './json-writer.ts';
import { type ParseError, ParseFailure } from './parse-failure.ts';
import { type BodySource, type ParsedBody, parseBody } from './parsed-body.ts';
import { isPlainTarget, parsePath, parseTargetQuery, writePlainPath } from './parsed-path.ts';
import { type Message, spanAt } from './protobuf-message.ts';
import type { Reading } from './reading.ts';
import type { RequestHeaders } from './request-headers.ts';
import type { Span } from './span.ts';

type Query = ReadonlyMap<string, readonly string[]>;

const PARSED_PATH = Buffer.from('"parsed_path":');
const NOWHERE: Span = { start: 0, end: 0 };

export class RequestParts {
  readonly #bytes: Buffer;
  readonly #http: Message | undefined;
  readonly #target: Span;
  /** nothing in the target can be refused: path and query are parsed when they are read */
  readonly #isPlain: boolean;
  readonly #reading: Reading;
  #path: readonly string[] | undefined;
  #query: Query | undefined;
  readonly #body: ParsedBody | undefined;
  #error: ParseError | undefined;

  /** @throws ParseFailure, Failure request_malformed  when a part cannot be parsed, and that is not to be told */
  constructor(bytes: Buffer, http: Message | undefined, headers: RequestHeaders, reading: Reading) {
    this.#bytes = bytes;
    this.#http = http;
    this.#reading = reading;
    this.#target = spanAt(http, 4) ?? NOWHERE;
    this.#isPlain = isPlainTarget(bytes, this.#target);
    if (!this.#isPlain) {
      this.#path = this.#attempt('path', () => parsePath(this.#targetText()));
      this.#query = this.#attempt('query', () => parseTargetQuery(this.#targetText()));
    }
    const hasPath = this.#isPlain || this.#path !== undefined;
    if (hasPath && reading.parseBodies !== false)
      this.#body = this.#attempt('body', () => this.#parseBody(headers));
  }

  /** Writes the members that are read, each with a comma behind it. */
  writeTo(to: JsonWriter, reads: InputReads): void {
    const isRead = (name: string): boolean => readsBelow(reads, name) !== undefined;
    if (isRead('parsed_path')) this.#writePath(to);
    if (isRead('parsed_query')) this.#writeQuery(to);
    const body = this.#body;
    if (body !== undefined && isRead('parsed_body')) {
      to.raw('"parsed_body":');
      to.json(body.json);
      to.raw(',');
    }
    if (body !== undefined && isRead('truncated_body')) to.raw(`"truncated_body":${body.truncated},`);
    if (this.#error !== undefined) {
      to.raw('"parse_error":');
      to.value({ ...this.#error });
      to.raw(',');
    }
  }

  #writePath(to: JsonWriter): void {
    if (!this.#isPlain && this.#path === undefined) return;
    to.bytes(PARSED_PATH);
    if (this.#path === undefined) writePlainPath(to, this.#bytes, this.#target);
    else to.value(this.#path);
    to.raw(',');
  }

  #writeQuery(to: JsonWriter): void {
    const query = this.#isPlain ? parseTargetQuery(this.#targetText()) : this.#query;
    if (query === undefined) return;
    to.raw('"parsed_query":{');
    for (const [key, values] of query) {
      to.string(key);
      to.raw(':');
      to.value(values);
      to.raw(',');
    }
    to.end('}');
    to.raw(',');
  }

  /** Of parts that cannot be parsed the first is told, or ends the whole. */
  #attempt<T>(part: ParseError['part'], parse: () => T): T | undefined {
    try {
      return parse();
    } catch (thrown) {
      if (this.#reading.parseErrors !== 'input' || !(thrown instanceof ParseFailure)) throw thrown;
      this.#error ??= { part, message: thrown.detail };
      return undefined;
    }
  }

  #parseBody(headers: RequestHeaders): ParsedBody {
    const path = (): readonly string[] => this.#path ?? parsePath(this.#targetText());
    return parseBody(new WireBody(this.#bytes, this.#http, headers, path), this.#reading.grpc);
  }

  #targetText(): string {
    return this.#bytes.toString('utf8', this.#target.start, this.#target.end);
  }
}

/** Of most requests no body is parsed, so what that takes is made when it is asked for. */
class WireBody implements BodySource {
  readonly #all: Buffer;
  readonly #http: Message | undefined;
  readonly #headers: RequestHeaders;
  readonly #path: () => readonly string[];

  constructor(
    all: Buffer,
    http: Message | undefined,
    headers: RequestHeaders,
    path: () => readonly string[],
  ) {
    this.#all = all;
    this.#http = http;
    this.#headers = headers;
    this.#path = path;
  }

  header(name: string): string | undefined {
    return this.#headers.text(name);
  }

  get bytes(): Buffer {
    return this.#bytesAt(spanAt(this.#http, 11) ?? spanAt(this.#http, 12));
  }

  get rawBytes(): Buffer {
    return this.#bytesAt(spanAt(this.#http, 12));
  }

  get path(): readonly string[] {
    return this.#path();
  }

  #bytesAt({ start, end }: Span = NOWHERE): Buffer {
    return this.#all.subarray(start, end);
  }
}
