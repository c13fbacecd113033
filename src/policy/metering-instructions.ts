/**
 * The instructions that a metered module may hold: WebAssembly 1.0, sign extension and saturating conversion, which is
 * more than OPA's compiler writes. All others are refused rather than guessed. So are those that change a table or
 * copy a stretch of memory: the former could not be undone by a snapshot, the latter would be work that one unit
 * does not measure.
 *
 * @see WebAssembly core specification, 5.4 "Instructions"
 */
import type { WasmReader } from './metering-reader.ts';

export const LOOP = 0x03;
const BLOCK = 0x02;
const IF = 0x04;
const ELSE = 0x05;
export const END = 0x0b;
const MORE = 0xfc;

const isBetween = (opcode: number, first: number, last: number): boolean => opcode >= first && opcode <= last;

/** Of a structure, which ends with an `END` of its own. */
export function isOpening(opcode: number): boolean {
  return opcode === BLOCK || opcode === LOOP || opcode === IF;
}

/** Whether it is work, and not only a mark of where a structure begins or ends. */
export function isWork(opcode: number): boolean {
  return opcode !== BLOCK && opcode !== LOOP && opcode !== ELSE && opcode !== END;
}

/** @returns the opcode; its immediates are skipped. @throws Error  for an instruction that is not known */
export function readInstruction(reader: WasmReader): number {
  const { position } = reader;
  const opcode = reader.byte();
  if (isOpening(opcode)) {
    reader.skipNumber(33);
  } else if (isBetween(opcode, 0x0c, 0x0d) || opcode === 0x10 || isBetween(opcode, 0x20, 0x24)) {
    reader.u32(); // br, br_if, call, local.*, global.*
  } else if (opcode === 0x0e) {
    for (let labels = reader.u32() + 1; labels > 0; labels -= 1) reader.u32(); // br_table
  } else if (opcode === 0x11 || isBetween(opcode, 0x28, 0x3e)) {
    reader.u32(); // call_indirect: type, table; loads and stores: alignment, offset
    reader.u32();
  } else if (isBetween(opcode, 0x3f, 0x40)) {
    reader.byte(); // memory.size, memory.grow
  } else if (isBetween(opcode, 0x41, 0x42)) {
    reader.skipNumber(opcode === 0x41 ? 32 : 64);
  } else if (isBetween(opcode, 0x43, 0x44)) {
    reader.skip(opcode === 0x43 ? 4 : 8);
  } else if (opcode === MORE) {
    const second = reader.u32();
    if (second > 7) throw unknown(`0xfc ${second}`, position);
  } else if (!isPlain(opcode)) {
    throw unknown(`0x${opcode.toString(16)}`, position);
  }
  return opcode;
}

/** Without immediates. */
function isPlain(opcode: number): boolean {
  return (
    isBetween(opcode, 0x00, 0x01) || // unreachable, nop
    opcode === ELSE ||
    opcode === END ||
    opcode === 0x0f || // return
    isBetween(opcode, 0x1a, 0x1b) || // drop, select
    isBetween(opcode, 0x45, 0xc4) // comparisons, arithmetic, conversions
  );
}

function unknown(name: string, position: number): Error {
  return new Error(`the module has the instruction ${name} at ${position}, which cannot be metered`);
}
