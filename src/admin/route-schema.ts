/** The schema of a route, which is its check and its description in the OpenAPI document at once. */
import { type Static, type TObject, type TSchema, type TUnsafe, Type } from 'typebox';
import { FAILURES, type FailureCode } from '../core/failure.ts';
import type { Endpoint } from './endpoint.ts';
import { ENTITY_TAGS } from './precondition.ts';
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

const CHANGE_FAILURES: readonly FailureCode[] = ['idempotency_key_reused', 'already_exists', 'overloaded'];

const ETAG_HEADER = { ETag: { type: 'string', description: 'strong entity tag of the object' } };
const POSITION_HEADER = {
  'Chancery-Position': { type: 'string', description: 'where the change is in the journal: <epoch>.<seq>' },
};
const LINK_HEADER = {
  Link: { type: 'string', description: '`<…>; rel="next"`: the next page; absent: this is the last' },
};
const header = (pattern: string, description: string) => Type.Optional(Type.String({ pattern, description }));

/** The schema of a route, which is also its description in the OpenAPI document. */
export function toRouteSchema(form: Endpoint): Record<string, unknown> {
  return {
    operationId: form.operationId,
    summary: form.summary,
    tags: [form.tag],
    ...access(form),
    ...(form.params && { params: form.params }),
    ...(form.query && { querystring: form.query }),
    ...(form.body && { body: bodySchema(form, form.body) }),
    headers: requestHeaders(form),
    response: { ...success(form), ...problems(form) },
  };
}

function access({ scope, own }: Endpoint): Record<string, unknown> {
  if (own === undefined) return { description: `Needs the scope \`${scope}\`.`, 'x-required-scope': scope };
  const description = 'No API token opens this: see its security scheme.';
  return { description, security: [{ [own.scheme]: [] }] };
}

/** OPA's own name for a bundle is the second. */
export const BUNDLE_MEDIA_TYPES = ['application/gzip', 'application/vnd.openpolicyagent.bundles'] as const;

export const YAML_MEDIA_TYPE = 'application/yaml';

/** What a bundle says is checked when it is published. */
function bodySchema({ takesBundles, speaksYaml }: Endpoint, schema: TSchema): object {
  if (!takesBundles && !speaksYaml) return schema;
  const bundle = { schema: { description: 'an OPA bundle (.tar.gz)' } };
  const bundles = takesBundles ? Object.fromEntries(BUNDLE_MEDIA_TYPES.map((name) => [name, bundle])) : {};
  return { content: { 'application/json': { schema }, ...bundles, ...yamlOf(speaksYaml, schema) } };
}

function yamlOf(speaksYaml: boolean | undefined, schema: TSchema): object {
  return speaksYaml ? { [YAML_MEDIA_TYPE]: { schema } } : {};
}

function requestHeaders(form: Endpoint): TObject {
  return Type.Object({
    ...(form.condition !== undefined && {
      'if-match': header(
        ENTITY_TAGS,
        'ETag that was read; the change is refused when the object has changed since',
      ),
      'if-none-match': header('^\\*$', '`*`: create, and refuse when there is one'),
    }),
    ...(form.method === 'GET' &&
      form.tagged && { 'if-none-match': header(ENTITY_TAGS, 'ETags that the reader has') }),
    ...(form.method !== 'GET' &&
      !form.own && {
        'idempotency-key': Type.Optional(
          Type.String({
            pattern: '^[\\x21-\\x7e]{1,255}$',
            description:
              'a call that changes something is made once: repeated, it answers what the first one did',
          }),
        ),
      }),
  });
}

function success(form: Endpoint): Record<string, unknown> {
  const headers = {
    ...(form.tagged && ETAG_HEADER),
    ...(form.method !== 'GET' && POSITION_HEADER),
    ...(isList(form) && LINK_HEADER),
  };
  const described = (description: string): Record<string, unknown> => ({
    description,
    ...(Object.keys(headers).length > 0 && { headers }),
  });
  if (form.answer === undefined) return { 204: { ...described('Done'), type: 'null' } };
  const content = {
    [form.answerMediaType ?? 'application/json']: { schema: form.answer },
    ...(form.events && { 'text/event-stream': { schema: { type: 'string' } } }),
    ...yamlOf(form.speaksYaml, form.answer),
  };
  switch (form.method) {
    case 'POST':
      return {
        ...(form.dryRun && { 200: { ...described('As it would be, or as it was'), content } }),
        201: { ...described('Created'), content },
      };
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

function isList({ query }: Endpoint): boolean {
  return Object.hasOwn((query as TObject | undefined)?.properties ?? {}, 'cursor');
}

/** One entry per status, with the titles of the codes that lead to it. */
function problems(form: Endpoint): Record<string, unknown> {
  const codes = new Set<FailureCode>([...COMMON_FAILURES, ...(form.failures ?? [])]);
  if (form.condition === 'needed') codes.add('precondition_required');
  if (form.condition !== undefined) codes.add('object_changed');
  if (form.method !== 'GET') for (const code of CHANGE_FAILURES) codes.add(code);
  const titles = new Map<number, string[]>();
  for (const code of codes) {
    const { http, title } = FAILURES[code];
    titles.set(http, [...(titles.get(http) ?? []), `${code}: ${title}`]);
  }
  if (form.body) {
    titles.set(413, ['The body is too large']);
    titles.set(415, ['The media type of the body is not one that is taken']);
  }
  const schema = componentRef('Problem', problemSchema);
  return Object.fromEntries(
    [...titles].map(([status, lines]) => [
      status,
      { description: lines.join('; '), content: { [PROBLEM_MEDIA_TYPE]: { schema } } },
    ]),
  );
}
