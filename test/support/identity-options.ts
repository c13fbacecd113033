import { Default, Parse } from 'typebox/value';
import { type IdentityOptions, identityOptionsSchema } from '../../src/identity/options.ts';

/** The defaults of the schema, with changes. */
export function identityOptions(changes: Partial<IdentityOptions> = {}): IdentityOptions {
  return Parse(identityOptionsSchema, Default(identityOptionsSchema, { ...changes }));
}
