/**
 * One instance of a compiled and metered policy: a thin host of OPA's WASM ABI 1.x.
 *
 * The heap of an instance is a stack: data lies at the bottom, and each evaluation starts again above it. It also
 * starts with the variables of the program as they were at first: the regular expressions keep pointers into the heap
 * of the evaluation that used them first, and the same evaluation would not always cost the same.
 *
 * Whatever unwinds through WASM frames (an abort, a trap, a stack overflow) leaves the C stack, and all that lies below
 * the heap, as they happened to be, so an instance that has thrown must be restored. A copy of the memory up to the
 * heap, and of the mutable globals, is all that an evaluation can have changed (metering.ts). Copying it back takes
 * the time of copying memory, where a new instance would have to parse the data again.
 *
 * The memory has its full size from the start, in address space only: the system gives pages when they are written. A
 * memory that grew would make the cost of an evaluation depend on those before it.
 *
 * `opa_eval` is not used: it takes an input that does not parse for an undefined one.
 *
 * @see https://www.openpolicyagent.org/docs/wasm, "ABI"
 */
import type { BuiltinContext } from '../builtins/builtin.ts';
import { Failure } from '../core/failure.ts';
import { type BuiltinPort, type Builtins, builtinName, createBuiltinPort } from './builtin-port.ts';
import { GLOBAL_EXPORT, type Metering, MOST_UNITS, meteringOf, UNITS_EXPORT } from './metering.ts';

const PAGES_PER_MIB = 16;
const ABI_MAJOR = 1;
const ABI_LOWEST_MINOR = 2;
const NOTHING = 0;
/** They are found in the memory, which costs less than to make a string of what is there. */
const USUAL_RESULTS = ['[{"result":true}]', '[{"result":false}]', '[]'];

/** The counter is an i32. */
const FEWEST_UNITS = -2_147_483_648;

interface Exports {
  readonly opa_wasm_abi_version: WebAssembly.Global<'i32'>;
  readonly opa_wasm_abi_minor_version: WebAssembly.Global<'i32'>;
  readonly [UNITS_EXPORT]: WebAssembly.Global<'i32'>;
  builtins(): number;
  entrypoints(): number;
  opa_malloc(size: number): number;
  opa_free(address: number): void;
  opa_value_dump(value: number): number;
  opa_value_parse(address: number, length: number): number;
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

export interface WasmInstance {
  /** name to number */
  readonly entrypoints: ReadonlyMap<string, number>;
  /** for example `1.3` */
  readonly abi: string;
  /** names of the built-in functions that the module calls and does not bring */
  readonly builtins: readonly string[];
  /**
   * @param input  JSON, as UTF-8
   * @param maxUnits  at which it ends by throwing
   * @returns OPA's result set as JSON: `[{"result":…}]`, or `[]` when the entrypoint is undefined
   * @throws whatever went wrong, strings included; the instance is then of no use until it is restored
   */
  evaluate(entrypoint: number, input: Uint8Array, maxUnits: number): string;
  /** What is left of `maxUnits`; below 0 when that is why the evaluation has thrown. */
  unitsLeft(): number;
  /** Makes the instance what it was before its first evaluation. */
  restore(): void;
}

export interface InstanceOptions {
  /** the static data, a JSON object as UTF-8 */
  readonly data: Uint8Array;
  readonly maxMemoryMiB: number;
  /** who answers the built-in functions that the module does not bring */
  readonly builtins: Builtins;
  /** of an evaluation that calls one; `charge` takes from its budget, and throws when it is used up */
  readonly newContext: (charge: (units: number) => void) => BuiltinContext;
}

/**
 * @param module  metered
 * @throws Failure policy_not_loaded  another ABI, a built-in that nobody answers, data that does not parse
 */
export function startWasmInstance(module: WebAssembly.Module, options: InstanceOptions): WasmInstance {
  const { data, maxMemoryMiB, builtins, newContext } = options;
  const metering = meteringOf(module);
  if (metering === undefined) throw new Failure('policy_not_loaded', 'The module is not metered');
  const port = createBuiltinPort(builtins);
  const { exports, memory } = instantiate(module, maxMemoryMiB * PAGES_PER_MIB, port);
  const bytes = Buffer.from(memory.buffer);
  const units = exports[UNITS_EXPORT];
  const charge = (cost: number): void => {
    units.value = Math.max(FEWEST_UNITS, units.value - Math.ceil(cost));
    if (units.value < 0) throw new Error('the budget is used up');
  };
  const contextOfEvaluation = (): BuiltinContext => newContext(charge);

  const readText = (address: number): string => bytes.toString('utf8', address, bytes.indexOf(0, address));
  const readResult = (address: number): string =>
    USUAL_RESULTS.find((usual) => isTextAt(bytes, address, usual)) ?? readText(address);
  const writeJson = (json: Uint8Array): number => {
    const address = exports.opa_malloc(json.length);
    bytes.set(json, address);
    const value = exports.opa_json_parse(address, json.length);
    if (value === NOTHING) throw new Error('the document is not JSON');
    return value;
  };
  const readJson = (value: number): Record<string, number> =>
    JSON.parse(readText(exports.opa_json_dump(value))) as Record<string, number>;

  const abi = readAbi(exports);
  const names = new Map(
    Object.entries(readJson(exports.builtins())).map(([name, id]) => [id, builtinName(name)]),
  );
  expectAnswered([...names.values()], builtins);
  port.connect(exports, bytes, names);
  const entrypoints = new Map(Object.entries(readJson(exports.entrypoints())));
  units.value = MOST_UNITS;
  const dataValue = writeJson(data);
  const heap = exports.opa_heap_ptr_get();
  const snapshot = takeSnapshot(exports, bytes.subarray(0, heap), metering.statics);

  return {
    entrypoints,
    abi,
    builtins: [...names.values()],
    evaluate(entrypoint, input, maxUnits) {
      snapshot.restoreStatics();
      port.begin(contextOfEvaluation);
      units.value = maxUnits;
      exports.opa_heap_ptr_set(heap);
      const inputValue = writeJson(input);
      const context = exports.opa_eval_ctx_new();
      exports.opa_eval_ctx_set_input(context, inputValue);
      exports.opa_eval_ctx_set_data(context, dataValue);
      exports.opa_eval_ctx_set_entrypoint(context, entrypoint);
      if (exports.eval(context) !== 0) throw new Error('eval failed');
      return readResult(exports.opa_json_dump(exports.opa_eval_ctx_get_result(context)));
    },
    unitsLeft: () => units.value,
    restore: snapshot.restore,
  };
}

/** @param text  ASCII */
function isTextAt(bytes: Uint8Array, address: number, text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (bytes[address + at] !== text.charCodeAt(at)) return false;
  return bytes[address + text.length] === 0;
}

interface Snapshot {
  /** the variables of the program alone */
  restoreStatics(): void;
  restore(): void;
}

/** Table elements are not in it: no metered module can change one. */
function takeSnapshot(exports: object, belowHeap: Uint8Array, [from, to]: Metering['statics']): Snapshot {
  const memory = Uint8Array.from(belowHeap);
  const statics = memory.subarray(from, to);
  const globals = Object.entries(exports)
    .filter(([name]) => name.startsWith(GLOBAL_EXPORT))
    .map(([, global]) => ({
      global: global as WebAssembly.Global,
      value: (global as WebAssembly.Global).value,
    }));
  return {
    restoreStatics: () => belowHeap.set(statics, from),
    restore() {
      belowHeap.set(memory);
      for (const { global, value } of globals) global.value = value;
    },
  };
}

function expectAnswered(names: readonly string[], builtins: Builtins): void {
  const missing = names.filter((name) => !builtins.answers(name));
  if (missing.length === 0) return;
  const detail = `The policy needs built-ins that are not there: ${missing.join(', ')}`;
  throw new Failure('policy_not_loaded', detail);
}

function readAbi(exports: Exports): string {
  const major = exports.opa_wasm_abi_version.value;
  const minor = exports.opa_wasm_abi_minor_version.value;
  if (major !== ABI_MAJOR || minor < ABI_LOWEST_MINOR) {
    throw new Failure('policy_not_loaded', `The policy was compiled for ABI ${major}.${minor}`);
  }
  return `${major}.${minor}`;
}

function instantiate(
  module: WebAssembly.Module,
  pages: number,
  port: BuiltinPort,
): { exports: Exports; memory: WebAssembly.Memory } {
  // Grown at once, not asked for at once: V8 takes what is asked for as used, and collects garbage at each release.
  const memory = new WebAssembly.Memory({ initial: 1, maximum: pages });
  memory.grow(pages - 1);
  const instance = new WebAssembly.Instance(module, { env: hostFunctions(memory, port) });
  return { exports: instance.exports as unknown as Exports, memory };
}

function hostFunctions(memory: WebAssembly.Memory, port: BuiltinPort): WebAssembly.ModuleImports {
  const abort = (address: number): never => {
    const bytes = Buffer.from(memory.buffer);
    throw new Error(`aborted: ${bytes.toString('utf8', address, bytes.indexOf(0, address))}`);
  };
  return { memory, opa_abort: abort, opa_println: () => {}, ...port.imports };
}
