/** Who answers the built-in functions that a module does not bring: TypeScript, or OPA's own implementation in Go. */
import { callBuiltin } from '../builtins/call.ts';
import { SMALL, SMALL_OF_ALL } from '../builtins/small-integers.ts';
import { BUILTIN_SOURCES } from '../builtins/table.ts';
import type { Builtins, SmallAnswer } from './builtin-port.ts';
import { createGoBuiltins } from './go-builtins.ts';

/** On the thread that answers Checks: a policy that needs more starts there, and is evaluated elsewhere. */
export const KNOWN_BUILTINS: Builtins = {
  answers: (name) => BUILTIN_SOURCES.has(name),
  call(name, args, context) {
    if (!isAnsweredHere(name)) throw new Error(`${name} is not answered on this thread`);
    return callBuiltin(name, args, context);
  },
  small: smallAnswer,
};

export function smallAnswer(name: string): SmallAnswer | undefined {
  const ofAll = SMALL_OF_ALL.get(name);
  const of = ofAll ?? SMALL.get(name);
  return of && { of, isOfAll: ofAll !== undefined };
}

/** @param names  of the built-in functions that a module calls and does not bring */
export function needsThread(names: readonly string[]): boolean {
  return !names.every(isAnsweredHere);
}

/** On a thread that may be ended. OPA's module is started with the first call that needs it. */
export function createBuiltins(options: { readonly maxToolchainMiB: number }): Builtins {
  const go = createGoBuiltins(options.maxToolchainMiB);
  return {
    answers: (name) => BUILTIN_SOURCES.has(name),
    call: (name, args, context) => (isAnsweredHere(name) ? callBuiltin : go)(name, args, context),
    small: smallAnswer,
  };
}

function isAnsweredHere(name: string): boolean {
  return BUILTIN_SOURCES.get(name) === 'host';
}
