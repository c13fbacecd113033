import type { Static, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';

const validators = new WeakMap<TSchema, Validator>();

/**
 * As TypeBox's `Check`, in a tenth of the time: for what is asked of every entry of a journal.
 *
 * @param schema  a constant, since it is compiled with its first use
 */
export function isOfForm<S extends TSchema>(schema: S, value: unknown): value is Static<S> {
  const validator = validators.get(schema) ?? Compile(schema);
  validators.set(schema, validator);
  return validator.Check(value);
}
