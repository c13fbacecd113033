/**
 * The door through which a compiled policy calls the built-in functions that it does not bring itself: the imports
 * `opa_builtin0` to `opa_builtin4` of OPA's WASM ABI. Arguments and results cross it as Rego text, which keeps sets.
 *
 * @see https://www.openpolicyagent.org/docs/wasm, "Built-in functions"
 */
import type { BuiltinContext, CallBuiltin } from '../builtins/builtin.ts';

/** Who answers the calls of a module. */
export interface Builtins {
  answers(name: string): boolean;
  readonly call: CallBuiltin;
}

export const NO_BUILTINS: Builtins = {
  answers: () => false,
  call: () => undefined,
};

/** What the port needs of the instance. */
export interface ValueExports {
  opa_malloc(size: number): number;
  opa_free(address: number): void;
  opa_value_dump(value: number): number;
  opa_value_parse(address: number, length: number): number;
}

export interface BuiltinPort {
  readonly imports: WebAssembly.ModuleImports;
  /** @param names  by the number that the module calls them by */
  connect(exports: ValueExports, bytes: Buffer, names: ReadonlyMap<number, string>): void;
  /** Calls from now on belong to another evaluation; `newContext` is asked at its first call. */
  begin(newContext: () => BuiltinContext): void;
}

const NOTHING = 0;
/** Of a native built-in whose calls were turned to the host, since it answers otherwise than OPA's evaluator. */
const TURNED_TO_HOST = 'host.';

/** @param name  as the module says it */
export function builtinName(name: string): string {
  return name.startsWith(TURNED_TO_HOST) ? name.slice(TURNED_TO_HOST.length) : name;
}

export function createBuiltinPort({ call }: Builtins): BuiltinPort {
  let connected: { exports: ValueExports; bytes: Buffer; names: ReadonlyMap<number, string> } | undefined;
  let newContext: (() => BuiltinContext) | undefined;
  let context: BuiltinContext | undefined;

  /** @throws whatever ends the evaluation: the module's frames are unwound, and the instance must be restored */
  const onCall = (id: number, _context: number, ...args: readonly number[]): number => {
    const name = connected?.names.get(id);
    if (connected === undefined || name === undefined || newContext === undefined) {
      throw new Error(`built-in ${id} is not there`);
    }
    const { exports, bytes } = connected;
    const texts = args.map((value) => {
      const address = exports.opa_value_dump(value);
      const text = bytes.toString('utf8', address, bytes.indexOf(0, address));
      exports.opa_free(address);
      return text;
    });
    context ??= newContext();
    const result = call(name, texts, context);
    return result === undefined ? NOTHING : write(result, exports, bytes);
  };

  return {
    imports: {
      opa_builtin0: onCall,
      opa_builtin1: onCall,
      opa_builtin2: onCall,
      opa_builtin3: onCall,
      opa_builtin4: onCall,
    },
    connect(exports, bytes, names) {
      connected = { exports, bytes, names };
    },
    begin(of) {
      newContext = of;
      context = undefined;
    },
  };
}

function write(text: string, exports: ValueExports, bytes: Buffer): number {
  const length = Buffer.byteLength(text);
  const address = exports.opa_malloc(length);
  bytes.write(text, address, length, 'utf8');
  const value = exports.opa_value_parse(address, length);
  if (value === NOTHING) throw new Error('a built-in said what is no Rego value');
  return value;
}
