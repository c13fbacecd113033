/** Who answers the built-in functions that a module does not bring: TypeScript, OPA's own implementation in Go, or others. */
import { callBuiltin } from '../builtins/call.ts';
import { SMALL, SMALL_OF_ALL } from '../builtins/small-integers.ts';
import { BUILTIN_SOURCES } from '../builtins/table.ts';
import { offlineAnswer } from '../outbound/offline.ts';
import type { Builtins, SmallAnswer } from './builtin-port.ts';
import { createGoBuiltins } from './go-builtins.ts';
import { type PeekNetwork, remembering } from './remembered.ts';

/**
 * On the thread that answers Checks: a policy that needs more starts there, and is evaluated elsewhere.
 *
 * @param peek  left out: the network is not for policies, and one that needs it does not start
 */
export function knownBuiltins(peek?: PeekNetwork): Builtins {
  return {
    answers: (name) => BUILTIN_SOURCES.has(name) && (peek !== undefined || !isOfNetwork(name)),
    call: remembering((name, args, context) => {
      if (!isAnsweredHere(name)) throw new Error(`${name} is not answered on this thread`);
      return callBuiltin(name, args, context);
    }, peek),
    small: smallAnswer,
  };
}

export function smallAnswer(name: string): SmallAnswer | undefined {
  const ofAll = SMALL_OF_ALL.get(name);
  const of = ofAll ?? SMALL.get(name);
  return of && { of, isOfAll: ofAll !== undefined };
}

/** @param names  of the built-in functions that a module calls and does not bring */
export function needsThread(names: readonly string[]): boolean {
  return !names.every((name) => isAnsweredHere(name) || isOfNetwork(name));
}

/**
 * On a thread that may be ended. OPA's module is started with the first call that needs it.
 *
 * @param peek  left out: whatever is asked of the network suspends the evaluation
 */
export function createBuiltins(options: { readonly maxToolchainMiB: number }, peek?: PeekNetwork): Builtins {
  const go = createGoBuiltins(options.maxToolchainMiB);
  return {
    answers: (name) => BUILTIN_SOURCES.has(name),
    call: remembering(
      (name, args, context) => (isAnsweredHere(name) ? callBuiltin : go)(name, args, context),
      peek,
    ),
    small: smallAnswer,
  };
}

/** Where policies are tried out: there is no network, as OPA says it where there is none. */
export function createOfflineBuiltins(options: { readonly maxToolchainMiB: number }): Builtins {
  return createBuiltins(options, offlineAnswer);
}

function isAnsweredHere(name: string): boolean {
  return BUILTIN_SOURCES.get(name) === 'host';
}

function isOfNetwork(name: string): boolean {
  return BUILTIN_SOURCES.get(name) === 'network';
}
