/** The caches of `http.send`, with a server that is a function. */
import { describe, expect, it } from 'vitest';
import { parseText } from '../../../src/builtins/parse-text.ts';
import { RegoObject } from '../../../src/builtins/value.ts';
import { createAllowList } from '../../../src/outbound/allow-list.ts';
import type { NetworkAnswer } from '../../../src/outbound/network-call.ts';
import type { Received } from '../../../src/outbound/received.ts';
import { createResponseCache } from '../../../src/outbound/response-cache.ts';
import { SendError } from '../../../src/outbound/send-error.ts';
import type { SendRequest } from '../../../src/outbound/send-request.ts';
import { createSender } from '../../../src/outbound/sender.ts';
import { createSlots } from '../../../src/outbound/slots.ts';

const BEGIN_MS = Date.UTC(2026, 10, 29, 8);
const DATE = 'Sun, 29 Nov 2026 08:00:00 GMT';

type Response = readonly [headers: Readonly<Record<string, string>>, statusCode?: number, body?: string];

/** Each evaluation asks once, at its second after the beginning; a response is the next of the list, the last one again. */
function aServer(...responses: readonly (Response | 'error')[]) {
  const requests: SendRequest[] = [];
  let hits = 0;
  const sender = createSender({
    exchange: {
      async send(request) {
        const next = responses[Math.min(requests.length, responses.length - 1)] ?? 'error';
        requests.push(request);
        if (next === 'error') throw new SendError('nobody is there', true);
        const [headers, statusCode = 200, body = `"${requests.length}"`] = next;
        const lists = Object.entries(headers).map(([name, value]): [string, string[]] => [name, [value]]);
        return {
          status: String(statusCode),
          statusCode,
          headers: new Map(lists),
          body: Buffer.from(body),
        } satisfies Received;
      },
      close() {},
    },
    slots: createSlots(8),
    cache: createResponseCache(100_000),
    defaults: { allowList: createAllowList(['host.test']), timeoutMs: 1_000 },
    decodeYaml: async () => undefined,
    measures: { hit: () => void (hits += 1), sent() {} },
  });
  const evaluation = (second = 0) => ({
    nowNs: BigInt(BEGIN_MS + second * 1_000) * 1_000_000n,
    sent: new Map<string, NetworkAnswer>(),
  });
  return {
    requests,
    hits: () => hits,
    evaluation,
    /** @returns the body; undefined: an error */
    async ask(parameters: object, in_ = evaluation()): Promise<unknown> {
      const operand = parseText(JSON.stringify({ method: 'get', url: 'http://host.test/', ...parameters }));
      if (!(operand instanceof RegoObject)) throw new Error('no object');
      const answer =
        sender.peek(operand, in_) ?? (await sender.send(operand, in_, new AbortController().signal));
      return answer.text === undefined
        ? undefined
        : JSON.parse((JSON.parse(answer.text) as { raw_body: string }).raw_body);
    },
  };
}

type Server = ReturnType<typeof aServer>;
const bodies = async (server: Server, parameters: object, seconds: readonly number[]): Promise<unknown[]> => {
  const all = [];
  for (const second of seconds) all.push(await server.ask(parameters, server.evaluation(second)));
  return all;
};

describe('within an evaluation', () => {
  it('the same request is sent once, whatever its status, and so is one that failed', async () => {
    for (const [response, expected] of [
      [[{}, 500], '1'],
      ['error', undefined],
    ] as const) {
      const server = aServer(response);
      const evaluation = server.evaluation();
      expect(await server.ask({}, evaluation)).toBe(expected);
      expect(await server.ask({}, evaluation)).toBe(expected);
      expect(server.requests).toHaveLength(1);
    }
  });

  it('ignored headers are sent and make no other request', async () => {
    const server = aServer([{}]);
    const evaluation = server.evaluation();
    const parameters = (trace: string) => ({
      headers: { 'x-trace': trace, a: 'b' },
      cache_ignored_headers: ['x-trace'],
    });
    await server.ask(parameters('1'), evaluation);
    await server.ask(parameters('2'), evaluation);
    await server.ask({ headers: { 'x-trace': '1', a: 'b' } }, evaluation);
    expect(server.requests.map(({ headers }) => headers)).toEqual([
      { 'x-trace': '1', a: 'b' },
      { 'x-trace': '1', a: 'b' },
    ]);
  });
});

describe('between evaluations', () => {
  it('nothing is kept of a request that does not ask for it', async () => {
    const server = aServer([{ date: DATE, 'cache-control': 'max-age=60' }]);
    expect(await bodies(server, {}, [0, 1])).toEqual(['1', '2']);
  });

  it.each<[string, Readonly<Record<string, string>>]>([
    ['max-age after its date', { date: DATE, 'cache-control': 'public, max-age=60' }],
    ['max-age before expires', { date: DATE, 'cache-control': 'max-age=60', expires: DATE }],
    ['expires', { expires: 'Sun, 29 Nov 2026 08:01:00 GMT' }],
    ['expires, in the form of RFC 850', { expires: 'Sunday, 29-Nov-26 08:01:00 GMT' }],
    ['expires, in the form of C', { expires: 'Sun Nov 29 08:01:00 2026' }],
  ])('a response is given again until %s', async (_title, headers) => {
    const server = aServer([headers]);
    expect(await bodies(server, { cache: true }, [0, 59, 60])).toEqual(['1', '1', '2']);
    expect(server.hits()).toBe(1);
  });

  it.each<[string, Response]>([
    ['that must not be stored', [{ date: DATE, 'cache-control': 'no-store, max-age=60' }]],
    ['with max-age and without a date', [{ 'cache-control': 'max-age=60' }]],
    ['with a max-age that is none', [{ date: DATE, 'cache-control': 'max-age=soon' }]],
    ['that says nothing of it', [{ date: DATE }]],
    ['with expires that is no date', [{ expires: 'tomorrow' }]],
    ['with a status that is not kept', [{ date: DATE, 'cache-control': 'max-age=60' }, 500]],
  ])('a response is not given again %s', async (_title, response) => {
    const server = aServer(response);
    expect(await bodies(server, { cache: true }, [0, 1])).toEqual(['1', '2']);
  });

  it('a request is asked for by each of its parameters', async () => {
    const server = aServer([{ date: DATE, 'cache-control': 'max-age=60' }]);
    await server.ask({ cache: true, headers: { authorization: 'a' } });
    await server.ask({ cache: true, headers: { authorization: 'b' } });
    await server.ask({ cache: true, headers: { authorization: 'a' } });
    expect(server.requests).toHaveLength(2);
  });

  it('a response is kept for as long as the request forces it to, whatever it says', async () => {
    const server = aServer([{ 'cache-control': 'no-store' }]);
    const forced = { force_cache: true, force_cache_duration_seconds: 10 };
    expect(await bodies(server, forced, [0, 9, 10])).toEqual(['1', '1', '2']);
    expect(await bodies(aServer([{}, 503]), forced, [0, 1])).toEqual(['1', '2']);
    expect(await bodies(aServer([{}]), { ...forced, caching_mode: 'odd' }, [0, 1])).toEqual(['1', '2']);
  });

  it('one that is too old is confirmed, and then kept anew with the newer headers', async () => {
    const old = { etag: '"1"', 'last-modified': DATE, 'cache-control': 'max-age=10', date: DATE };
    const confirmed = { 'cache-control': 'max-age=60', date: DATE };
    const server = aServer([old], [confirmed, 304, '']);
    expect(await bodies(server, { cache: true }, [0, 11, 59])).toEqual(['1', '1', '1']);
    expect(server.requests.map(({ headers }) => headers)).toEqual([
      {},
      { 'if-none-match': '"1"', 'if-modified-since': DATE },
    ]);
  });

  it('one that is confirmed no more is replaced, and asked for without a condition where that was refused', async () => {
    const old: Response = [{ etag: '"1"' }];
    expect(await bodies(aServer(old, [{}]), { cache: true }, [0, 1])).toEqual(['1', '2']);
    const server = aServer(old, [{}, 412], [{}]);
    expect(await bodies(server, { cache: true }, [0, 1])).toEqual(['1', '3']);
    expect(server.requests.map(({ headers }) => Object.keys(headers))).toEqual([[], ['if-none-match'], []]);
  });

  it('what failed is not kept, and the kept ones take no more than they may', async () => {
    const failing = aServer('error', [{}]);
    const forced = { force_cache: true, force_cache_duration_seconds: 10 };
    expect(await bodies(failing, forced, [0, 1])).toEqual([undefined, '2']);
    const large = aServer([{}, 200, `"${'x'.repeat(60_000)}"`]);
    await bodies(large, forced, [0, 1]);
    expect(large.requests).toHaveLength(2);
  });
});

describe('a request that fails', () => {
  it('is tried again as often as it says', async () => {
    const server = aServer('error', 'error', [{}]);
    expect(await server.ask({ max_retry_attempts: 1 })).toBeUndefined();
    expect(await server.ask({ max_retry_attempts: 1 })).toBe('3');
  });
});

describe('slots', () => {
  it('are given in the order in which they were asked for, but to none that has gone', async () => {
    const slots = createSlots(1);
    const gone = new AbortController();
    const got: string[] = [];
    const { signal } = new AbortController();
    await slots.take(signal);
    const first = slots.take(gone.signal).catch(() => got.push('gone'));
    const second = slots.take(signal).then(() => got.push('second'));
    const third = slots.take(signal).then(() => got.push('third'));
    expect(slots.waiting()).toBe(3);
    gone.abort(new Error('gone'));
    await first;
    slots.give();
    await second;
    slots.give();
    await third;
    expect(got).toEqual(['gone', 'second', 'third']);
    slots.give();
    await slots.take(signal);
    expect(slots.waiting()).toBe(0);
    await expect(slots.take(AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
  });
});
