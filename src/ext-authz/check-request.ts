/**
 * Envoy's question in our words: the bytes of an `envoy.service.auth.v3.CheckRequest` as an AuthorizationRequest.
 *
 * The Rego input is opa-envoy-plugin's, plus `identity`. Three differences, all for `encode_raw_headers`: headers
 * that came in `header_map` are shown in `headers` too (lower case, several values joined with `,`, so that both
 * settings of Envoy look the same to a policy); what is not UTF-8 in a raw value is U+FFFD there and exact, as
 * base64, in `headerMap`; and bodies are parsed in both cases.
 */
import type { AuthorizationRequest } from '../core/authorization-request.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { CHECK_REQUEST } from './check-request-types.ts';
import { JsonWriter } from './json-writer.ts';
import { expectSpread } from './key-spread.ts';
import { parseBody } from './parsed-body.ts';
import { parsePath } from './parsed-path.ts';
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
const VERSION = ',"version":{"ext_authz":"v3","encoding":"protojson"}';

/** @throws Failure request_malformed  when a strict decoder refuses the bytes */
export function fromCheckRequest(bytes: Uint8Array, belief: Belief): CheckRequest {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes = messageAt(readMessage(CHECK_REQUEST, buffer), 1);
  if (!belief.identityFields) {
    forgetIdentity(messageAt(attributes, 1));
    forgetIdentity(messageAt(attributes, 2));
  }
  return new WireRequest(buffer, attributes);
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
  #merged: Map<string, MapValue> | undefined;

  constructor(bytes: Buffer, attributes: Message | undefined) {
    this.#bytes = bytes;
    this.#attributes = attributes;
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

  writeInput(identity: JsonObject): Uint8Array {
    const http = this.#http;
    this.#merged ??= this.#mergeHeaders();
    const headers = this.#merged;
    setValue(http, 3, headers);
    const target = parsePath(this.target);
    const body = spanAt(http, 11) ?? spanAt(http, 12);
    const parsed = parseBody({
      header: (name) => {
        const value = headers.get(name);
        return value === undefined ? undefined : this.#mapText(value);
      },
      bytes: this.#bytes.subarray(body?.start ?? 0, body?.end ?? 0),
    });

    const to = new JsonWriter(this.#bytes.length * 2 + 1024);
    to.raw('{');
    if (this.#attributes !== undefined) {
      to.raw('"attributes":');
      writeMessage(to, this.#bytes, this.#attributes);
      to.raw(',');
    }
    to.raw('"parsed_path":');
    to.value(target.path);
    to.raw(',"parsed_query":');
    writeQuery(to, target.query);
    to.raw(',"parsed_body":');
    to.json(parsed.json);
    to.raw(`,"truncated_body":${parsed.truncated}`);
    to.raw(VERSION);
    const principal = spanAt(messageAt(this.#attributes, 1), 4);
    if (principal !== undefined) {
      to.raw(',"source_principal":');
      to.utf8(this.#bytes, principal);
    }
    to.raw(',"identity":');
    to.value(identity);
    to.raw('}');
    return to.finish();
  }

  /**
   * One set of headers from both forms.
   *
   * @throws Failure request_malformed  when a name stands in both: nobody could tell which one the upstream gets
   */
  #mergeHeaders(): Map<string, MapValue> {
    const headers = new Map<string, MapValue>();
    for (const header of this.#headerMap()) {
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
