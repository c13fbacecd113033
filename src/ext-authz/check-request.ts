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
import { type InputReads, readsBelow } from '../core/input-reads.ts';
import type { JsonObject } from '../core/json.ts';
import { CHECK_REQUEST } from './check-request-types.ts';
import { JsonWriter } from './json-writer.ts';
import { writeMessage } from './protobuf-json.ts';
import { type Message, mapAt, messageAt, setValue, spanAt } from './protobuf-message.ts';
import { readMessage } from './protobuf-reader.ts';
import type { Reading } from './reading.ts';
import { RequestHeaders } from './request-headers.ts';
import { RequestParts } from './request-parts.ts';
import type { Span } from './span.ts';

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

const TO_HEADERS = ['attributes', 'request', 'http', 'headers'];
const KEY = {
  attributes: Buffer.from('"attributes":'),
  principal: Buffer.from('"source_principal":'),
  identity: Buffer.from('"identity":'),
};
const VERSION = '"version":{"ext_authz":"v3","encoding":"protojson"},';

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
  readonly #headers: RequestHeaders;
  readonly #reading: Reading;

  constructor(bytes: Buffer, attributes: Message | undefined, reading: Reading) {
    this.#bytes = bytes;
    this.#attributes = attributes;
    this.#reading = reading;
    this.#http = messageAt(messageAt(attributes, 4), 2);
    this.#headers = new RequestHeaders(bytes, this.#http);
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
    const extensions = mapAt(this.#attributes, 10);
    const entry = extensions?.find(name) ?? -1;
    return entry < 0 ? undefined : this.#text(extensions?.valueAt(entry));
  }

  headerValues(name: string): readonly string[] {
    return this.#headers.values(name);
  }

  writeInput(identity: JsonObject, reads: InputReads = true): Uint8Array {
    this.#headers.expectClear();
    const parts = new RequestParts(this.#bytes, this.#http, this.#headers, this.#reading);
    const to = new JsonWriter(reads === true ? this.#bytes.length * 2 + 1024 : 1024);
    to.raw('{');
    this.#writeAttributes(to, reads);
    parts.writeTo(to, reads);
    if (readsBelow(reads, 'version') !== undefined) to.raw(VERSION);
    const principal = spanAt(messageAt(this.#attributes, 1), 4);
    if (principal !== undefined && readsBelow(reads, 'source_principal') !== undefined) {
      to.bytes(KEY.principal);
      to.utf8(this.#bytes, principal);
      to.raw(',');
    }
    const read = readsBelow(reads, 'identity');
    if (read !== undefined) {
      to.bytes(KEY.identity);
      to.value(identity, read);
      to.raw(',');
    }
    to.end('}');
    return to.finish();
  }

  #writeAttributes(to: JsonWriter, reads: InputReads): void {
    const read = readsBelow(reads, 'attributes');
    if (this.#attributes === undefined || read === undefined) return;
    if (this.#headers.areRaw) this.#showHeaders(reads);
    to.bytes(KEY.attributes);
    writeMessage(to, this.#bytes, this.#attributes, read);
    to.raw(',');
  }

  #showHeaders(reads: InputReads): void {
    const read = TO_HEADERS.reduce<InputReads | undefined>((at, name) => at && readsBelow(at, name), reads);
    if (read !== undefined) setValue(this.#http, 3, this.#headers.toShow(read));
  }

  #text(span: Span | undefined): string {
    return span === undefined ? '' : this.#bytes.toString('utf8', span.start, span.end);
  }
}
