/**
 * Weaves a budget into a compiled policy. The module gets one more global, `chancery.units`; at each function's entry
 * and at each loop's head it goes down by what the code from there on can cost, and below 0 the module traps. Whoever
 * runs the module sets it before each evaluation and reads from it what the evaluation has cost.
 *
 * A unit pays for up to eight instructions. A place is charged with all instructions of its function or loop, those of
 * inner loops excepted: an upper bound, so that work without loops counts as well. (Charging each straight stretch by
 * itself is exact and doubles the time; charging loops and calls alone is no faster, and units then say less of the
 * time.) Nothing depends on the machine: one module and one input cost the same everywhere.
 *
 * The mutable globals of the module are exported too, as `chancery.global.<index>`. With the memory they are all that
 * an evaluation can change, so that a snapshot of both is the whole instance (wasm-instance.ts).
 *
 * The new global is the last one and nothing else is numbered anew: elements, exports, the start function and the
 * names of functions stay right. Custom sections that may hold offsets into the code are left out.
 *
 * @see WebAssembly core specification, 5.5 "Modules"
 */
import { meterCode } from './metering-code.ts';
import { END, readInstruction } from './metering-instructions.ts';
import { type Bytes, concat, signed, unsigned, WasmReader } from './metering-reader.ts';

/** Which weights are woven in; another number means that units cannot be compared. */
export const METERING_VERSION = 1;
export const UNITS_EXPORT = 'chancery.units';
export const GLOBAL_EXPORT = 'chancery.global.';
const METERING_SECTION = 'chancery.metering';
/** What the counter of a new instance holds, and the most that it can. */
export const MOST_UNITS = 2_147_483_647;

const HEADER_BYTES = 8;
const SECTION = { custom: 0, import: 2, global: 6, export: 7, code: 10, data: 11 } as const;
const KEPT_CUSTOM = ['name', 'producers'];
const GLOBAL_KIND = 0x03;
const MUTABLE = 0x01;
const I32 = 0x7f;
const I32_CONST = 0x41;

/** What a metered module says of itself, in a custom section. */
export interface Metering {
  readonly version: number;
  /** the addresses of what the program keeps between two calls, and the address behind them */
  readonly statics: readonly [from: number, to: number];
}

/** @returns undefined  for a module that is not metered */
export function meteringOf(module: WebAssembly.Module): Metering | undefined {
  const [section] = WebAssembly.Module.customSections(module, METERING_SECTION);
  return section && (JSON.parse(Buffer.from(section).toString()) as Metering);
}

/** @throws Error  when it is no valid module, or one that cannot be metered; the message may be shown */
export function meterModule(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!WebAssembly.validate(Buffer.from(wasm))) throw new Error('it is no valid WebAssembly module');
  const reader = new WasmReader(wasm);
  const header = reader.take(HEADER_BYTES).whole();
  const sections = readSections(reader);
  const sectionOf = (id: number): WasmReader | undefined => sections.find((each) => each.id === id)?.content;
  expectNoGlobals(sectionOf(SECTION.import));
  const globals = readGlobals(sectionOf(SECTION.global));
  const statics = readStatics(sectionOf(SECTION.data));
  const parts: Bytes[] = [header];
  const add = (id: number, content: Bytes): void => void parts.push([id], unsigned(content.length), content);
  for (const { id, content } of sections) if (isKept(id, content)) add(id, rewrite(id, content, globals));
  add(SECTION.custom, describe({ version: METERING_VERSION, statics }));
  const metered = concat(parts);
  if (!WebAssembly.validate(metered)) throw new Error('it is metered already, or of an unexpected form');
  return metered;
}

interface Section {
  readonly id: number;
  readonly content: WasmReader;
}

function readSections(reader: WasmReader): readonly Section[] {
  const sections: Section[] = [];
  while (!reader.isAtEnd) sections.push({ id: reader.byte(), content: reader.take(reader.u32()) });
  return sections;
}

function isKept(id: number, content: WasmReader): boolean {
  return id !== SECTION.custom || KEPT_CUSTOM.includes(content.name());
}

function rewrite(id: number, content: WasmReader, globals: Globals): Bytes {
  switch (id) {
    case SECTION.global:
      return globals.bytes;
    case SECTION.export:
      return addExports(content, globals);
    case SECTION.code:
      return meterCode(content, globals.count);
    default:
      return content.whole();
  }
}

function describe(metering: Metering): Bytes {
  return concat([nameBytes(METERING_SECTION), Buffer.from(JSON.stringify(metering))]);
}

interface Globals {
  /** how many the module has itself, and so the index of the new one */
  readonly count: number;
  readonly mutable: readonly number[];
  /** of the section, with the new one */
  readonly bytes: Uint8Array;
}

/** Imported globals come first in the numbering. None is expected, and one that others share has no snapshot. */
function expectNoGlobals(section: WasmReader | undefined): void {
  if (section === undefined) return;
  for (let left = section.u32(); left > 0; left -= 1) {
    section.name();
    section.name();
    const kind = section.byte();
    if (kind === GLOBAL_KIND) throw new Error('it imports a global');
    if (kind === 0x00) section.u32();
    else if (kind <= 0x02) skipTableOrMemory(kind, section);
    else throw new Error(`it has an import of the kind ${kind}`);
  }
}

function skipTableOrMemory(kind: number, section: WasmReader): void {
  if (kind === 0x01) section.byte();
  const hasMaximum = section.byte() === 0x01;
  section.u32();
  if (hasMaximum) section.u32();
}

function readGlobals(section: WasmReader | undefined): Globals {
  if (section === undefined) throw new Error('it has no globals');
  const count = section.u32();
  const own = section.rest();
  const mutable: number[] = [];
  for (let index = 0; index < count; index += 1) {
    section.byte();
    if (section.byte() === MUTABLE) mutable.push(index);
    while (readInstruction(section) !== END);
  }
  const added = [I32, MUTABLE, I32_CONST, ...signed(MOST_UNITS), END];
  return { count, mutable, bytes: concat([unsigned(count + 1), own, added]) };
}

function addExports(section: WasmReader, { count, mutable }: Globals): Uint8Array {
  const exported = (name: string, index: number): Bytes => [
    ...nameBytes(name),
    GLOBAL_KIND,
    ...unsigned(index),
  ];
  const before = section.u32();
  return concat([
    unsigned(before + mutable.length + 1),
    section.rest(),
    exported(UNITS_EXPORT, count),
    ...mutable.map((index) => exported(`${GLOBAL_EXPORT}${index}`, index)),
  ]);
}

/**
 * The linker writes constants, variables and zeroed variables as a segment each, and OPA's compiler the texts of the
 * policy behind them. Only the constants are long, and nothing writes there.
 */
function readStatics(section: WasmReader | undefined): Metering['statics'] {
  let [from, to] = [0, 0];
  for (let index = 0, count = section?.u32() ?? 0; section !== undefined && index < count; index += 1) {
    const isPlaced = section.u32() === 0 && section.byte() === I32_CONST;
    const start = isPlaced ? section.i32() : -1;
    if (start < 0 || section.byte() !== END) throw new Error('it has data without a fixed place');
    const length = section.u32();
    section.skip(length);
    if (index === 0) continue;
    from = index === 1 ? start : Math.min(from, start);
    to = Math.max(to, start + length);
  }
  return [from, to];
}

function nameBytes(name: string): Bytes {
  const utf8 = Buffer.from(name);
  return [...unsigned(utf8.length), ...utf8];
}
