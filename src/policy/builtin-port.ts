/**
 * The door through which a compiled policy calls the built-in functions that it does not bring itself: the imports
 * `opa_builtin0` to `opa_builtin4` of OPA's WASM ABI. Arguments and results cross it as Rego text, which keeps sets.
 *
 * @see https://www.openpolicyagent.org/docs/wasm, "Built-in functions"
 */
import type { BuiltinContext, CallBuiltin } from '../builtins/builtin.ts';
import type { SmallFunction } from '../builtins/small-integers.ts';
import { createNumberMemory, type NumberMemory } from './number-memory.ts';

/** Who answers the calls of a module. */
export interface Builtins {
  answers(name: string): boolean;
  readonly call: CallBuiltin;
  /** what answers calls with small integers, or with collections of them, without their text; default: nothing */
  small?(name: string): SmallAnswer | undefined;
}

export interface SmallAnswer {
  readonly of: SmallFunction;
  /** its one argument is a collection */
  readonly isOfAll: boolean;
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

interface Connected {
  readonly exports: ValueExports;
  readonly bytes: Buffer;
  readonly numbers: NumberMemory;
  /** by the number that the module calls them by */
  readonly builtins: readonly (Called | undefined)[];
}

interface Called {
  readonly name: string;
  readonly small: SmallAnswer | undefined;
}

const NOTHING = 0;
/** Of a call that is answered without text, and of each member of a collection. */
const UNITS_PER_SMALL_CALL = 100;
const UNITS_PER_MEMBER = 20;
/** what no other value begins with */
const NUMBER_START = /^[-+.\d]/;
/** Of a native built-in whose calls were turned to the host, since it answers otherwise than OPA's evaluator. */
const TURNED_TO_HOST = 'host.';

/** @param name  as the module says it */
export function builtinName(name: string): string {
  return name.startsWith(TURNED_TO_HOST) ? name.slice(TURNED_TO_HOST.length) : name;
}

export function createBuiltinPort({ call, small }: Builtins): BuiltinPort {
  let connected: Connected | undefined;
  let newContext: (() => BuiltinContext) | undefined;
  let context: BuiltinContext | undefined;

  /** @throws whatever ends the evaluation: the module's frames are unwound, and the instance must be restored */
  const onCall = (id: number, _context: number, ...args: readonly number[]): number => {
    const called = connected?.builtins[id];
    if (connected === undefined || called === undefined || newContext === undefined) {
      throw new Error(`built-in ${id} is not there`);
    }
    context ??= newContext();
    const { exports, bytes, numbers } = connected;
    if (called.small !== undefined) {
      const integer = answerSmall(called.small, args, numbers, context);
      if (!Number.isNaN(integer)) return numbers.writeInteger(integer);
    }
    const texts = args.map((value) => {
      const number = numbers.readText(value);
      if (number !== undefined) return number;
      const address = exports.opa_value_dump(value);
      const text = bytes.toString('utf8', address, bytes.indexOf(0, address));
      exports.opa_free(address);
      return text;
    });
    const result = call(called.name, texts, context);
    if (result === undefined) return NOTHING;
    return NUMBER_START.test(result) ? numbers.writeText(result) : write(result, exports, bytes);
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
      const builtins: (Called | undefined)[] = [];
      for (const [id, name] of names) builtins[id] = { name, small: small?.(name) };
      connected = { exports, bytes, numbers: createNumberMemory(exports, bytes), builtins };
    },
    begin(of) {
      newContext = of;
      context = undefined;
    },
  };
}

/** @returns NaN  when it is not answered */
function answerSmall(
  small: SmallAnswer,
  args: readonly number[],
  numbers: NumberMemory,
  { charge }: BuiltinContext,
): number {
  charge(UNITS_PER_SMALL_CALL);
  if (!small.isOfAll) return small.of(args.map(numbers.readInteger));
  const [collection = NOTHING] = args;
  const integers = numbers.readIntegers(collection);
  if (integers === undefined) return Number.NaN;
  charge(UNITS_PER_MEMBER * integers.length);
  return small.of(integers);
}

function write(text: string, exports: ValueExports, bytes: Buffer): number {
  const length = Buffer.byteLength(text);
  const address = exports.opa_malloc(length);
  bytes.write(text, address, length, 'utf8');
  const value = exports.opa_value_parse(address, length);
  if (value === NOTHING) throw new Error('a built-in said what is no Rego value');
  return value;
}
