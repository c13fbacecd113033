/**
 * What a policy said, as a Decision: opa-envoy-plugin's result document.
 *
 * `true`, `false`, or an object with a boolean `allowed`. Keys that only make sense on an allow are not looked at on
 * a denial, and the other way round; unknown keys are ignored. Three differences, all towards closed: undefined is a
 * denial, not an RPC error; every odd shape is one too (Failure policy_failed); and a header that no proxy can send
 * is an odd shape, since a proxy that drops `x-user` would let the client's own pass. And one addition, where the
 * peer knows nothing but an error: a header's value may be `{"value": …, "append_action": …}`.
 */
import type { AllowObligations, AppendAction, Decision, HeaderPair } from '../core/decision.ts';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { deny } from './denial.ts';
import { isDenialStatus, isIntegerText } from './http-status.ts';

const BARE_ALLOW: Decision = {
  effect: 'allow',
  reason: 'policy_allowed',
  bare: true,
  obligations: {
    requestHeaders: [],
    requestHeadersToRemove: [],
    responseHeaders: [],
    queryParametersToSet: [],
    queryParametersToRemove: [],
  },
  dynamicMetadata: {},
};
const BARE_DENIAL: Decision = {
  effect: 'deny',
  reason: 'policy_denied',
  bare: true,
  response: { status: 403, headers: [], body: '' },
  dynamicMetadata: {},
};
const APPEND_ACTIONS: ReadonlySet<string> = new Set<AppendAction>([
  'append_if_exists_or_add',
  'add_if_absent',
  'overwrite_if_exists_or_add',
  'overwrite_if_exists',
]);
/** Levels of objects and lists in `dynamic_metadata`: three messages each, and Envoy reads 100. */
const MAX_METADATA_DEPTH = 30;
/** RFC 9110, section 5.1; a leading colon for the pseudo headers of HTTP/2 */
const HEADER_NAME = /^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Envoy 1.40 sends these as it gets them, whatever the message is (RFC 9112, section 6). */
const FRAMING = /^(content-length|transfer-encoding)$/i;
/** `:status` is one of them: it makes Envoy send a body behind a status that has none. */
const RESPONSE_FRAMING = /^(content-length|transfer-encoding|:.*)$/i;
/** RFC 9110, section 5.5 */
const NOT_IN_A_HEADER_VALUE = ['\0', '\r', '\n'];

/** What a policy said; `text` is the JSON of `value`, with the text of its numbers. */
export type RawResult =
  | { readonly defined: false }
  | { readonly defined: true; readonly value: Json; readonly text: string };

/** @throws Failure policy_failed  when the result has not the form of a decision */
export function toDecision(result: RawResult): Decision {
  if (!result.defined) return deny('policy_undefined');
  const { value } = result;
  if (typeof value === 'boolean') return value ? BARE_ALLOW : BARE_DENIAL;
  if (!isJsonObject(value)) throw odd('the result is neither a boolean nor an object');
  const verdict = own(value, 'allowed');
  if (typeof verdict !== 'boolean') throw odd('`allowed` is not a boolean');
  return verdict ? allowed(value) : denied(value, result.text);
}

function allowed(value: JsonObject): Decision {
  return {
    effect: 'allow',
    reason: 'policy_allowed',
    obligations: obligationsOf(value),
    dynamicMetadata: metadataOf(value),
  };
}

function obligationsOf(value: JsonObject): AllowObligations {
  return {
    requestHeaders: unframed(headersOf(value, 'headers'), FRAMING, 'headers'),
    requestHeadersToRemove: namesOf(value, 'request_headers_to_remove'),
    responseHeaders: unframed(
      headersOf(value, 'response_headers_to_add'),
      RESPONSE_FRAMING,
      'response_headers_to_add',
    ),
    queryParametersToSet: pairsOf(own(value, 'query_parameters_to_set'), 'query_parameters_to_set', toText),
    queryParametersToRemove: stringsOf(value, 'query_parameters_to_remove'),
  };
}

function denied(value: JsonObject, text: string): Decision {
  const body = own(value, 'body') ?? (Object.hasOwn(value, 'body') ? null : '');
  if (typeof body !== 'string') throw odd('`body` is not a string');
  return {
    effect: 'deny',
    reason: 'policy_denied',
    response: { status: statusOf(value, text), headers: headersOf(value, 'headers'), body },
    dynamicMetadata: metadataOf(value),
  };
}

function statusOf(value: JsonObject, text: string): number {
  const status = own(value, 'http_status');
  if (status === undefined) return 403;
  if (typeof status !== 'number' || !isDenialStatus(status)) {
    throw odd('`http_status` is not a status that a proxy can answer');
  }
  if (!isIntegerText(text, 'http_status')) throw odd('`http_status` is not written as an integer');
  return status;
}

/** An object, or a list of objects; each value a string, a value with its append action, or a list of these. */
function headersOf(value: JsonObject, key: string): readonly HeaderPair[] {
  const headers = own(value, key);
  const groups = Array.isArray(headers) ? headers : [headers];
  const pairs = groups.flatMap((group: Json | undefined): readonly HeaderPair[] =>
    pairsOf(group, key, toHeaderValue),
  );
  for (const [name, content] of pairs) {
    if (!HEADER_NAME.test(name)) throw odd(`\`${key}\` holds a name that is no header name`);
    if (NOT_IN_A_HEADER_VALUE.some((character) => content.includes(character)))
      throw odd(`\`${key}\` holds a value that no header can have`);
  }
  return pairs;
}

function toHeaderValue(element: Json, key: string): readonly [string, AppendAction?] {
  if (!isJsonObject(element)) return toText(element, key);
  const { value, append_action: action, ...others } = element;
  if (typeof value !== 'string' || Object.keys(others).length > 0)
    throw odd(`\`${key}\` holds an object that is not a value with its append action`);
  if (!isAppendAction(action)) throw odd(`\`${key}\` holds an unknown append action`);
  return [value, action];
}

function isAppendAction(value: Json | undefined): value is AppendAction {
  return typeof value === 'string' && APPEND_ACTIONS.has(value);
}

function toText(element: Json, key: string): readonly [string] {
  if (typeof element !== 'string') throw odd(`\`${key}\` holds a value that is not a string`);
  return [element];
}

/** Of a forwarded message only the proxy says where it ends: the next one would begin in the middle of it. */
function unframed(pairs: readonly HeaderPair[], framing: RegExp, key: string): readonly HeaderPair[] {
  if (pairs.some(([name]) => framing.test(name))) throw odd(`\`${key}\` says where a message ends`);
  return pairs;
}

function pairsOf<V extends readonly unknown[]>(
  group: Json | undefined,
  key: string,
  read: (element: Json, key: string) => V,
): readonly (readonly [name: string, ...V])[] {
  if (group === undefined) return [];
  if (!isJsonObject(group)) throw odd(`\`${key}\` is not an object`);
  return Object.entries(group).flatMap(([name, content]) =>
    (Array.isArray(content) ? content : [content]).map(
      (element: Json) => [name, ...read(element, key)] as const,
    ),
  );
}

function stringsOf(value: JsonObject, key: string): readonly string[] {
  const list = own(value, key);
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw odd(`\`${key}\` is not a list`);
  return list.map((element: Json) => {
    if (typeof element !== 'string') throw odd(`\`${key}\` holds a value that is not a string`);
    return element;
  });
}

/** A proxy skips what is no name, and the header that was meant would stay. */
function namesOf(value: JsonObject, key: string): readonly string[] {
  const names = stringsOf(value, key);
  if (!names.every((name) => HEADER_NAME.test(name)))
    throw odd(`\`${key}\` holds a name that is no header name`);
  return names;
}

function metadataOf(value: JsonObject): JsonObject {
  const metadata = own(value, 'dynamic_metadata');
  if (metadata === undefined) return {};
  if (!isJsonObject(metadata)) throw odd('`dynamic_metadata` is not an object');
  expectStruct(metadata, MAX_METADATA_DEPTH);
  return metadata;
}

/** A number beyond a double is infinite by now: in a Struct there is none, and it has no JSON form for a log. */
function expectStruct(value: Json, levels: number): void {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw odd('`dynamic_metadata` holds a number that is too large');
  if (typeof value !== 'object' || value === null) return;
  if (levels === 0) throw odd('`dynamic_metadata` is nested too deeply');
  for (const member of Object.values(value)) expectStruct(member, levels - 1);
}

/** A policy may name a member `constructor`; what it did not name is not there. */
function own(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function odd(detail: string): Failure {
  return new Failure('policy_failed', detail);
}
