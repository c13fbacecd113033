/**
 * Each built-in in a compiled module of its own, answered as production answers it, against OPA's own implementation
 * built for this machine: 200 generated calls each.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILTIN_SOURCES } from '../../src/builtins/table.ts';
import { HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { argumentsOf } from '../support/builtin-arguments.ts';
import { signedArguments } from '../support/builtin-credentials.ts';
import { type BuiltinHost, createBuiltinHost } from '../support/builtin-host.ts';
import { type NativeToolchain, startNativeToolchain } from '../support/native-toolchain.ts';
import { startPlainHost } from '../support/plain-host.ts';
import { createRandom, type Generator, type RegoType } from '../support/rego-values.ts';

interface Declared {
  readonly name: string;
  readonly decl: { readonly args?: readonly RegoType[] };
  readonly relation?: boolean;
  readonly deprecated?: boolean;
  readonly nondeterministic?: boolean;
}
interface Differences {
  readonly defined: number;
  readonly differences: readonly string[];
}

const CALLS = 200;
const TIMEOUT_MS = 300_000;
const USUAL_SEED = 20_261_129;
const SEED = Number(process.env['CHANCERY_TEST_SEED'] ?? USUAL_SEED);
console.log(`built-ins are called with seed ${SEED} (CHANCERY_TEST_SEED)`);

/** Which cannot be called in a compiled policy, or say nothing that could be compared. */
const NOT_CALLED: Readonly<Record<string, string>> = {
  print: 'erased',
  'internal.print': 'erased',
  'internal.test_case': 'written by the compiler for tests',
  'rego.metadata.chain': 'replaced by its value',
  'rego.metadata.rule': 'replaced by its value',
  assign: 'written as :=, compiled to a unification',
  eq: 'written as =, compiled to a unification',
};
/** Fixtures of their own: http-send-differential.test.ts, and what is not of the network in test/component. */
const NOT_DETERMINISTIC = [
  'http.send',
  'net.lookup_ip_addr',
  'opa.runtime',
  'rand.intn',
  'time.now_ns',
  'uuid.rfc4122',
];
const ARITHMETIC = 'fractions and numbers of more than 19 digits are exact here, OPA rounds them to 64 bits';
const LARGE_INDEX = 'an index beyond 32 bits, or -0.0, makes it undefined';
const BROKEN_TEXT =
  'OPA cuts characters apart where "" is replaced in text that is not ASCII; here the evaluation fails';
/** What is known to differ, and how; with the usual seed each is seen to differ. */
const KNOWN_DIFFERENCES: Readonly<Record<string, string>> = {
  abs: ARITHMETIC,
  ceil: ARITHMETIC,
  floor: ARITHMETIC,
  round: ARITHMETIC,
  plus: ARITHMETIC,
  minus: ARITHMETIC,
  mul: ARITHMETIC,
  product: ARITHMETIC,
  sum: ARITHMETIC,
  'array.slice': LARGE_INDEX,
  substring: LARGE_INDEX,
  'object.union_n': 'of no objects it is undefined',
  replace: BROKEN_TEXT,
  'strings.replace_n': BROKEN_TEXT,
  to_number: 'OPA gives `1.` and `.5` as they are, which are no JSON; here the evaluation fails',
};
/** Their signatures are random. */
const RANDOM = ['io.jwt.encode_sign', 'io.jwt.encode_sign_raw'];

let native: NativeToolchain;
let host: BuiltinHost;
let declared: readonly Declared[];
let further: Readonly<Record<string, readonly Generator[]>>;

beforeAll(async () => {
  native = startNativeToolchain();
  host = createBuiltinHost();
  declared = await native.ask({ do: 'builtins' });
  further = await signedArguments(native);
}, TIMEOUT_MS);
afterAll(() => native.close());

async function compile(rule: string): Promise<Uint8Array> {
  const { wasm } = await native.ask<{ wasm: string }>({
    do: 'compile',
    modules: { 't.rego': `package t\n\n${rule}\n` },
    builtins: [...BUILTIN_SOURCES.keys()],
    host: HOST_BUILTINS,
    entrypoints: ['t/r'],
  });
  return Uint8Array.fromBase64(wasm);
}

function ruleOf({ name, decl, relation }: Declared): string {
  const args = (decl.args ?? []).map((_, at) => `input[${at}]`).join(', ');
  return relation === true ? `r := {x | ${name}(${args}, x)}` : `r := ${name}(${args})`;
}

function seedOf(name: string): number {
  return Buffer.from(name).reduce((seed, byte) => Math.imul(seed ^ byte, 16_777_619), SEED);
}

async function compare(builtin: Declared): Promise<Differences> {
  const module = startPlainHost(await compile(ruleOf(builtin)), (name, args) => host.answer(name, args));
  const generators = argumentsOf(builtin.name, builtin.decl.args ?? [], further);
  const random = createRandom(seedOf(builtin.name));
  const calls = Array.from({ length: CALLS }, () => {
    const args = generators.map((each) => each(random));
    host.begin();
    try {
      return { args, got: module.evaluate('t/r', `[${args.join(', ')}]`) };
    } catch (thrown) {
      return { args, failed: String(thrown) };
    }
  });
  return native.ask({ do: 'differences', name: builtin.name, nowNs: host.nowNs, calls });
}

describe('each built-in of the pinned OPA', () => {
  it('has an answer in the table of sources', () => {
    expect(declared.map(({ name }) => name).filter((name) => !BUILTIN_SOURCES.has(name))).toEqual([]);
  });

  it('says in a compiled module what OPA says', { timeout: TIMEOUT_MS }, async () => {
    const differing: string[] = [];
    const seldomDefined: string[] = [];
    const agreeing: string[] = [];
    let compared = 0;
    for (const builtin of declared) {
      const { name } = builtin;
      if (NOT_CALLED[name] !== undefined || NOT_DETERMINISTIC.includes(name) || RANDOM.includes(name))
        continue;
      if (builtin.deprecated === true) continue;
      const { defined, differences } = await compare(builtin);
      compared += 1;
      if (defined * 2 < CALLS) seldomDefined.push(`${name} ${defined}`);
      if (KNOWN_DIFFERENCES[name] === undefined) differing.push(...differences.slice(0, 3));
      else if (differences.length === 0) agreeing.push(name);
    }
    console.log(`${compared} built-ins compared; defined in fewer than half: ${seldomDefined.join(', ')}`);
    expect(differing).toEqual([]);
    if (SEED === USUAL_SEED) expect(agreeing).toEqual([]);
  });
});
