/**
 * One instance of a compiled policy: a thin host of OPA's WASM ABI 1.x, without host built-ins.
 *
 * The heap of an instance is a stack: data lies at the bottom, and each evaluation starts again above it. Whatever
 * unwinds through WASM frames (an abort, a stack overflow) leaves the C stack behind, so an instance that has thrown
 * is of no use any more; evaluator.ts replaces it.
 *
 * `opa_eval` is not used: it takes an input that does not parse for an undefined one.
 *
 * @see https://www.openpolicyagent.org/docs/wasm, "ABI"
 */
import { Failure } from '../core/failure.ts';

const PAGES_PER_MIB = 16;
const INITIAL_PAGES = 16;
const ABI_MAJOR = 1;
const ABI_LOWEST_MINOR = 2;
const NOTHING = 0;

interface Exports {
  readonly opa_wasm_abi_version: WebAssembly.Global<'i32'>;
  readonly opa_wasm_abi_minor_version: WebAssembly.Global<'i32'>;
  builtins(): number;
  entrypoints(): number;
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

export interface WasmInstance {
  /** name to number */
  readonly entrypoints: ReadonlyMap<string, number>;
  /** for example `1.3` */
  readonly abi: string;
  /**
   * @param input  JSON, as UTF-8
   * @returns OPA's result set as JSON: `[{"result":…}]`, or `[]` when the entrypoint is undefined
   * @throws whatever went wrong, strings included; the instance is then of no use any more
   */
  evaluate(entrypoint: number, input: Uint8Array): string;
}

/**
 * @param data  the static data, a JSON object as UTF-8
 * @throws Failure policy_not_loaded  another ABI, a built-in that the module does not bring, data that does not parse
 */
export function startWasmInstance(
  module: WebAssembly.Module,
  data: Uint8Array,
  maxMemoryMiB: number,
): WasmInstance {
  const { exports, memory } = instantiate(module, maxMemoryMiB * PAGES_PER_MIB);
  const bytes = followMemory(memory);

  const readText = (address: number): string =>
    bytes().toString('utf8', address, bytes().indexOf(0, address));
  const writeJson = (json: Uint8Array): number => {
    const address = exports.opa_malloc(json.length);
    bytes().set(json, address);
    const value = exports.opa_json_parse(address, json.length);
    if (value === NOTHING) throw new Error('the document is not JSON');
    return value;
  };
  const readJson = (value: number): Record<string, number> =>
    JSON.parse(readText(exports.opa_json_dump(value))) as Record<string, number>;

  const abi = readAbi(exports);
  const missing = Object.keys(readJson(exports.builtins()));
  if (missing.length > 0) {
    throw new Failure(
      'policy_not_loaded',
      `The policy needs built-ins that are not there: ${missing.join(', ')}`,
    );
  }
  const entrypoints = new Map(Object.entries(readJson(exports.entrypoints())));
  const dataValue = writeJson(data);
  const heap = exports.opa_heap_ptr_get();

  return {
    entrypoints,
    abi,
    evaluate(entrypoint, input) {
      exports.opa_heap_ptr_set(heap);
      const inputValue = writeJson(input);
      const context = exports.opa_eval_ctx_new();
      exports.opa_eval_ctx_set_input(context, inputValue);
      exports.opa_eval_ctx_set_data(context, dataValue);
      exports.opa_eval_ctx_set_entrypoint(context, entrypoint);
      if (exports.eval(context) !== 0) throw new Error('eval failed');
      return readText(exports.opa_json_dump(exports.opa_eval_ctx_get_result(context)));
    },
  };
}

function readAbi(exports: Exports): string {
  const major = exports.opa_wasm_abi_version.value;
  const minor = exports.opa_wasm_abi_minor_version.value;
  if (major !== ABI_MAJOR || minor < ABI_LOWEST_MINOR) {
    throw new Failure('policy_not_loaded', `The policy was compiled for ABI ${major}.${minor}`);
  }
  return `${major}.${minor}`;
}

/** How much the module needs to start with cannot be asked, so it is tried. */
function instantiate(
  module: WebAssembly.Module,
  maximum: number,
): { exports: Exports; memory: WebAssembly.Memory } {
  for (let initial = Math.min(INITIAL_PAGES, maximum); ; initial = Math.min(initial * 2, maximum)) {
    const memory = new WebAssembly.Memory({ initial, maximum });
    try {
      const instance = new WebAssembly.Instance(module, { env: hostFunctions(memory) });
      return { exports: instance.exports as unknown as Exports, memory };
    } catch (thrown) {
      if (!(thrown instanceof WebAssembly.LinkError) || initial === maximum) throw thrown;
    }
  }
}

function hostFunctions(memory: WebAssembly.Memory): WebAssembly.ModuleImports {
  const abort = (address: number): never => {
    const bytes = Buffer.from(memory.buffer);
    throw new Error(`aborted: ${bytes.toString('utf8', address, bytes.indexOf(0, address))}`);
  };
  const missing = (id: number): never => {
    throw new Error(`built-in ${id} is not there`);
  };
  return {
    memory,
    opa_abort: abort,
    opa_println: () => {},
    opa_builtin0: missing,
    opa_builtin1: missing,
    opa_builtin2: missing,
    opa_builtin3: missing,
    opa_builtin4: missing,
  };
}

/** The bytes of a memory, whose buffer is another one after it has grown. */
function followMemory(memory: WebAssembly.Memory): () => Buffer {
  let buffer = memory.buffer;
  let bytes = Buffer.from(buffer);
  return () => {
    if (memory.buffer !== buffer) {
      buffer = memory.buffer;
      bytes = Buffer.from(buffer);
    }
    return bytes;
  };
}
