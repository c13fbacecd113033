import { expect } from 'vitest';

interface Answer {
  readonly status: number;
}

/** Sends, and demands the status and that the upstream was not reached. */
export async function expectRefused<A extends Answer>(
  upstream: { count(): number },
  send: () => Promise<A>,
  status: number,
): Promise<A> {
  const before = upstream.count();
  const answer = await send();
  expect({ status: answer.status, reached: upstream.count() - before }).toEqual({ status, reached: 0 });
  return answer;
}

/** Sends, and demands 200 and that the upstream was reached once. */
export async function expectForwarded<A extends Answer>(
  upstream: { count(): number },
  send: () => Promise<A>,
): Promise<A> {
  const before = upstream.count();
  const answer = await send();
  expect({ status: answer.status, reached: upstream.count() - before }).toEqual({ status: 200, reached: 1 });
  return answer;
}
