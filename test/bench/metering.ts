/**
 * `npm run bench:metering`: what metering costs. Each policy is evaluated plain and metered in turns in one run, by
 * the same few lines; the ratio of each pair counts, since the speed of a machine changes from minute to minute. Both
 * answers are compared; one that differs makes the bench fail.
 */

import { ALL_BUILTINS } from '../../src/policy/builtins.ts';
import { meterModule, UNITS_EXPORT } from '../../src/policy/metering.ts';
import { DEFAULT_MAX_UNITS } from '../../src/policy/options.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { METERED_POLICIES, similarRules } from '../support/metered-policies.ts';

const PAIRS = 101;
/** Evaluations without a break, for about so long: short, so that some are not interrupted on a busy machine. */
const SLICE_MS = 1;
const MEMORY_PAGES = 1_024;

interface Exports {
  readonly [UNITS_EXPORT]?: WebAssembly.Global<'i32'>;
  opa_malloc(size: number): number;
  opa_json_parse(address: number, length: number): number;
  opa_json_dump(value: number): number;
  opa_heap_ptr_get(): number;
  opa_heap_ptr_set(address: number): void;
  opa_eval_ctx_new(): number;
  opa_eval_ctx_set_input(context: number, value: number): void;
  opa_eval_ctx_set_data(context: number, value: number): void;
  opa_eval_ctx_set_entrypoint(context: number, entrypoint: number): void;
  opa_eval_ctx_get_result(context: number): number;
  eval(context: number): number;
}

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
const policies = [
  ...METERED_POLICIES,
  {
    name: 'five hundred similar rules',
    rego: similarRules(500),
    inputs: [{ method: 'GET', path: '/x/499', role: 'r' }],
  },
];
const rows = [];
let differences = 0;
try {
  for (const { name, rego, inputs } of policies) {
    const { wasm } = await toolchain.compile({
      modules: { 'p.rego': `package envoy.authz\n\n${rego}\n` },
      builtins: ALL_BUILTINS,
      entrypoints: ['envoy/authz/allow'],
    });
    const metered = meterModule(wasm);
    const input = Buffer.from(JSON.stringify(inputs.at(-1)));
    const contenders = [start(Uint8Array.from(wasm), input), start(metered, input)] as const;
    const [plainAnswer, meteredAnswer] = contenders.map((each) => each.answer());
    if (plainAnswer !== meteredAnswer) differences += 1;
    rows.push({ name, bytes: wasm.length, meteredBytes: metered.length, ...compare(...contenders) });
    process.stderr.write(`${name} …\n`);
  }
} finally {
  await toolchain.close();
}
const ratios = rows.map(({ ratio }) => ratio).toSorted((a, b) => a - b);
const report = { pairs: PAIRS, differences, medianRatio: ratios[ratios.length >> 1], policies: rows };
process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
if (differences > 0) process.exitCode = 1;

interface Contender {
  /** @returns milliseconds of each */
  run(count: number): number;
  answer(): string;
  units(): number | undefined;
}

function start(wasm: Uint8Array<ArrayBuffer>, input: Uint8Array): Contender {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
  const missing = (): never => {
    throw new Error('the policy gave up');
  };
  const names = ['opa_abort', 'opa_println', ...[0, 1, 2, 3, 4].map((arity) => `opa_builtin${arity}`)];
  const functions = Object.fromEntries(names.map((name) => [name, missing]));
  const module = new WebAssembly.Module(wasm);
  const instance = new WebAssembly.Instance(module, { env: { memory, ...functions } });
  const exports = instance.exports as unknown as Exports;
  const bytes = Buffer.from(memory.buffer);
  const units = exports[UNITS_EXPORT];
  const parse = (json: Uint8Array): number => {
    const address = exports.opa_malloc(json.length);
    bytes.set(json, address);
    return exports.opa_json_parse(address, json.length);
  };
  const data = parse(Buffer.from('{}'));
  const heap = exports.opa_heap_ptr_get();
  const evaluate = (): number => {
    if (units !== undefined) units.value = DEFAULT_MAX_UNITS;
    exports.opa_heap_ptr_set(heap);
    const value = parse(input);
    const context = exports.opa_eval_ctx_new();
    exports.opa_eval_ctx_set_input(context, value);
    exports.opa_eval_ctx_set_data(context, data);
    exports.opa_eval_ctx_set_entrypoint(context, 0);
    exports.eval(context);
    return exports.opa_json_dump(exports.opa_eval_ctx_get_result(context));
  };
  return {
    run(count) {
      const startedMs = performance.now();
      for (let left = count; left > 0; left -= 1) evaluate();
      return (performance.now() - startedMs) / count;
    },
    answer() {
      const address = evaluate();
      return bytes.toString('utf8', address, bytes.indexOf(0, address));
    },
    units: () => units && DEFAULT_MAX_UNITS - units.value,
  };
}

function compare(plain: Contender, metered: Contender) {
  for (const each of [plain, metered]) for (let spentMs = 0; spentMs < 100; ) spentMs += each.run(20) * 20;
  const count = Math.max(1, Math.round(SLICE_MS / plain.run(20)));
  const pairs = Array.from({ length: PAIRS }, (_, index) => {
    // in turns, so that neither always comes after the other
    const first = index % 2 === 0 ? plain : metered;
    const firstMs = first.run(count);
    const secondMs = (first === plain ? metered : plain).run(count);
    return first === plain ? [firstMs, secondMs] : [secondMs, firstMs];
  });
  const of = (values: readonly number[]) => {
    const sorted = values.toSorted((a, b) => a - b);
    const at = (share: number): number =>
      Math.round((sorted[Math.floor(share * sorted.length)] ?? 0) * 1000) / 1000;
    return { fast: at(0.1), low: at(0.25), median: at(0.5), high: at(0.75) };
  };
  const ratio = of(pairs.map(([plainMs = 0, meteredMs = 0]) => meteredMs / plainMs));
  const plainMicros = of(pairs.map(([plainMs = 0]) => plainMs * 1000));
  const meteredMicros = of(pairs.map(([, meteredMs = 0]) => meteredMs * 1000));
  return {
    ratio: ratio.median,
    ratioQuartiles: [ratio.low, ratio.high],
    /** of what a tenth of the slices do not exceed: says most where others are at work */
    ratioOfFastest: Math.round((meteredMicros.fast / plainMicros.fast) * 1000) / 1000,
    plainMicros: plainMicros.median,
    meteredMicros: meteredMicros.median,
    units: metered.units(),
  };
}
