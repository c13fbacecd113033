/** Who answers the built-in functions that a module does not bring: TypeScript, or OPA's own implementation in Go. */
import { callBuiltin } from '../builtins/call.ts';
import { sourceOf } from '../builtins/table.ts';
import type { Builtins } from './builtin-port.ts';
import { createGoBuiltins } from './go-builtins.ts';

/** On the thread that answers Checks: a policy that needs more starts there, and is evaluated elsewhere. */
export const KNOWN_BUILTINS: Builtins = {
  answers: isKnown,
  call(name, args, context) {
    if (sourceOf(name) !== 'host') throw new Error(`${name} is not answered on this thread`);
    return callBuiltin(name, args, context);
  },
};

/** @param names  of the built-in functions that a module calls and does not bring */
export function needsThread(names: readonly string[]): boolean {
  return names.some((name) => sourceOf(name) === 'go');
}

/** On a thread that may be ended. OPA's module is started with the first call that needs it. */
export function createBuiltins(options: { readonly maxToolchainMiB: number }): Builtins {
  const go = createGoBuiltins(options.maxToolchainMiB);
  return {
    answers: isKnown,
    call: (name, args, context) => (sourceOf(name) === 'host' ? callBuiltin : go)(name, args, context),
  };
}

/** A native one may be turned to the host, too, where the module's own would answer otherwise. */
function isKnown(name: string): boolean {
  return sourceOf(name) !== undefined && sourceOf(name) !== 'native';
}
