/**
 * Thirty thousand Checks through the real port, half of which abort, throw, overflow the stack, exceed their memory or their
 * budget, all of one policy and many at once: what goes wrong touches nothing beside it.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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

const POLICY = `package envoy.authz

http := input.attributes.request.http

way := http.headers["x-way"]

text := http.headers["x-text"]

allow := {"allowed": true, "headers": {"x-echo": text, "x-role": data.roles[text]}} if way == "good"

allow if {
	way == "abort"
	conflicting
}

allow if {
	way == "throwing built-in"
	json.marshal(json.unmarshal(nested(1500))) != ""
}

allow if {
	way == "stack"
	json.unmarshal(nested(60000)) != 1
}

allow if {
	way == "memory"
	count(repeated(http.path, 3000)) > 0
}

allow if {
	way == "budget"
	count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a + b == -1]) == 0
}

conflicting := 1 if way

conflicting := 2 if text

nested(levels) := concat("", [repeated("[", levels), repeated("]", levels)])

repeated(piece, times) := concat("", [piece | some _ in numbers.range(1, times)])
`;
const ROLES = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`user-${index}`, `role of ${index}`]),
);

/** Of ten, and whether what is asked is a failure. */
const WAYS: readonly (readonly [way: string, of10: number])[] = [
  ['good', 5],
  ['abort', 1],
  ['throwing built-in', 1],
  ['stack', 1],
  ['memory', 1],
  ['budget', 1],
];
const ORDER = WAYS.flatMap(([way, of10]) => Array.from({ length: of10 }, () => way));
const CHECKS = 30_000;
const CONCURRENCY = 32;

let app: App;
let client: CheckClient;
beforeAll(async () => {
  const listeners = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const limits = ['policy.maxMemoryMiB=4', 'policy.maxUnits=3000000'];
  app = await startApp({
    config: loadConfig({ set: [...listeners, ...limits, 'drainSeconds=0'] }),
    logger: silentLogger,
    policies: [{ name: 'only', source: { modules: { 'policy.rego': POLICY }, data: { roles: ROLES } } }],
  });
  client = createCheckClient(`127.0.0.1:${app.ports.authz}`);
});
afterAll(async () => {
  client?.close();
  await app?.stop();
});

const headersOf = ({ ok_response }: CheckAnswer): Readonly<Record<string, string>> =>
  Object.fromEntries((ok_response?.headers ?? []).map(({ header: { key, value } }) => [key, value]));
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const codeOf = ({ denied_response }: CheckAnswer): string =>
  (JSON.parse(denied_response?.body ?? '{}') as { code?: string }).code ?? '';

describe('thirty thousand Checks of one policy, half of which go wrong', () => {
  it('leave the good ones right, make no instance, and take no more memory', async () => {
    const codes = new Map<string, Map<string, number>>();
    const rss: number[] = [];
    const Instance = WebAssembly.Instance;
    let made = 0;
    WebAssembly.Instance = class extends Instance {
      constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
        super(module, imports);
        made += 1;
      }
    };
    let next = 0;
    const one = async (end: number): Promise<void> => {
      for (let index = next++; index < end; index = next++) {
        // 7 and 10 have no common divisor: each way comes after each other one
        const way = ORDER[(index * 7 + Math.floor(index / 10)) % ORDER.length] ?? '';
        const text = `user-${index % 50}`;
        const headers = { 'x-way': way, 'x-text': text };
        const answer = await client.check(aCheckRequest({ headers, path: `/${'p'.repeat(2_000)}` }));
        const { 'x-echo': echo, 'x-role': role } = headersOf(answer);
        const said = echo === text && role === `role of ${index % 50}` ? 'right' : codeOf(answer);
        const counts = codes.get(way) ?? new Map<string, number>();
        codes.set(way, counts.set(said, (counts.get(said) ?? 0) + 1));
      }
    };
    try {
      // the first third warms the process up
      for (const end of [CHECKS / 3, (2 * CHECKS) / 3, CHECKS]) {
        next = end - CHECKS / 3;
        await Promise.all(Array.from({ length: CONCURRENCY }, () => one(end)));
        // client and garbage are of this process, too
        collectGarbage();
        rss.push(process.memoryUsage.rss());
      }
    } finally {
      WebAssembly.Instance = Instance;
    }
    const seen = Object.fromEntries([...codes].map(([way, counts]) => [way, Object.fromEntries(counts)]));
    console.log(JSON.stringify(seen), made);
    const [, half = 0, end = 0] = rss;
    console.log(`RSS after two thirds ${half >> 20} MiB, at the end ${end >> 20} MiB`);
    const { good, ...bad } = seen;
    expect(good).toEqual({ right: CHECKS / 2 });
    for (const [way] of WAYS.slice(1)) {
      // while they have taken too much time, what needs much ends as `overloaded`
      const { policy_failed: failed = 0, overloaded = 0, ...others } = bad[way] ?? {};
      expect({ way, others, denied: failed + overloaded, isPoison: failed > 0 }).toEqual({
        way,
        others: {},
        denied: CHECKS / 10,
        isPoison: true,
      });
    }
    expect(made).toBe(0);
    expect(end).toBeLessThan(half * 1.05);
  }, 240_000);
});
