/** A module that is not metered, with built-ins that the test answers: what a compiled policy says by itself. */
import type { BuiltinContext } from '../../src/builtins/builtin.ts';
import { createBuiltinPort, type SmallAnswer } from '../../src/policy/builtin-port.ts';

interface Exports {
  builtins(): number;
  entrypoints(): number;
  opa_malloc(size: number): number;
  opa_free(address: number): void;
  opa_json_parse(address: number, length: number): number;
  opa_json_dump(value: number): number;
  opa_value_parse(address: number, length: number): number;
  opa_value_dump(value: number): number;
  opa_heap_ptr_get(): number;
  opa_heap_ptr_set(address: number): void;
  opa_eval_ctx_new(): number;
  opa_eval_ctx_set_input(context: number, value: number): void;
  opa_eval_ctx_set_data(context: number, value: number): void;
  opa_eval_ctx_set_entrypoint(context: number, entrypoint: number): void;
  opa_eval_ctx_get_result(context: number): number;
  eval(context: number): number;
}

/** Rego text in and out; undefined: the call is undefined. */
export type AnswerBuiltin = (name: string, args: readonly string[]) => string | undefined;

export interface PlainHost {
  /** what the module asks for */
  readonly imports: readonly string[];
  /**
   * @param input  Rego text; undefined: there is none
   * @returns the result set as Rego text
   * @throws Error  the module aborted or trapped, or what the built-in threw
   */
  evaluate(entrypoint: string, input: string | undefined): string;
}

export interface PlainHostOptions {
  /** JSON */
  readonly data?: string;
  /** what is answered without text, by the name that the module says; default: nothing */
  readonly small?: (name: string) => SmallAnswer | undefined;
}

const PAGES = 1_024;
const UNLIMITED: BuiltinContext = {
  nowNs: 0n,
  randomBytes: (count) => new Uint8Array(count),
  said: new Map(),
  answered: new Map(),
  sent: new Map(),
  charge: () => {},
};

/** Calls pass through the port of production. */
export function startPlainHost(
  wasm: Uint8Array,
  answer: AnswerBuiltin,
  { data = '{}', small = () => undefined }: PlainHostOptions = {},
): PlainHost {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: PAGES });
  memory.grow(PAGES - 1);
  const port = createBuiltinPort({ answers: () => true, call: answer, small });
  const readText = (address: number): string => {
    const bytes = Buffer.from(memory.buffer);
    return bytes.toString('utf8', address, bytes.indexOf(0, address));
  };
  const write = (text: string, parse: (address: number, length: number) => number): number => {
    const bytes = Buffer.from(text);
    const address = go.opa_malloc(bytes.length);
    Buffer.from(memory.buffer).set(bytes, address);
    const value = parse(address, bytes.length);
    if (value === 0) throw new Error(`the module cannot read ${text}`);
    return value;
  };
  const env = {
    memory,
    opa_abort(address: number) {
      throw new Error(readText(address));
    },
    opa_println() {},
    ...port.imports,
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(wasm)), { env });
  const go = instance.exports as unknown as Exports;
  const readNumbers = (value: number) =>
    Object.entries(JSON.parse(readText(go.opa_json_dump(value))) as Record<string, number>);
  const names = new Map(readNumbers(go.builtins()).map(([name, id]) => [id, name]));
  port.connect(go, Buffer.from(memory.buffer), names);
  const entrypoints = new Map(readNumbers(go.entrypoints()));
  const dataValue = write(data, go.opa_json_parse);
  const heap = go.opa_heap_ptr_get();
  return {
    imports: [...names.values()].sort(),
    evaluate(entrypoint, input) {
      const id = entrypoints.get(entrypoint);
      if (id === undefined) throw new Error(`there is no entrypoint ${entrypoint}`);
      port.begin(() => UNLIMITED);
      go.opa_heap_ptr_set(heap);
      const context = go.opa_eval_ctx_new();
      if (input !== undefined) go.opa_eval_ctx_set_input(context, write(input, go.opa_value_parse));
      go.opa_eval_ctx_set_data(context, dataValue);
      go.opa_eval_ctx_set_entrypoint(context, id);
      if (go.eval(context) !== 0) throw new Error('eval failed');
      return readText(go.opa_value_dump(go.opa_eval_ctx_get_result(context)));
    },
  };
}
