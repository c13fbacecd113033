/**
 * Our answer in Envoy's words: `envoy.service.auth.v3.CheckResponse`.
 *
 * A denial and a Failure are both a non-zero `status` in an OK RPC: a failed RPC is an *error* for Envoy, which it
 * may be configured to let pass. A CheckResponse without bytes would be an allow; `status` is always written.
 *
 * Every header states its append action: see `append-actions.ts`.
 */
import type { AllowObligations, Decision, DenyResponse, HeaderPair } from '../core/decision.ts';
import type { Failure, FailureCode } from '../core/failure.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';
import { type HeaderOption, requestHeaderOptions, responseHeaderOptions } from './append-actions.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

/** google.rpc.Code */
const OK = 0;
const PERMISSION_DENIED = 7;

const RETRY_AFTER_SECONDS = '1';

/**
 * @param decisionId  goes into the dynamic metadata, in place of a member of that name
 * @param isSent  whether the request has a header of that name, in lower case
 */
export function toCheckResponse(
  decision: Decision,
  decisionId: string,
  isSent: (name: string) => boolean = () => false,
): Uint8Array {
  const to = new ProtobufWriter(512);
  if (decision.effect === 'allow') {
    writeStatus(to, OK);
    if (decision.bare !== true) to.message(3, () => writeOkResponse(to, decision.obligations, isSent));
  } else {
    writeStatus(to, PERMISSION_DENIED);
    if (decision.bare !== true) to.message(2, () => writeDeniedResponse(to, decision.response));
  }
  to.message(4, () => writeStruct(to, { ...decision.dynamicMetadata, decision_id: decisionId }));
  return to.finish();
}

/**
 * The denial that says that no decision could be made. What went wrong on our side stays here.
 *
 * @param headers  for the client, besides those of the problem
 */
export function toFailureResponse(
  failure: Failure,
  decisionId: string,
  headers: readonly HeaderPair[] = [],
): Uint8Array {
  const { row, code } = failure;
  const status = row.dataPlaneHttp ?? row.http;
  const problem = { status, code, title: row.title, ...(status < 500 && { detail: failure.detail }) };
  const to = new ProtobufWriter(512);
  writeStatus(to, row.grpc === OK ? PERMISSION_DENIED : row.grpc);
  to.message(2, () =>
    writeDeniedResponse(to, {
      status,
      headers: [['content-type', 'application/problem+json'], ...failureHeaders(code, row.http), ...headers],
      body: JSON.stringify(problem),
    }),
  );
  to.message(4, () => writeStruct(to, { decision_id: decisionId }));
  return to.finish();
}

/** What opa-envoy-plugin answers to a request that it cannot parse. */
export function toParseRefusal(text: string): Uint8Array {
  const to = new ProtobufWriter(256);
  writeStatus(to, PERMISSION_DENIED, text);
  to.message(2, () => writeDeniedResponse(to, { status: 400, headers: [], body: text }));
  return to.finish();
}

function failureHeaders(code: FailureCode, http: number): readonly HeaderPair[] {
  if (http === 401) return [['www-authenticate', 'Bearer error="invalid_token"']];
  return code === 'overloaded' ? [['retry-after', RETRY_AFTER_SECONDS]] : [];
}

function writeStatus(to: ProtobufWriter, code: number, message = ''): void {
  to.message(1, () => {
    if (code !== OK) to.varint(1, code);
    if (message !== '') to.string(2, message);
  });
}

function writeOkResponse(
  to: ProtobufWriter,
  obligations: AllowObligations,
  isSent: (name: string) => boolean,
): void {
  for (const option of requestHeaderOptions(obligations.requestHeaders, isSent)) writeHeader(to, 2, option);
  for (const name of obligations.requestHeadersToRemove) to.string(5, name);
  for (const option of responseHeaderOptions(obligations.responseHeaders)) writeHeader(to, 6, option);
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
  for (const option of responseHeaderOptions(response.headers)) writeHeader(to, 2, option);
  if (response.body !== '') to.string(3, response.body);
}

function writeHeader(to: ProtobufWriter, no: number, { name, value, action, append }: HeaderOption): void {
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
