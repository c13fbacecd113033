/** The schema of a route, which is its check and its description in the OpenAPI document at once. */
import { type Static, type TObject, type TSchema, type TUnsafe, Type } from 'typebox';
import { FAILURES, type FailureCode } from '../core/failure.ts';
import type { Endpoint } from './endpoint.ts';
import { PROBLEM_MEDIA_TYPE, problemSchema } from './problem.ts';

/** A reference to a schema that the document names once; see `components.ts`. */
export function componentRef<T extends TSchema>(name: string, _schema: T): TUnsafe<Static<T>> {
  return Type.Unsafe<Static<T>>({ $ref: `${name}#` });
}

const COMMON_FAILURES: readonly FailureCode[] = [
  'request_malformed',
  'credential_missing',
  'credential_invalid',
  'credential_expired',
  'credential_revoked',
  'permission_denied',
  'rate_limited',
  'internal',
  'store_unavailable',
  'deadline_exceeded',
];

const ETAG_HEADER = { ETag: { type: 'string', description: 'strong entity tag of the object' } };
const POSITION_HEADER = {
  'Chancery-Position': { type: 'string', description: 'where the change is in the journal: <epoch>.<seq>' },
};
const header = (description: string) => Type.Optional(Type.String({ description }));

/** The schema of a route, which is also its description in the OpenAPI document. */
export function toRouteSchema(form: Endpoint): Record<string, unknown> {
  return {
    operationId: form.operationId,
    summary: form.summary,
    description: `Needs the scope \`${form.scope}\`.`,
    tags: [form.tag],
    'x-required-scope': form.scope,
    ...(form.params && { params: form.params }),
    ...(form.query && { querystring: form.query }),
    ...(form.body && { body: form.body }),
    headers: requestHeaders(form),
    response: { ...success(form), ...problems(form) },
  };
}

function requestHeaders(form: Endpoint): TObject {
  return Type.Object({
    ...(form.condition !== undefined && {
      'if-match': header('ETag that was read; the change is refused when the object has changed since'),
      'if-none-match': header('`*`: create, and refuse when there is one'),
    }),
    ...(form.method === 'GET' && form.tagged && { 'if-none-match': header('ETags that the reader has') }),
    ...(form.method === 'POST' && {
      'idempotency-key': Type.Optional(
        Type.String({
          pattern: '^[\\x21-\\x7e]{1,255}$',
          description: 'repeating a call with the same key and body answers what the first one did',
        }),
      ),
    }),
  });
}

function success(form: Endpoint): Record<string, unknown> {
  const headers = {
    ...(form.tagged && ETAG_HEADER),
    ...(form.method !== 'GET' && POSITION_HEADER),
  };
  const described = (description: string): Record<string, unknown> => ({
    description,
    ...(Object.keys(headers).length > 0 && { headers }),
  });
  if (form.answer === undefined) return { 204: { ...described('Done'), type: 'null' } };
  const content = {
    'application/json': { schema: form.answer },
    ...(form.events && { 'text/event-stream': { schema: { type: 'string' } } }),
  };
  switch (form.method) {
    case 'POST':
      return { 201: { ...described('Created'), content } };
    case 'PUT':
      return {
        200: { ...described('Replaced, or as it was'), content },
        201: { ...described('Created'), content },
      };
    case 'GET':
    case 'DELETE':
      return {
        200: { ...described('Done'), content },
        ...(form.tagged && { 304: { description: 'The reader has it already', type: 'null' } }),
      };
    default:
      return form.method satisfies never;
  }
}

/** One entry per status, with the titles of the codes that lead to it. */
function problems(form: Endpoint): Record<string, unknown> {
  const codes = new Set<FailureCode>([...COMMON_FAILURES, ...(form.failures ?? [])]);
  if (form.condition === 'needed') codes.add('precondition_required');
  if (form.condition !== undefined) codes.add('object_changed');
  if (form.method === 'POST') codes.add('idempotency_key_reused');
  if (form.method !== 'GET') codes.add('overloaded');
  const titles = new Map<number, string[]>();
  for (const code of codes) {
    const { http, title } = FAILURES[code];
    titles.set(http, [...(titles.get(http) ?? []), `${code}: ${title}`]);
  }
  if (form.body) {
    titles.set(413, ['The body is too large']);
    titles.set(415, ['The body is not application/json']);
  }
  const schema = componentRef('Problem', problemSchema);
  return Object.fromEntries(
    [...titles].map(([status, lines]) => [
      status,
      { description: lines.join('; '), content: { [PROBLEM_MEDIA_TYPE]: { schema } } },
    ]),
  );
}
