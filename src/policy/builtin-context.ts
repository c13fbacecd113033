/** What is the same at each built-in call within one evaluation. */
import type { BuiltinContext } from '../builtins/builtin.ts';
import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../journal/random.ts';

export interface ContextDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000n;

/** @param charge  takes units from the budget of the evaluation, and throws when it is used up */
export function newBuiltinContext(deps: ContextDeps, charge: (units: number) => void): BuiltinContext {
  const nowNs = BigInt(Math.trunc(deps.clock.nowMs())) * NANOSECONDS_PER_MILLISECOND;
  return { nowNs, randomBytes: deps.random, said: new Map(), charge };
}
