/**
 * Our answer in Envoy's words: `envoy.service.auth.v3.CheckResponse`.
 *
 * A denial and a Failure are both a non-zero `status` in an OK RPC: a failed RPC is an *error* for Envoy, which it
 * may be configured to let pass. A CheckResponse without bytes would be an allow; `status` is always written.
 *
 * Every header states its append action: Envoys before 1.40 overwrite whatever it says, later ones may read it, and
 * its zero value would add to a header that the client sent itself.
 */
import type { AllowObligations, Decision, DenyResponse, HeaderPair } from '../core/decision.ts';
import type { Failure, FailureCode } from '../core/failure.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

/** `HeaderValueOption.HeaderAppendAction` */
const APPEND_IF_EXISTS_OR_ADD = 0;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;
/** google.rpc.Code */
const OK = 0;
const PERMISSION_DENIED = 7;

const RETRY_AFTER_SECONDS = '1';

/** @param decisionId  goes into the dynamic metadata, in place of a member of that name */
export function toCheckResponse(decision: Decision, decisionId: string): Uint8Array {
  const to = new ProtobufWriter(512);
  if (decision.effect === 'allow') {
    writeStatus(to, OK);
    if (hasObligations(decision.obligations)) to.message(3, () => writeOkResponse(to, decision.obligations));
  } else {
    writeStatus(to, PERMISSION_DENIED);
    to.message(2, () => writeDeniedResponse(to, decision.response));
  }
  to.message(4, () => writeStruct(to, { ...decision.dynamicMetadata, decision_id: decisionId }));
  return to.finish();
}

/** The denial that says that no decision could be made. What went wrong on our side stays here. */
export function toFailureResponse(failure: Failure, decisionId: string): Uint8Array {
  const { row, code } = failure;
  const status = row.dataPlaneHttp ?? row.http;
  const problem = { status, code, title: row.title, ...(status < 500 && { detail: failure.detail }) };
  const to = new ProtobufWriter(512);
  writeStatus(to, row.grpc === OK ? PERMISSION_DENIED : row.grpc);
  to.message(2, () =>
    writeDeniedResponse(to, {
      status,
      headers: [['content-type', 'application/problem+json'], ...failureHeaders(code, row.http)],
      body: JSON.stringify(problem),
    }),
  );
  to.message(4, () => writeStruct(to, { decision_id: decisionId }));
  return to.finish();
}

function failureHeaders(code: FailureCode, http: number): readonly HeaderPair[] {
  if (http === 401) return [['www-authenticate', 'Bearer error="invalid_token"']];
  return code === 'overloaded' ? [['retry-after', RETRY_AFTER_SECONDS]] : [];
}

function writeStatus(to: ProtobufWriter, code: number): void {
  to.message(1, () => {
    if (code !== OK) to.varint(1, code);
  });
}

function hasObligations(obligations: AllowObligations): boolean {
  return Object.values(obligations).some((list) => list.length > 0);
}

function writeOkResponse(to: ProtobufWriter, obligations: AllowObligations): void {
  const seen = new Set<string>();
  for (const header of obligations.requestHeaders) {
    const name = header[0].toLowerCase();
    // of several values the first replaces what the client sent, the others join it
    if (seen.has(name)) writeHeader(to, 2, header, APPEND_IF_EXISTS_OR_ADD, true);
    else writeHeader(to, 2, header, OVERWRITE_IF_EXISTS_OR_ADD, false);
    seen.add(name);
  }
  for (const name of obligations.requestHeadersToRemove) to.string(5, name);
  writeAllHeaders(to, 6, obligations.responseHeaders);
  for (const [key, value] of obligations.queryParametersToSet) {
    to.message(7, () => {
      to.string(1, key);
      to.string(2, value);
    });
  }
  for (const name of obligations.queryParametersToRemove) to.string(8, name);
}

function writeDeniedResponse(to: ProtobufWriter, response: DenyResponse): void {
  to.message(1, () => to.varint(1, response.status));
  writeAllHeaders(to, 2, response.headers);
  if (response.body !== '') to.string(3, response.body);
}

/** Response headers: one value replaces, several of one name all add (an overwrite would lose all but one). */
function writeAllHeaders(to: ProtobufWriter, no: number, headers: readonly HeaderPair[]): void {
  const counts = new Map<string, number>();
  for (const [name] of headers) counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1);
  for (const header of headers) {
    const several = (counts.get(header[0].toLowerCase()) ?? 0) > 1;
    writeHeader(to, no, header, several ? APPEND_IF_EXISTS_OR_ADD : OVERWRITE_IF_EXISTS_OR_ADD, false);
  }
}

/** @param append  the deprecated BoolValue; the only thing that makes Envoy 1.40 append to a request header */
function writeHeader(
  to: ProtobufWriter,
  no: number,
  [name, value]: HeaderPair,
  action: number,
  append: boolean,
): void {
  to.message(no, () => {
    to.message(1, () => {
      to.string(1, name);
      to.string(2, value);
    });
    if (append) to.message(2, () => to.varint(1, 1));
    if (action !== 0) to.varint(3, action);
  });
}

function writeStruct(to: ProtobufWriter, members: JsonObject): void {
  for (const [key, value] of Object.entries(members)) {
    to.message(1, () => {
      to.string(1, key);
      to.message(2, () => writeValue(to, value));
    });
  }
}

function writeValue(to: ProtobufWriter, value: Json): void {
  if (value === null) to.varint(1, 0);
  else if (typeof value === 'number') to.double(2, value);
  else if (typeof value === 'string') to.string(3, value);
  else if (typeof value === 'boolean') to.varint(4, value ? 1 : 0);
  else if (isJsonObject(value)) to.message(5, () => writeStruct(to, value));
  else to.message(6, () => value.forEach((element) => to.message(1, () => writeValue(to, element))));
}
