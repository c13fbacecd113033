import { type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

/** The parts of an OpenAPI 3.1 document that judging an answer needs. */
export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}
export interface OpenApiOperation {
  readonly operationId: string;
  readonly summary?: string;
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}

export interface SeenAnswer {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly contentType: string;
  readonly body: unknown;
}

/** @returns what is wrong with an answer according to the document; undefined when nothing is */
export function createContract(document: OpenApiDocument): (answer: SeenAnswer) => string | undefined {
  return ({ method, path, status, contentType, body }) => {
    const operation = operationOf(document, method, path);
    if (operation === undefined)
      return [401, 404, 405].includes(status) ? undefined : `${method} ${path} is no operation`;
    const where = `${operation.operationId} ${status}`;
    const documented = operation.responses[String(status)];
    if (documented === undefined) return `${where} is not documented`;
    if (documented.content === undefined) return body === undefined ? undefined : `${where} has a body`;
    const mediaType = contentType.split(';')[0] ?? '';
    const schema = documented.content[mediaType]?.schema;
    if (schema === undefined) return `${where} is not documented as ${mediaType}`;
    const validator = Compile(inlined(schema, document) as TSchema);
    if (validator.Check(body)) return undefined;
    return `${where}: ${JSON.stringify(validator.Errors(body))} in ${JSON.stringify(body)}`;
  };
}

function operationOf(document: OpenApiDocument, method: string, path: string): OpenApiOperation | undefined {
  const segments = (path.split('?')[0] ?? '').split('/');
  const entry = Object.entries(document.paths).find(([template]) => {
    const parts = template.split('/');
    return (
      parts.length === segments.length &&
      parts.every((part, at) => part.startsWith('{') || part === segments[at])
    );
  });
  return entry?.[1][method.toLowerCase()];
}

function inlined(schema: unknown, document: OpenApiDocument): unknown {
  if (Array.isArray(schema)) return schema.map((member) => inlined(member, document));
  if (typeof schema !== 'object' || schema === null) return schema;
  const ref = (schema as { $ref?: unknown }).$ref;
  if (typeof ref === 'string')
    return inlined(document.components.schemas[ref.split('/').at(-1) ?? ''], document);
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, inlined(value, document)]));
}
