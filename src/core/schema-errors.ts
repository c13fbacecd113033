import type { TSchema } from 'typebox';
import { Settings } from 'typebox/system';
import { Value } from 'typebox/value';

/** Whoever corrects a file wants to see all that is wrong with it; the library stops at eight by itself. */
const MAX_ERRORS = 200;

export type SchemaError = ReturnType<typeof Value.Errors>[number];

/** What is wrong with a value, by its schema; [] when nothing is. */
export function schemaErrors(schema: TSchema, value: unknown): readonly SchemaError[] {
  Settings.Set({ maxErrors: MAX_ERRORS });
  return Value.Errors(schema, value);
}
