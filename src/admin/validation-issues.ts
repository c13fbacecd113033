/** What the schema validator says, as issues with JSON Pointers: one per thing that is wrong. */
import type { FailureIssue } from '../core/failure.ts';
import { toPointer } from './json-body.ts';

/** The part of an Ajv error that is used here. */
export interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly schemaPath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string | undefined;
}

/** @param part  where the value was: `body`, `params`, `querystring`, `headers` */
export function toIssues(errors: readonly SchemaError[], part: string): readonly FailureIssue[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf').map(({ schemaPath }) => schemaPath);
  return errors
    .filter(({ schemaPath }) => !unions.some((union) => schemaPath.startsWith(`${union}/`)))
    .map((error) => {
      const pointer = error.instancePath + memberOf(error);
      const message = messageOf(error, errors);
      return part === 'body'
        ? { pointer, code: error.keyword, message }
        : { code: error.keyword, message: `${PART_NAMES[part] ?? part} ${pointer.slice(1)}: ${message}` };
    });
}

const PART_NAMES: Readonly<Record<string, string>> = {
  params: 'path parameter',
  querystring: 'query parameter',
  headers: 'header field',
};

/** An unknown or missing member is pointed at itself, not at the object around it. */
function memberOf({ keyword, params }: SchemaError): string {
  const member = keyword === 'required' ? params['missingProperty'] : params['additionalProperty'];
  return typeof member === 'string' ? toPointer([member]) : '';
}

function messageOf(error: SchemaError, all: readonly SchemaError[]): string {
  switch (error.keyword) {
    case 'additionalProperties':
      return 'is not known';
    case 'required':
      return 'is required';
    case 'enum': {
      const allowed = error.params['allowedValues'];
      return Array.isArray(allowed)
        ? `must be one of ${allowed.join(', ')}`
        : 'is not one of the allowed values';
    }
    case 'anyOf': {
      const allowed = all
        .filter(
          ({ keyword, schemaPath }) => keyword === 'const' && schemaPath.startsWith(`${error.schemaPath}/`),
        )
        .map(({ params }) => String(params['allowedValue']));
      return allowed.length > 0 ? `must be one of ${allowed.join(', ')}` : 'has none of the allowed forms';
    }
    default:
      return error.message ?? 'is not valid';
  }
}
