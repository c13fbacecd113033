import { expect } from 'vitest';
import type { HttpAnswer } from './http-request.ts';

/** Sends, and demands the status and that the upstream was not reached. */
export async function expectRefused(
  upstream: { count(): number },
  send: () => Promise<HttpAnswer>,
  status: number,
): Promise<HttpAnswer> {
  const before = upstream.count();
  const answer = await send();
  expect({ status: answer.status, reached: upstream.count() - before }).toEqual({ status, reached: 0 });
  return answer;
}

/** Sends, and demands 200 and that the upstream was reached once. */
export async function expectForwarded(
  upstream: { count(): number },
  send: () => Promise<HttpAnswer>,
): Promise<HttpAnswer> {
  const before = upstream.count();
  const answer = await send();
  expect({ status: answer.status, reached: upstream.count() - before }).toEqual({ status: 200, reached: 1 });
  return answer;
}
