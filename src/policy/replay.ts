/**
 * An evaluation that waits for the network: it has ended, and is begun again with the answer in its memory, so that no
 * thread waits. All of its attempts together cost no more than one evaluation may.
 */

import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { NetworkAnswer, NetworkCall, SendingEvaluation } from '../outbound/network-call.ts';
import { type Evaluation, isSuspended, type Suspended } from './evaluator.ts';
import type { PeekNetwork } from './remembered.ts';
import { remember } from './remembered.ts';

/** Who asks the network; `outbound/outbound.ts` is one. */
export interface Network {
  readonly peek: PeekNetwork;
  /** @throws Failure deadline_exceeded  the signal; policy_failed  what cannot be answered exactly */
  ask(call: NetworkCall, evaluation: SendingEvaluation, signal: AbortSignal): Promise<NetworkAnswer>;
}

export interface ReplayDeps {
  readonly network: Network;
  /** in one evaluation */
  readonly maxRequests: number;
  readonly clock: Clock;
}

/** Of the time that is left: in the rest, the answer that there is none reaches who asked. */
const SHARE_OF_TIME = 0.9;
/** Whatever deadline a caller names. */
const LONGEST_MS = 60_000;

/**
 * @param again  begins the evaluation again
 * @throws Failure deadline_exceeded; policy_failed  too many requests
 */
export async function replayed(
  first: Suspended,
  again: (from: Suspended) => Evaluation | Suspended | Promise<Evaluation | Suspended>,
  deadlineMs: number,
  { network, maxRequests, clock }: ReplayDeps,
): Promise<Evaluation> {
  const leftMs = Math.min(LONGEST_MS, (deadlineMs - clock.nowMs()) * SHARE_OF_TIME);
  const deadline = AbortSignal.timeout(Math.max(0, Math.ceil(leftMs)));
  let suspended = first;
  for (let requests = 1; requests <= maxRequests; requests += 1) {
    const { call, memory } = suspended;
    remember(memory.answered, call, await network.ask(call, memory, deadline));
    const outcome = await again(suspended);
    if (!isSuspended(outcome)) return outcome;
    suspended = outcome;
  }
  throw new Failure('policy_failed', `The evaluation asks the network more than ${maxRequests} times`);
}
