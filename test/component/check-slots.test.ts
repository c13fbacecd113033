/** The bound on concurrent Checks: whoever waits, goes away or comes too late gives its place back. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Decision } from '../../src/core/decision.ts';
import { Failure } from '../../src/core/failure.ts';
import type { Deadline } from '../../src/decision/decide.ts';
import { type CheckHandler, createCheckHandler } from '../../src/ext-authz/service.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { aCheckRequest, decodeCheckResponse, encodeCheckRequest } from '../support/check-client.ts';

const ALLOW: Decision = {
  effect: 'allow',
  reason: 'policy_allowed',
  obligations: {
    requestHeaders: [],
    requestHeadersToRemove: [],
    responseHeaders: [],
    queryParametersToSet: [],
    queryParametersToRemove: [],
  },
  dynamicMetadata: {},
};
const REQUEST = encodeCheckRequest(aCheckRequest());

function aHandler(decide: (deadline: Deadline) => Promise<Decision>): CheckHandler {
  return createCheckHandler({
    decide: (_request, deadline) => decide(deadline),
    peerClaims: () => ({ enrolled: true, mayAskFor: () => true }),
    options: { maxConcurrent: 1, defaultDeadlineMs: 5000 },
    clock: systemClock,
    logger: silentLogger,
    metrics: createMetrics(),
  });
}

async function codeOf(
  handler: CheckHandler,
  call: { readonly deadlineMs?: number; readonly signal?: AbortSignal; readonly bytes?: Uint8Array } = {},
): Promise<number> {
  const answer = await handler(call.bytes ?? REQUEST, {
    peer: '127.0.0.1:1',
    deadlineMs: call.deadlineMs ?? Number.POSITIVE_INFINITY,
    signal: () => call.signal ?? new AbortController().signal,
  });
  return decodeCheckResponse(answer).status?.code ?? 0;
}

/** As what waits does: until it is told to stop. */
const waits = ({ signal }: Deadline): Promise<Decision> =>
  new Promise((_resolve, reject) => {
    const stopped = signal();
    const stop = (): void => reject(new Failure('deadline_exceeded', 'stopped'));
    if (stopped.aborted) stop();
    else stopped.addEventListener('abort', stop, { once: true });
  });

describe('the only place of a handler', () => {
  it.each<[string, (handler: CheckHandler) => Promise<number>, number]>([
    ['the caller went away', (handler) => codeOf(handler, { signal: AbortSignal.timeout(20) }), 4],
    ['the deadline passed', (handler) => codeOf(handler, { deadlineMs: Date.now() + 20 }), 4],
    ['the deadline had passed before', (handler) => codeOf(handler, { deadlineMs: Date.now() - 1000 }), 4],
    ['the deadline is far in the past', (handler) => codeOf(handler, { deadlineMs: 0 }), 4],
    ['the bytes were no request', (handler) => codeOf(handler, { bytes: Buffer.from('x') }), 3],
  ])('is free again when %s', async (_why, fill, code) => {
    let waiting = true;
    const handler = aHandler((deadline) => (waiting ? waits(deadline) : Promise.resolve(ALLOW)));
    const first = fill(handler);
    if (code === 4) expect(await codeOf(handler)).toBe(8);
    expect(await first).toBe(code);
    waiting = false;
    expect(await codeOf(handler)).toBe(0);
  });

  it('is free again when what decides throws at once, and what it throws is no error', async () => {
    let broken = true;
    const handler = aHandler(() => {
      // oxlint-disable-next-line only-throw-error
      if (broken) throw 'x';
      return Promise.resolve(ALLOW);
    });
    expect(await codeOf(handler)).toBe(13);
    broken = false;
    expect(await codeOf(handler)).toBe(0);
  });

  it.each([0, -1, Date.now() - 1])('never lets an allow out after a deadline at %d', async (deadlineMs) => {
    expect(
      await codeOf(
        aHandler(async () => ALLOW),
        { deadlineMs },
      ),
    ).toBe(4);
    expect(
      await codeOf(
        aHandler(async () => ALLOW),
        { deadlineMs: Date.now() + 60_000 },
      ),
    ).toBe(0);
  });
});
