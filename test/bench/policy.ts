/**
 * `npm run bench:policy`: what an evaluation costs beside its peers. In each of the pairs every contender evaluates the
 * same policy and inputs in turns, in an order that changes; what counts is the ratio to ours within a pair, since the
 * speed of a machine changes from minute to minute. The turns are short, so that some are not interrupted on a busy
 * machine; `least` is the best of them all.
 *
 * Each begins with what it gets in production and ends with a value of JavaScript. Ours: a CheckRequest that has been
 * read, each time another one, and the identity of its caller; the input is written, only the parts that the policy can
 * read; it is evaluated, metered; the result is read. `@open-policy-agent/opa-wasm`: the whole input as an object, as its
 * users have it, and one call of `evaluate`. OPA is its own evaluator built for this machine, without the time to parse
 * the input; `regorus` is the crate. Answers are compared; a difference makes the bench fail.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { toCanonicalJson } from '../../src/core/canonical-json.ts';
import { toInputReads } from '../../src/core/input-reads.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { type CheckRequest, fromCheckRequest } from '../../src/ext-authz/check-request.ts';
import { createBuiltins } from '../../src/policy/all-builtins.ts';
import { ALL_BUILTINS, HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { createEvaluator } from '../../src/policy/evaluator.ts';
import { meterModule } from '../../src/policy/metering.ts';
import { DEFAULT_MAX_UNITS } from '../../src/policy/options.ts';
import { aCheckRequest, encodeCheckRequest } from '../support/check-client.ts';
import { similarRules } from '../support/metered-policies.ts';
import { type NativeToolchain, startNativeToolchain } from '../support/native-toolchain.ts';

const PAIRS = 60;
/** OPA prepares its policy anew in each of its turns, and there are fewer of them. */
const TURNS_OF_OTHERS = 12;
/** Of who runs in this process: until its code is compiled for speed, which other threads do. */
const WARM_TURNS = 60;
const SLICE_MS = 5;
/** Few, so that a request is evaluated soon after it was read, as in production. */
const BATCH = 16;
const LEAST_BATCHES = 15;
const ENTRYPOINT = 'envoy/authz/allow';
const BELIEF = { identityFields: true };

interface Case {
  readonly name: string;
  readonly rego: string;
  readonly data?: JsonObject;
  readonly http?: object;
  readonly identity?: JsonObject;
  readonly expected: Json;
}

/** @returns microseconds of one evaluation; undefined: it cannot run this policy */
type Contender = () => Promise<number>;

const headers = Object.fromEntries(
  Array.from({ length: 12 }, (_, index) => [`x-header-${index}`, `value ${index} of some length`]),
);
const RBAC = `default allow := false

allow if {
	some role in input.identity.user.claims.roles
	some grant in data.grants[role]
	grant.method == input.attributes.request.http.method
	grant.resource == input.parsed_path[0]
}`;
const REBAC = `default allow := false

allow if {
	some group in data.groups[input.identity.user.subject]
	input.parsed_path[1] in data.viewers[group]
}`;

async function cases(): Promise<readonly Case[]> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const token = await new SignJWT({ role: 'reader' })
    .setProtectedHeader({ alg: 'ES256' })
    .setExpirationTime('1h')
    .sign(privateKey);
  const keys = JSON.stringify({ keys: [await exportJWK(publicKey)] });
  const members = Array.from({ length: 10_000 }, (_, index) => index);
  const user = (subject: string) => ({
    user: { issuer: 'i', subject, claims: { roles: ['reader', 'editor'] } },
  });
  return [
    { name: 'no-op', rego: 'allow := true', expected: true },
    {
      name: 'RBAC on claims',
      rego: RBAC,
      data: {
        grants: {
          reader: [{ method: 'GET', resource: 'orders' }],
          editor: [{ method: 'PUT', resource: 'orders' }],
        },
      },
      http: { method: 'PUT', path: '/orders/7?full=true' },
      identity: user('ann'),
      expected: true,
    },
    {
      name: '500 similar rules',
      rego: similarRules(500)
        .replaceAll('input.method', 'input.attributes.request.http.method')
        .replaceAll('input.path', 'input.attributes.request.http.path')
        .replaceAll('input.role', 'input.attributes.request.http.host'),
      http: { path: '/x/499', host: 'r' },
      expected: true,
    },
    {
      name: 'ReBAC over 10,000 tuples',
      rego: REBAC,
      data: {
        groups: Object.fromEntries(
          members.slice(0, 5_000).map((at) => [`user-${at}`, [`group-${at % 100}`]]),
        ),
        viewers: Object.fromEntries(
          members.slice(0, 100).map((at) => [`group-${at}`, members.slice(0, 50).map((of) => `doc-${of}`)]),
        ),
      },
      http: { path: '/documents/doc-49' },
      identity: user('user-4999'),
      expected: true,
    },
    {
      name: 'JWT verification in Rego (ES256)',
      rego: `default allow := false

allow if {
	[_, encoded] := split(input.attributes.request.http.headers.authorization, " ")
	[valid, _, claims] := io.jwt.decode_verify(encoded, {"cert": data.keys, "alg": "ES256"})
	valid
	claims.role == "reader"
}`,
      data: { keys },
      http: { headers: { ...headers, authorization: `Bearer ${token}` } },
      expected: true,
    },
  ];
}

/**
 * Runs an action again and again for a slice of time, each time with something that was made before. What counts is the
 * median of the batches: one in which the machine did something else says nothing.
 */
function timed<T>(action: (prepared: T) => void, prepare: () => T): Contender {
  return async () => {
    const startedMs = performance.now();
    const micros: number[] = [];
    while (micros.length < LEAST_BATCHES || performance.now() - startedMs < SLICE_MS) {
      const batch = Array.from({ length: BATCH }, prepare);
      const beganMs = performance.now();
      for (const prepared of batch) action(prepared);
      micros.push(((performance.now() - beganMs) * 1_000) / BATCH);
    }
    return median(micros);
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

interface Regorus {
  ask(request: object): Promise<{
    readonly values?: readonly (string | null)[];
    readonly nanoseconds?: number;
    readonly error?: string;
  }>;
  close(): void;
}

/** The crate is built where cargo is; otherwise it is left out, and said so. */
function startRegorus(): Regorus | undefined {
  const folder = fileURLToPath(new URL('regorus/', import.meta.url));
  const target = `${tmpdir()}/chancery-bench-regorus`;
  try {
    execFileSync('cargo', ['build', '--release', '--quiet'], {
      cwd: folder,
      env: { ...process.env, CARGO_TARGET_DIR: target },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch {
    process.stderr.write('regorus is left out: it could not be built\n');
    return undefined;
  }
  const child = spawn(`${target}/release/regorus-bench`, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  return {
    async ask(request) {
      const answered = once(lines, 'line') as Promise<[string]>;
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return JSON.parse((await answered)[0]);
    },
    close: () => child.stdin.end(),
  };
}

async function contendersFor(each: Case, native: NativeToolchain, regorus: Regorus | undefined) {
  const rego = `package envoy.authz\n\n${each.rego}\n`;
  const source = { modules: { 'p.rego': rego }, data: each.data ?? {}, builtins: ALL_BUILTINS };
  const compiled = await native.ask<{ wasm: string; inputs: string[][] }>({
    do: 'compile',
    ...source,
    host: HOST_BUILTINS,
    entrypoints: [ENTRYPOINT],
  });
  const wasm = Uint8Array.fromBase64(compiled.wasm);
  const evaluator = createEvaluator(new WebAssembly.Module(meterModule(wasm)), {
    data: Buffer.from(JSON.stringify(source.data)),
    maxMemoryMiB: 64,
    maxUnits: DEFAULT_MAX_UNITS,
    builtins: createBuiltins({ maxToolchainMiB: 256 }),
  });
  const reads = toInputReads(compiled.inputs);
  const identity = each.identity ?? {};
  const bytes = encodeCheckRequest(aCheckRequest({ headers, ...each.http }));
  const whole = Buffer.from(fromCheckRequest(bytes, BELIEF).writeInput(identity)).toString();
  const read = () => fromCheckRequest(bytes, BELIEF);
  const evaluate = (request: CheckRequest): Json | undefined => {
    const evaluation = evaluator.evaluate(ENTRYPOINT, request.writeInput(identity, reads));
    return evaluation.defined ? evaluation.value : undefined;
  };
  expectSame(each, 'ours', evaluate(read()));
  const contenders = new Map<string, Contender>([['ours', timed(evaluate, read)]]);

  try {
    const sdk = await loadPolicy(Buffer.from(wasm), { initial: 256, maximum: 1_024 });
    sdk.setData(source.data);
    const input = JSON.parse(whole) as object;
    const ask = (): unknown => (sdk.evaluate(input, ENTRYPOINT) as readonly { result: Json }[])[0]?.result;
    expectSame(each, 'opa-wasm', ask());
    contenders.set(
      'opa-wasm',
      timed(ask, () => undefined),
    );
  } catch (thrown) {
    process.stderr.write(`${each.name}: opa-wasm cannot: ${String((thrown as Error).message ?? thrown)}\n`);
  }

  contenders.set('OPA', async () => {
    const request = { do: 'repeat', ...source, entrypoint: ENTRYPOINT, input: whole, forMs: SLICE_MS };
    const { evaluations, durationNs } = await native.ask<{ evaluations: number; durationNs: number }>(
      request,
    );
    return durationNs / 1_000 / evaluations;
  });

  const asked = { rego, data: JSON.stringify(source.data), entrypoint: ENTRYPOINT, inputs: [whole] };
  const first = await regorus?.ask({ ...asked, rounds: 1 });
  if (regorus !== undefined && first?.values !== undefined) {
    expectSame(each, 'regorus', JSON.parse(first.values[0] ?? 'null'));
    const rounds = Math.max(1, Math.round((SLICE_MS * 1e6) / (first.nanoseconds ?? 1e6)));
    contenders.set('regorus', async () => {
      const { nanoseconds = Number.NaN } = await regorus.ask({ ...asked, rounds });
      return nanoseconds / 1_000 / rounds;
    });
  } else if (first !== undefined) process.stderr.write(`${each.name}: regorus cannot: ${first.error}\n`);
  return contenders;
}

function expectSame({ name, expected }: Case, who: string, value: unknown): void {
  const said = value === undefined ? 'undefined' : toCanonicalJson(value as Json);
  if (said !== toCanonicalJson(expected)) throw new Error(`${name}: ${who} says ${said}`);
}

interface Measured {
  readonly pair: number;
  /** of one evaluation */
  readonly micros: number;
}

const IN_EACH_PAIR: ReadonlySet<string> = new Set(['ours', 'opa-wasm']);
const isTurnOfOthers = (pair: number): boolean => pair % (PAIRS / TURNS_OF_OTHERS) === 0;

function compare(values: readonly Measured[], ours: readonly Measured[]) {
  const least = (of: readonly Measured[]): number => Math.min(...of.map(({ micros }) => micros));
  const shown = (value: number): number => Number(value.toPrecision(3));
  return {
    micros: { ...spread(values.map(({ micros }) => micros)), least: shown(least(values)) },
    ...(values !== ours && {
      timesOurs: {
        ...spread(values.map(({ pair, micros }) => micros / (ours[pair]?.micros ?? Number.NaN))),
        ofLeast: shown(least(values) / least(ours)),
      },
    }),
  };
}

const spread = (values: readonly number[]) => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number =>
    Number((sorted[Math.round(part * (sorted.length - 1))] ?? Number.NaN).toPrecision(3));
  return { median: at(0.5), quartiles: [at(0.25), at(0.75)] };
};

const native = startNativeToolchain();
const regorus = startRegorus();
const rows = [];
try {
  for (const each of await cases()) {
    const contenders = [...(await contendersFor(each, native, regorus))];
    for (const [name, run] of contenders) {
      for (let turn = 0; turn < (IN_EACH_PAIR.has(name) ? WARM_TURNS : 1); turn += 1) await run();
    }
    const micros = new Map<string, Measured[]>(contenders.map(([name]) => [name, []]));
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const present = contenders.filter(([name]) => IN_EACH_PAIR.has(name) || isTurnOfOthers(pair));
      // the next one begins each time
      const order = present.map((_, at) => present[(at + pair) % present.length]!);
      for (const [name, run] of order) micros.get(name)?.push({ pair, micros: await run() });
    }
    const ours = micros.get('ours') ?? [];
    const peers = [...micros].map(([name, values]) => ({ name, ...compare(values, ours) }));
    rows.push({ policy: each.name, peers });
    process.stderr.write(`${each.name} …\n`);
  }
} finally {
  native.close();
  regorus?.close();
}
process.stdout.write(
  `${JSON.stringify({ pairs: PAIRS, turnsOfOthers: TURNS_OF_OTHERS, rows }, undefined, 2)}\n`,
);
