import { describe, expect, it } from 'vitest';
import { limitMemory } from '../../../src/rego/memory-limit.ts';

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const EXPORT_MEMORY = [7, 10, 1, 6, ...Buffer.from('memory'), 2, 0];

/** A module that defines a memory of `minimum` pages without a maximum, and exports it. */
function aModule(minimum: number): Uint8Array {
  return Uint8Array.from([...HEADER, 5, 3, 1, 0, minimum, ...EXPORT_MEMORY]);
}

describe('limitMemory', () => {
  it('gives a memory without a maximum one, so that growing beyond it fails', () => {
    const limited = limitMemory(aModule(1), 300);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(limited));
    const memory = instance.exports['memory'] as WebAssembly.Memory;
    expect(memory.grow(299)).toBe(1);
    expect(() => memory.grow(1)).toThrow(RangeError);
  });

  it('refuses a module that needs more from the start', () => {
    expect(() => limitMemory(aModule(9), 8)).toThrow('unexpected form');
  });

  it('refuses a module that defines no memory', () => {
    expect(() => limitMemory(Uint8Array.from(HEADER), 8)).toThrow('no memory');
  });

  it('refuses a module that is cut off', () => {
    expect(() => limitMemory(Uint8Array.from([...HEADER, 5, 0x80]), 8)).toThrow('LEB128');
  });
});
