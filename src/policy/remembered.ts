/**
 * Answers that must not change while an evaluation is begun again: what may say something else each time says the same
 * to the same arguments, as in OPA with its `nd_builtin_cache`. What only the network can say suspends the evaluation.
 */
import type { AnsweredCall, BuiltinContext, CallBuiltin } from '../builtins/builtin.ts';
import { BUILTIN_SOURCES, NOT_DETERMINISTIC } from '../builtins/table.ts';
import type { NetworkAnswer, NetworkCall, SendingEvaluation } from '../outbound/network-call.ts';

/** @returns undefined  when somebody must be asked */
export type PeekNetwork = (call: NetworkCall, evaluation: SendingEvaluation) => NetworkAnswer | undefined;

/** Thrown through the frames of the module; no failure. */
export class Suspension extends Error {
  readonly call: NetworkCall;

  constructor(call: NetworkCall) {
    super('the evaluation waits for the network');
    this.call = call;
  }
}

const UNITS_PER_CALL = 500;
const UNITS_PER_CHARACTER = 12;

/** @param peek  left out: whatever is asked of the network suspends the evaluation */
export function remembering(call: CallBuiltin, peek: PeekNetwork = () => undefined): CallBuiltin {
  return (name, args, context) => {
    if (!NOT_DETERMINISTIC.has(name)) return call(name, args, context);
    const key = keyOf({ name, args });
    const known = context.answered.get(key);
    if (BUILTIN_SOURCES.get(name) === 'network') return ofNetwork({ name, args }, known, context, peek);
    if (known !== undefined) return paidFor(known, context);
    const text = call(name, args, context);
    context.answered.set(key, { name, args, text });
    return text;
  };
}

function ofNetwork(
  call: NetworkCall,
  known: AnsweredCall | undefined,
  context: BuiltinContext,
  peek: PeekNetwork,
): string | undefined {
  if (known !== undefined) return paidFor(known, context);
  const answer = peek(call, context);
  if (answer === undefined) throw new Suspension(call);
  return paidFor(remember(context.answered, call, answer), context);
}

/** What was said once costs as much as any other call. */
function paidFor({ args, text }: AnsweredCall, { charge }: BuiltinContext): string | undefined {
  const length = args.reduce((sum, each) => sum + each.length, text?.length ?? 0);
  charge(UNITS_PER_CALL + UNITS_PER_CHARACTER * length);
  return text;
}

export function remember(
  answered: Map<string, AnsweredCall>,
  { name, args }: NetworkCall,
  { text }: NetworkAnswer,
): AnsweredCall {
  const call = { name, args, text };
  answered.set(keyOf(call), call);
  return call;
}

function keyOf({ name, args }: NetworkCall): string {
  return [name, ...args].join('\0');
}
