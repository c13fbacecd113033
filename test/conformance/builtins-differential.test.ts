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
/** Fixtures of their own: builtins-nondeterministic.test.ts, and http-send-differential.test.ts for those of the network. */
const NOT_DETERMINISTIC = [
  'http.send',
  'net.lookup_ip_addr',
  'opa.runtime',
  'rand.intn',
  'time.now_ns',
  'uuid.rfc4122',
];
/**
 * What cannot be held in a compiled module, and ends the evaluation there: a denial, where OPA goes on with what is
 * neither text nor a number of JSON. Each is a form of arguments, not a built-in, and looks like this in what differs.
 */
const NOT_HELD: Readonly<Record<string, RegExp>> = {
  'replacing "" cuts characters apart, and OPA prints U+FFFD for each byte':
    /^(?:replace|strings\.replace_n)\[.*OPA says .*\\ufffd.*host failed: .*Bytes of a character are cut apart$/s,
  'what is decoded is bytes that are no text':
    /^(?:base64|base64url|hex|urlquery)\.decode\[.*OPA says .*\\ufffd.*host failed: .*with bytes that are no text$/s,
  'a number with _, or a hexadecimal one':
    /^to_number\[.*OPA says [-+]?(?:[\d.]*_|0[xX]).*host failed: .*is no number of the module$/,
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
  const module = startPlainHost(await compile(ruleOf(builtin)), host.answer, { small: host.small });
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
    const notHeld = new Map<string, number>();
    let compared = 0;
    for (const builtin of declared) {
      const { name } = builtin;
      if (NOT_CALLED[name] !== undefined || NOT_DETERMINISTIC.includes(name) || RANDOM.includes(name))
        continue;
      if (builtin.deprecated === true) continue;
      const { defined, differences } = await compare(builtin);
      compared += 1;
      if (defined * 2 < CALLS) seldomDefined.push(`${name} ${defined}`);
      const wrong = differences.filter((each) => {
        const [form] = Object.entries(NOT_HELD).find(([, pattern]) => pattern.test(each)) ?? [];
        if (form !== undefined) notHeld.set(form, (notHeld.get(form) ?? 0) + 1);
        return form === undefined;
      });
      differing.push(...wrong.slice(0, 3));
    }
    console.log(`${compared} built-ins compared; defined in fewer than half: ${seldomDefined.join(', ')}`);
    for (const [form, count] of notHeld) console.log(`${count} calls ended the evaluation: ${form}`);
    expect(differing).toEqual([]);
    if (SEED === USUAL_SEED) expect(notHeld.size).toBeGreaterThan(1);
  });
});
