import type { TSchema } from 'typebox';
import type { FailureIssue } from '../core/failure.ts';
import { schemaErrors } from '../core/schema-errors.ts';

/** What a schema says against a value, one issue per place, with JSON Pointers (RFC 6901). */
export function schemaIssues(schema: TSchema, value: unknown): readonly FailureIssue[] {
  const byPlace = new Map<string, FailureIssue>();
  for (const error of schemaErrors(schema, value)) {
    // `additionalProperties` comes twice: once for the object, once as `false` at the member
    if (error.keyword === 'additionalProperties') continue;
    const message =
      error.keyword === 'boolean'
        ? 'is not known'
        : error.keyword === 'const'
          ? 'is not allowed'
          : error.message;
    if (!byPlace.has(error.instancePath))
      byPlace.set(error.instancePath, { pointer: error.instancePath, message });
  }
  return [...byPlace.values()];
}
