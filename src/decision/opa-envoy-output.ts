/**
 * What a policy said, as opa-envoy-plugin takes it: for `compatibility: opa-envoy`. What the plugin answers with an
 * RPC error is a Failure policy_failed here whose detail is the plugin's own text; all else is as in `output.ts`,
 * whose additions do not hold then, and whose stricter rules (what no proxy can send) do.
 */
import type { Decision } from '../core/decision.ts';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { memberNumberText } from '../policy/number-text.ts';
import { isDenialStatus } from './http-status.ts';
import { type RawResult, toDecision } from './output.ts';

/** @throws Failure policy_failed  with the plugin's text */
export function toOpaEnvoyDecision(result: RawResult): Decision {
  if (!result.defined) throw new Failure('policy_failed', 'undefined decision');
  const complaint = complaintAbout(result.value, result.text);
  if (complaint !== undefined) throw new Failure('policy_failed', complaint);
  return toDecision(result);
}

/** In the order in which the plugin looks. */
function complaintAbout(value: Json, text: string): string | undefined {
  if (typeof value === 'boolean') return undefined;
  const verdict = verdictComplaint(value);
  if (verdict !== undefined || !isJsonObject(value)) return wrapped('response status', verdict);
  return (
    wrapped('response headers', headersComplaint(own(value, 'headers'))) ??
    wrapped('dynamic metadata', objectComplaint(own(value, 'dynamic_metadata'), 'dynamic_metadata')) ??
    (own(value, 'allowed') === true ? allowComplaint(value) : denyComplaint(value, text))
  );
}

function verdictComplaint(value: Json): string | undefined {
  if (!isJsonObject(value)) return `illegal value for policy evaluation result: ${goType(value)}`;
  const allowed = own(value, 'allowed');
  if (allowed === undefined) return 'unable to determine evaluation result due to missing "allowed" key';
  if (typeof allowed === 'boolean') return undefined;
  return `type assertion error, expected allowed to be of type 'boolean' but got '${goType(allowed)}'`;
}

function allowComplaint(value: JsonObject): string | undefined {
  return (
    wrapped('request headers to remove', listComplaint(value, 'request_headers_to_remove')) ??
    wrapped('response headers to send to client', headersComplaint(own(value, 'response_headers_to_add'))) ??
    wrapped('request query parameters to remove', listComplaint(value, 'query_parameters_to_remove')) ??
    wrapped('request query parameters to set', setComplaint(own(value, 'query_parameters_to_set')))
  );
}

function denyComplaint(value: JsonObject, text: string): string | undefined {
  const body = own(value, 'body');
  if (body !== undefined && typeof body !== 'string')
    return wrapped(
      'response body',
      `type assertion error, expected body to be of type 'string' but got '${goType(body)}'`,
    );
  return wrapped('response http status', statusComplaint(own(value, 'http_status'), text));
}

function statusComplaint(status: Json | undefined, text: string): string | undefined {
  if (status === undefined) return undefined;
  if (typeof status !== 'number')
    return `type assertion error, expected http_status to be of type 'number' but got '${goType(status)}'`;
  const written = memberNumberText(text, 'http_status') ?? '';
  if (!/^-?[0-9]+$/.test(written))
    return `error converting JSON number to int: strconv.ParseInt: parsing "${written}": invalid syntax`;
  if (BigInt.asIntN(64, BigInt(written)) !== BigInt(written))
    return `error converting JSON number to int: strconv.ParseInt: parsing "${written}": value out of range`;
  return isDenialStatus(status) ? undefined : `invalid HTTP status code ${written}`;
}

function headersComplaint(headers: Json | undefined): string | undefined {
  if (headers === undefined) return undefined;
  for (const group of Array.isArray(headers) ? (headers as readonly Json[]) : [headers]) {
    const complaint = objectComplaint(group, 'headers');
    if (complaint !== undefined) return complaint;
    for (const [name, value] of Object.entries(group as JsonObject)) {
      if (Array.isArray(value)) {
        const wrong = (value as readonly Json[]).find((element) => typeof element !== 'string');
        if (wrong !== undefined) return `invalid value type ${goType(wrong)} for header '${name}'`;
      } else if (typeof value !== 'string') return `type assertion error for header '${name}'`;
    }
  }
  return undefined;
}

function objectComplaint(value: Json | undefined, key: string): string | undefined {
  if (value === undefined || isJsonObject(value)) return undefined;
  return `type assertion error, expected ${key} to be of type 'object' but got '${goType(value)}'`;
}

function listComplaint(value: JsonObject, key: string): string | undefined {
  const list = own(value, key);
  if (list === undefined) return undefined;
  if (!Array.isArray(list))
    return `type assertion error, expected ${key} to be of type '[]string' but got '${goType(list)}'`;
  const wrong = (list as readonly Json[]).find((element) => typeof element !== 'string');
  if (wrong === undefined) return undefined;
  return `type assertion error, expected ${key} value to be of type 'string' but got '${goType(wrong)}'`;
}

function setComplaint(value: Json | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (!isJsonObject(value))
    return `type assertion error, expected query_parameters_to_set to be a map but got '${goType(value)}'`;
  for (const element of Object.values(value)) {
    if (Array.isArray(element)) {
      const wrong = (element as readonly Json[]).find((item) => typeof item !== 'string');
      if (wrong !== undefined)
        return `type assertion error: expected array element to be string but got '${goType(wrong)}'`;
    } else if (typeof element !== 'string')
      return `type assertion error, expected value to be string or array but got '${goType(element)}'`;
  }
  return undefined;
}

function wrapped(what: string, complaint: string | undefined): string | undefined {
  return complaint === undefined ? undefined : `failed to get ${what}: ${complaint}`;
}

/** How Go names what its JSON decoder makes of a value. */
function goType(value: Json): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'object') return 'map[string]interface {}';
  if (typeof value === 'number') return 'json.Number';
  return typeof value === 'string' ? 'string' : 'bool';
}

function own(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
