/** A request in its turn, within its timeout, and again when nobody has answered and it says so. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Exchange } from './exchange.ts';
import type { SendMeasures } from './measures.ts';
import type { Received } from './received.ts';
import { SendError } from './send-error.ts';
import type { SendRequest } from './send-request.ts';
import type { Slots } from './slots.ts';

export interface AttemptDeps {
  readonly exchange: Exchange;
  readonly slots: Slots;
  readonly measures: SendMeasures;
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 60_000;
const RETRY_GROWTH = 1.6;
/** What a timer can wait for. */
const LONGEST_MS = 2_147_483_647;

/** @throws SendError, Failure policy_failed, or what the signal was aborted with */
export async function sendWithRetries(
  request: SendRequest,
  signal: AbortSignal,
  deps: AttemptDeps,
): Promise<Received> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await sendOnce(request, signal, deps);
    } catch (thrown) {
      if (!(thrown instanceof SendError) || attempt === request.retries || signal.aborted) throw thrown;
      const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * RETRY_GROWTH ** attempt);
      await delay(waitMs, undefined, { signal });
    }
  }
}

async function sendOnce(
  request: SendRequest,
  signal: AbortSignal,
  { slots, exchange, measures }: AttemptDeps,
): Promise<Received> {
  await slots.take(signal);
  const startedMs = performance.now();
  let outcome: Parameters<SendMeasures['sent']>[0] = 'failed';
  const timeout = timeoutOf(request);
  try {
    const received = await exchange.send(
      request,
      timeout === undefined ? signal : AbortSignal.any([signal, timeout]),
    );
    outcome = 'answered';
    return received;
  } catch (thrown) {
    if (signal.aborted) outcome = 'late';
    if (timeout?.aborted === true && !signal.aborted)
      throw new SendError(`${request.method} ${JSON.stringify(request.url.origin)}: request timed out`, true);
    throw thrown;
  } finally {
    slots.give();
    measures.sent(outcome, (performance.now() - startedMs) / 1_000);
  }
}

function timeoutOf({ timeoutMs }: SendRequest): AbortSignal | undefined {
  return Number.isFinite(timeoutMs)
    ? AbortSignal.timeout(Math.min(LONGEST_MS, Math.ceil(timeoutMs)))
    : undefined;
}
