/** Policies that need OPA's own built-in functions, and what would stall the service, through the real Check port. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import {
  aCheckRequest,
  type CheckAnswer,
  type CheckClient,
  createCheckClient,
} from '../support/check-client.ts';

const NORMAL = 'package envoy.authz\n\nallow if input.attributes.request.http.method == "GET"\n';
const rule = (body: string): string => `package envoy.authz\n\nallow if { ${body} }\n`;

/** Each path of a complete graph of twelve nodes: some hundred million. */
const GRAPH = '{x: [y | some y in numbers.range(1, 12); y != x] | some x in numbers.range(1, 12)}';
const MANY = 'count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); ';

const POLICIES: Readonly<Record<string, string>> = {
  normal: NORMAL,
  // answered by OPA's own code, in a thread
  go: rule('sprintf("%s %v", [input.attributes.request.http.method, {2, 1}]) == "GET {1, 2}"'),
  'go-clock': rule(
    '[year, _, _] := time.date(time.now_ns()); year > 2025; net.cidr_contains("10.0.0.0/8", "10.1.2.3")',
  ),
  'slow-go': rule(`count(graph.reachable_paths(${GRAPH}, [1])) > 0`),
  'slow-typescript': rule(`${MANY}crypto.sha256(text_of(i, j)) == ""]) == 0`).concat(
    '\ntext_of(i, j) := concat("", [format_number(i), format_number(j)])\n\nformat_number(n) := json.marshal(n)\n',
  ),
  'slow-native': rule(`${MANY}contains("aaaaaaaaaaaaaaaaaaaaaaab", "ab")]) == 0`),
  exponential: rule(`${MANY}some k in numbers.range(1, 3000); i + j + k < 0]) == 0`),
  regex: rule(
    'regex.match(`^(a|aa|aaa|b*)*(x+x+)+y[a-z]{1,200}$`, concat("", [input.attributes.request.http.path | some _ in numbers.range(1, 3000)]))',
  ),
  body: rule('input.parsed_body.a == "x"'),
};

/** What stalls, and the reason that its denial gives. */
const STALLS: readonly (readonly [policy: string, http: object, code: string])[] = [
  ['exponential', {}, 'policy_failed'],
  ['regex', { path: `/${'a'.repeat(2_000)}${'x'.repeat(2_000)}` }, 'policy_failed'],
  ['slow-native', {}, 'policy_failed'],
  ['slow-typescript', {}, 'policy_failed'],
  ['slow-go', {}, 'deadline_exceeded'],
  [
    'body',
    {
      headers: { 'content-type': 'application/json' },
      // of 4 MiB
      body: JSON.stringify({ a: 'y', rest: Array.from({ length: 480_000 }, (_, index) => `${index}`) }),
    },
    'policy_failed',
  ],
];

/** A Check that only its deadline ends. */
const SHORT_MS = 6_000;

let app: App;
let client: CheckClient;
beforeAll(async () => {
  const listeners = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const set = [...listeners, 'drainSeconds=0', 'authz.maxMessageBytes=16777216', 'policy.threads=1'];
  const settings = { defaultPolicy: 'normal', selectablePolicies: Object.keys(POLICIES) };
  app = await startApp({
    config: { ...loadConfig({ set }), state: { settings } },
    logger: silentLogger,
    policies: Object.entries(POLICIES).map(([name, rego]) => ({
      name,
      source: { modules: { 'policy.rego': rego } },
    })),
  });
  client = createCheckClient(`127.0.0.1:${app.ports.authz}`);
}, 120_000);
afterAll(async () => {
  client?.close();
  await app?.stop();
});

const check = (policy: string, http: object = {}, timeoutMs = 10_000): Promise<CheckAnswer> =>
  client.check(aCheckRequest(http, { context_extensions: { policy } }), { timeoutMs });
const isAllowed = ({ status }: CheckAnswer): boolean => (status?.code ?? 0) === 0;
const codeOf = ({ denied_response }: CheckAnswer): unknown =>
  (JSON.parse(denied_response?.body ?? '{}') as { code?: unknown }).code;

describe('a policy that needs built-in functions which only OPA implements', () => {
  it('is evaluated in a thread, allows and denies', async () => {
    expect(isAllowed(await check('go'))).toBe(true);
    const denied = await check('go', { method: 'PUT' });
    expect(isAllowed(denied)).toBe(false);
    expect(codeOf(denied)).toBe('policy_undefined');
    expect(isAllowed(await check('go-clock'))).toBe(true);
  });

  it('answers many at once, each its own', async () => {
    const methods = Array.from({ length: 64 }, (_, index) => (index % 3 === 0 ? 'PUT' : 'GET'));
    const answers = await Promise.all(methods.map((method) => check('go', { method })));
    expect(answers.map(isAllowed)).toEqual(methods.map((method) => method === 'GET'));
  });

  it('is answered as before after an evaluation that ended with its thread', async () => {
    expect(codeOf(await check('slow-go', {}, SHORT_MS))).toBe('deadline_exceeded');
    expect(isAllowed(await check('go'))).toBe(true);
  });
});

/** Normal Checks at a steady pace, whatever else goes on. */
async function paced<T>(
  during: () => Promise<T>,
): Promise<{ readonly result: T; readonly ms: readonly number[]; readonly refused: number }> {
  const ms: number[] = [];
  const pending: Promise<void>[] = [];
  let refused = 0;
  const one = async (): Promise<void> => {
    const startedMs = performance.now();
    if (!isAllowed(await check('normal'))) refused += 1;
    ms.push(performance.now() - startedMs);
  };
  const timer = setInterval(() => pending.push(one()), 10);
  try {
    const result = await during();
    return {
      result,
      ms,
      get refused() {
        return refused;
      },
    };
  } finally {
    clearInterval(timer);
    await Promise.all(pending);
  }
}

const share = (ms: readonly number[], part: number): string =>
  (ms.toSorted((a, b) => a - b)[Math.floor(part * (ms.length - 1))] ?? Number.NaN).toFixed(1);

describe('what would stall the service', () => {
  it.each(STALLS)(
    'ends within its budget with a reason, and normal Checks beside it are allowed: %s',
    async (policy, http, code) => {
      const rest = () => new Promise((resolve) => setTimeout(resolve, 600));
      const without = await paced(rest);
      const withStall = await paced(async () => {
        const timeoutMs = code === 'deadline_exceeded' ? SHORT_MS : undefined;
        const answers = [await check(policy, http, timeoutMs), await check(policy, http, timeoutMs)];
        await rest();
        return answers.map(codeOf);
      });
      const [before, beside] = [without.ms, withStall.ms].map(
        (ms) => `p50 ${share(ms, 0.5)} max ${share(ms, 1)} ms`,
      );
      console.log(`${policy}: normal Checks without ${before}, beside it ${beside}`);
      // on a slow machine one alone may take all the time that failing evaluations of a policy have
      expect(withStall.result[0]).toBe(code);
      expect([code, 'overloaded']).toContain(withStall.result[1]);
      expect(withStall.ms.length).toBeGreaterThan(10);
      expect([without.refused, withStall.refused]).toEqual([0, 0]);
    },
  );
});
