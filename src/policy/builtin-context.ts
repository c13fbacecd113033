/** What is the same at each built-in call within one evaluation, also when it is begun again. */
import type { AnsweredCall, BuiltinContext } from '../builtins/builtin.ts';
import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { NetworkAnswer, SendingEvaluation } from '../outbound/network-call.ts';

export interface ContextDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** What an evaluation remembers while it waits for the network; it can be sent to a thread. */
export interface EvaluationMemory extends SendingEvaluation {
  readonly said: Map<string, string>;
  readonly answered: Map<string, AnsweredCall>;
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000n;

export function newMemory({ clock }: Pick<ContextDeps, 'clock'>): EvaluationMemory {
  const nowNs = BigInt(Math.trunc(clock.nowMs())) * NANOSECONDS_PER_MILLISECOND;
  return { nowNs, said: new Map(), answered: new Map(), sent: new Map<string, NetworkAnswer>() };
}

/** @param charge  takes units from the budget of the evaluation, and throws when it is used up */
export function newBuiltinContext(
  memory: EvaluationMemory,
  { random }: Pick<ContextDeps, 'random'>,
  charge: (units: number) => void,
): BuiltinContext & EvaluationMemory {
  return { ...memory, randomBytes: random, charge };
}
