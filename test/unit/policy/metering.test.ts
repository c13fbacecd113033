import { describe, expect, it } from 'vitest';
import { MOST_UNITS, meteringOf, meterModule, UNITS_EXPORT } from '../../../src/policy/metering.ts';
import { anExample, body, I32, moduleOf, type Sections, text } from '../../support/wasm-module.ts';

interface Example {
  readonly count: (rounds: number) => number;
  readonly forever: () => void;
  readonly twice: (value: number) => number;
  readonly seven: WebAssembly.Global;
  readonly [UNITS_EXPORT]: WebAssembly.Global<'i32'>;
  readonly 'chancery.global.0': WebAssembly.Global<'i32'>;
}

function start(wasm: Uint8Array<ArrayBuffer>): Example {
  const memory = new WebAssembly.Memory({ initial: 1 });
  return new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory } })
    .exports as unknown as Example;
}

/** The example with another body for `forever`. */
function withCode(code: readonly number[]): Sections {
  const example = anExample();
  const bodies = [body([]), body([0x41, 0]), body(code), body([0x41, 0]), body([0x41, 0])];
  return { ...example, 10: [bodies.length, ...bodies.flat()] };
}

describe('a metered module', () => {
  it('answers as before, through its table and after its start function', () => {
    const { count, twice, seven } = start(meterModule(moduleOf(anExample())));
    expect([count(1), count(100), twice(21), seven.value]).toEqual([5, 5, 42, 7]);
  });

  it('counts a unit per eight instructions begun, for each function entered and each round of a loop', () => {
    const example = start(meterModule(moduleOf(anExample())));
    const units = example[UNITS_EXPORT];
    const costOf = (action: () => unknown): number => {
      units.value = 1_000;
      action();
      return 1_000 - units.value;
    };
    expect(costOf(() => example.count(1))).toBe(2);
    expect(costOf(() => example.count(100))).toBe(101);
    expect(costOf(() => example.twice(1))).toBe(2);
  });

  it('charges code without loops by its length', () => {
    const nops = Array.from({ length: 80 }, () => 0x01);
    const example = start(meterModule(moduleOf(withCode(nops))));
    const units = example[UNITS_EXPORT];
    units.value = 1_000;
    example.forever();
    expect(1_000 - units.value).toBe(Math.ceil(81 / 8));
  });

  it('traps at the end of its budget, and works on with a new one', () => {
    const example = start(meterModule(moduleOf(anExample())));
    const units = example[UNITS_EXPORT];
    expect(units.value).toBe(MOST_UNITS - 1);
    units.value = 1_000_000;
    expect(() => example.forever()).toThrow(WebAssembly.RuntimeError);
    expect(units.value).toBeLessThan(0);
    units.value = 101;
    expect(example.count(100)).toBe(5);
    expect(units.value).toBe(0);
    expect(() => example.count(1)).toThrow(WebAssembly.RuntimeError);
  });

  it('shows its own mutable globals, and no others', () => {
    const metered = meterModule(moduleOf(anExample()));
    const names = WebAssembly.Module.exports(new WebAssembly.Module(metered)).map(({ name }) => name);
    expect(names).toEqual(['count', 'forever', 'twice', 'seven', UNITS_EXPORT, 'chancery.global.0']);
    const example = start(metered);
    example['chancery.global.0'].value = 9;
    expect(example.count(1)).toBe(9);
  });

  it('keeps the names of functions, and no section that could hold offsets into the code', () => {
    const other = { ...anExample(), 0: [...text('.debug_line'), 1, 2, 3] };
    const named = (sections: Sections, name: string) =>
      WebAssembly.Module.customSections(new WebAssembly.Module(meterModule(moduleOf(sections))), name).length;
    expect(named(anExample(), 'name')).toBe(1);
    expect(named(other, '.debug_line')).toBe(0);
  });

  it('says that it is, and where its variables are', () => {
    const plain = moduleOf(anExample());
    expect(meteringOf(new WebAssembly.Module(plain))).toBeUndefined();
    expect(meteringOf(new WebAssembly.Module(meterModule(plain)))).toEqual({ version: 1, statics: [40, 83] });
  });

  it('is not metered again', () => {
    expect(() => meterModule(meterModule(moduleOf(anExample())))).toThrow('it is metered already');
  });

  it('is the same each time', () => {
    expect(meterModule(moduleOf(anExample()))).toEqual(meterModule(moduleOf(anExample())));
  });
});

describe('a module that cannot be metered', () => {
  it.each<[string, readonly number[], RegExp]>([
    ['memory.fill', [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0], /instruction 0xfc 11 at \d+/],
    ['memory.copy', [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 10, 0, 0], /instruction 0xfc 10 at/],
    ['table.set', [0x41, 0, 0xd0, 0x70, 0x26, 0], /instruction 0xd0 at/],
    ['a vector', [0xfd, 12, ...Array.from({ length: 16 }, () => 0), 0x1a], /instruction 0xfd at/],
    ['return_call', [0x12, 2], /instruction 0x12 at/],
  ])('is refused by name for %s', (_what, code, message) => {
    const wasm = moduleOf(withCode(code));
    expect(WebAssembly.validate(wasm)).toBe(true);
    expect(() => meterModule(wasm)).toThrow(message);
  });

  it('is refused when it imports a global, whose value a snapshot would not hold', () => {
    const example = anExample();
    const imports = [2, ...text('env'), ...text('memory'), 2, 0, 1, ...text('env'), ...text('g'), 3, I32, 1];
    expect(() => meterModule(moduleOf({ ...example, 2: imports }))).toThrow('it imports a global');
  });

  it('is refused without globals', () => {
    const { 1: types, 3: functions } = { 1: [1, 0x60, 0, 0], 3: [1, 0] };
    expect(() => meterModule(moduleOf({ 1: types, 3: functions, 10: [1, ...body([])] }))).toThrow(
      'it has no globals',
    );
  });

  it('is refused wherever its bytes end too early', () => {
    const whole = moduleOf({ ...anExample(), 0: [] }, [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    for (let length = 0; length < whole.length; length += 1) {
      const cut = whole.subarray(0, length);
      // a module that ends between two sections may be valid, but has not all that is needed
      expect(() => meterModule(cut), `the first ${length} bytes`).toThrow(/^it (is no valid|has no globals)/);
    }
  });

  it('never becomes one that does not validate, whichever byte of it is another', () => {
    const whole = moduleOf(anExample());
    let metered = 0;
    for (let at = 8; at < whole.length; at += 1) {
      for (const flip of [0x01, 0x7f, 0x80, 0xff]) {
        const changed = Uint8Array.from(whole);
        changed[at] = (changed[at] ?? 0) ^ flip;
        try {
          expect(WebAssembly.validate(meterModule(changed))).toBe(true);
          metered += 1;
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Error);
          expect((thrown as Error).message).toMatch(/^(it |the module |no number|a function )/);
        }
      }
    }
    expect(metered).toBeGreaterThan(10);
  });
});
