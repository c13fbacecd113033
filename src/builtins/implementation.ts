/** What one built-in function is in TypeScript. */
import { Failure } from '../core/failure.ts';
import type { BuiltinContext } from './builtin.ts';
import type { Value } from './value.ts';
import type { Verbatim } from './write-text.ts';

/** @returns undefined  where OPA says nothing */
export type Implementation = (
  args: readonly Value[],
  context: BuiltinContext,
) => Value | Verbatim | undefined;

/** Implementations by the name of the built-in. */
export type Family = Readonly<Record<string, Implementation>>;

/** An error of a built-in in OPA: the expression is undefined. It carries nothing, as nobody reads it. */
class BuiltinError extends Error {}
const BUILTIN_ERROR = new BuiltinError('a built-in function met an error');

export function fail(): never {
  throw BUILTIN_ERROR;
}

export function isBuiltinError(thrown: unknown): boolean {
  return thrown === BUILTIN_ERROR;
}

/** What cannot be answered exactly: the evaluation ends, which is a denial, rather than with another value than OPA's. */
export function refuse(detail: string): never {
  throw new Failure('policy_failed', detail);
}
