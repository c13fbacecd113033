/**
 * Envoy's question in our words: the bytes of an `envoy.service.auth.v3.CheckRequest` as an AuthorizationRequest.
 *
 * The Rego input is opa-envoy-plugin's, plus `identity`. Three differences, all for `encode_raw_headers`: headers
 * that came in `header_map` are shown in `headers` too (lower case, several values joined with `,`, so that both
 * settings of Envoy look the same to a policy); what is not UTF-8 in a raw value is U+FFFD there and exact, as
 * base64, in `headerMap`; and bodies are parsed in both cases.
 *
 * What cannot be parsed is a Failure, or, if the options say so, left out of the input and told in `parse_error`. What
 * would hurt the evaluator, or what nobody could show, is a Failure in any case.
 */
import type { AuthorizationRequest } from '../core/authorization-request.ts';
import { Failure } from '../core/failure.ts';
import { type InputReads, readsBelow } from '../core/input-reads.ts';
import type { JsonObject } from '../core/json.ts';
import { CHECK_REQUEST } from './check-request-types.ts';
import { JsonWriter } from './json-writer.ts';
import { expectSpread } from './key-spread.ts';
import { type ParseError, ParseFailure } from './parse-failure.ts';
import { type ParsedBody, parseBody } from './parsed-body.ts';
import { parsePath, parseTargetQuery } from './parsed-path.ts';
import { writeMessage } from './protobuf-json.ts';
import {
  listAt,
  type MapValue,
  type Message,
  mapAt,
  messageAt,
  type Span,
  setValue,
  spanAt,
} from './protobuf-message.ts';
import { isUtf8Span, readMessage } from './protobuf-reader.ts';
import type { Reading } from './reading.ts';

/** What may be believed of who sent the bytes. */
export interface Belief {
  /** the peer is enrolled: who it says its client is counts */
  readonly identityFields: boolean;
}

export interface CheckRequest extends AuthorizationRequest {
  /** HTTP method; '' when there is none */
  readonly method: string;
  /** path and query as the proxy sends them on */
  readonly target: string;
}

const NO_HEADERS: ReadonlyMap<string, MapValue> = new Map();
const NOWHERE: Span = { start: 0, end: 0 };
const VERSION = '"version":{"ext_authz":"v3","encoding":"protojson"}';

/** @throws Failure request_malformed  when a strict decoder refuses the bytes */
export function fromCheckRequest(bytes: Uint8Array, belief: Belief, reading: Reading = {}): CheckRequest {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes = messageAt(readMessage(CHECK_REQUEST, buffer), 1);
  if (!belief.identityFields) {
    forgetIdentity(messageAt(attributes, 1));
    forgetIdentity(messageAt(attributes, 2));
  }
  return new WireRequest(buffer, attributes, reading);
}

function forgetIdentity(peer: Message | undefined): void {
  setValue(peer, 4, undefined);
  setValue(peer, 5, undefined);
}

class WireRequest implements CheckRequest {
  readonly #bytes: Buffer;
  readonly #attributes: Message | undefined;
  readonly #http: Message | undefined;
  /** as they came in `headers`; empty with `encode_raw_headers` */
  readonly #plainHeaders: ReadonlyMap<string, MapValue>;
  readonly #reading: Reading;
  #merged: ReadonlyMap<string, MapValue> | undefined;

  constructor(bytes: Buffer, attributes: Message | undefined, reading: Reading) {
    this.#bytes = bytes;
    this.#attributes = attributes;
    this.#reading = reading;
    this.#http = messageAt(messageAt(attributes, 4), 2);
    this.#plainHeaders = mapAt(this.#http, 3) ?? NO_HEADERS;
  }

  get method(): string {
    return this.#text(spanAt(this.#http, 2));
  }

  get target(): string {
    return this.#text(spanAt(this.#http, 4));
  }

  get sourcePrincipal(): string {
    return this.#text(spanAt(messageAt(this.#attributes, 1), 4));
  }

  get sourceCertificate(): string {
    return this.#text(spanAt(messageAt(this.#attributes, 1), 5));
  }

  contextExtension(name: string): string | undefined {
    const value = mapAt(this.#attributes, 10)?.get(name);
    return value === undefined ? undefined : this.#mapText(value);
  }

  headerValues(name: string): readonly string[] {
    const values: string[] = [];
    for (const header of this.#headerMap()) {
      if (this.#text(spanAt(header, 1)).toLowerCase() === name) values.push(this.#text(headerValue(header)));
    }
    for (const [key, value] of this.#plainHeaders) {
      if (key.toLowerCase() === name) values.push(this.#mapText(value));
    }
    return values;
  }

  writeInput(identity: JsonObject, reads: InputReads = true): Uint8Array {
    this.#merged ??= this.#mergeHeaders();
    const headers = this.#merged;
    setValue(this.#http, 3, headers);
    const { target } = this;
    const parts = new Parts(this.#reading.parseErrors === 'input');
    const path = parts.parse('path', () => parsePath(target));
    const query = parts.parse('query', () => parseTargetQuery(target));
    const body =
      path === undefined || this.#reading.parseBodies === false
        ? undefined
        : parts.parse('body', () => this.#parseBody(headers, path));

    const to = new JsonWriter(reads === true ? this.#bytes.length * 2 + 1024 : 1024);
    const isRead = (name: string): boolean => readsBelow(reads, name) !== undefined;
    to.raw('{');
    const below = readsBelow(reads, 'attributes');
    if (this.#attributes !== undefined && below !== undefined) {
      to.raw('"attributes":');
      writeMessage(to, this.#bytes, this.#attributes, below);
      to.raw(',');
    }
    if (path !== undefined && isRead('parsed_path')) {
      to.raw('"parsed_path":');
      to.value(path);
      to.raw(',');
    }
    if (query !== undefined && isRead('parsed_query')) {
      to.raw('"parsed_query":');
      writeQuery(to, query);
      to.raw(',');
    }
    if (body !== undefined && isRead('parsed_body')) {
      to.raw('"parsed_body":');
      to.json(body.json);
      to.raw(',');
    }
    if (body !== undefined && isRead('truncated_body')) to.raw(`"truncated_body":${body.truncated},`);
    if (parts.error !== undefined) {
      to.raw('"parse_error":');
      to.value({ ...parts.error });
      to.raw(',');
    }
    to.raw(VERSION);
    const principal = spanAt(messageAt(this.#attributes, 1), 4);
    if (principal !== undefined && isRead('source_principal')) {
      to.raw(',"source_principal":');
      to.utf8(this.#bytes, principal);
    }
    if (isRead('identity')) {
      to.raw(',"identity":');
      to.value(identity);
    }
    to.raw('}');
    return to.finish();
  }

  #parseBody(headers: ReadonlyMap<string, MapValue>, path: readonly string[]): ParsedBody {
    const [text, raw] = [spanAt(this.#http, 11), spanAt(this.#http, 12)];
    return parseBody(
      {
        header: (name) => {
          const value = headers.get(name);
          return value === undefined ? undefined : this.#mapText(value);
        },
        bytes: this.#bytesAt(text ?? raw),
        rawBytes: this.#bytesAt(raw),
        path,
      },
      this.#reading.grpc,
    );
  }

  #bytesAt({ start, end }: Span = NOWHERE): Buffer {
    return this.#bytes.subarray(start, end);
  }

  /**
   * One set of headers from both forms.
   *
   * @throws Failure request_malformed  when a name stands in both: nobody could tell which one the upstream gets
   */
  #mergeHeaders(): ReadonlyMap<string, MapValue> {
    const raw = this.#headerMap();
    if (raw.length === 0) {
      expectSpread(this.#plainHeaders);
      return this.#plainHeaders;
    }
    const headers = new Map<string, MapValue>();
    for (const header of raw) {
      const key = this.#text(spanAt(header, 1)).toLowerCase();
      const span = headerValue(header);
      const value = isUtf8Span(this.#bytes, span) ? span : this.#text(span);
      const before = headers.get(key);
      headers.set(key, before === undefined ? value : `${this.#mapText(before)},${this.#mapText(value)}`);
    }
    for (const [key, value] of this.#plainHeaders) {
      if (headers.has(key))
        throw new Failure('request_malformed', 'a header stands in headers and in header_map');
      headers.set(key, value);
    }
    expectSpread(headers);
    return headers;
  }

  #headerMap(): readonly Message[] {
    return listAt(messageAt(this.#http, 13), 1);
  }

  #mapText(value: MapValue): string {
    if (typeof value === 'string') return value;
    return 'type' in value ? '' : this.#text(value);
  }

  #text(span: Span | undefined): string {
    return span === undefined ? '' : this.#bytes.toString('utf8', span.start, span.end);
  }
}

/** Parses part by part; keeps the first that cannot be parsed, or lets it end the whole. */
class Parts {
  error: ParseError | undefined;
  readonly #keeps: boolean;

  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }

  /** @returns undefined when it cannot be parsed */
  parse<T>(part: ParseError['part'], read: () => T): T | undefined {
    try {
      return read();
    } catch (thrown) {
      if (!this.#keeps || !(thrown instanceof ParseFailure)) throw thrown;
      this.error ??= { part, message: thrown.detail };
      return undefined;
    }
  }
}

/** Envoy fills `raw_value` with `encode_raw_headers`, else `value`; never both. */
function headerValue(header: Message): Span {
  return spanAt(header, 3) ?? spanAt(header, 2) ?? NOWHERE;
}

function writeQuery(to: JsonWriter, query: ReadonlyMap<string, readonly string[]>): void {
  let separator = '{';
  for (const [key, values] of query) {
    to.raw(separator);
    separator = ',';
    to.string(key);
    to.raw(':');
    to.value(values);
  }
  to.raw(separator === '{' ? '{}' : '}');
}
