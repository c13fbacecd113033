/** The charges in the code of a module: where they are, what they cost, and how they are written. */
import { END, isOpening, isWork, LOOP, readInstruction } from './metering-instructions.ts';
import { type Bytes, concat, signed, unsigned, type WasmReader } from './metering-reader.ts';

const INSTRUCTIONS_PER_UNIT = 8;
const CODE = { globalGet: 0x23, globalSet: 0x24, const: 0x41, less: 0x48, sub: 0x6b, if: 0x04, empty: 0x40 };
const UNREACHABLE = 0x00;

/**
 * @param section  of code
 * @param unitsIndex  of the global that counts
 */
export function meterCode(section: WasmReader, unitsIndex: number): Uint8Array {
  const count = section.u32();
  const bodies: Bytes[] = [unsigned(count)];
  for (let left = count; left > 0; left -= 1) {
    const body = meterFunction(section.take(section.u32()), unitsIndex);
    bodies.push(unsigned(body.length), body);
  }
  return concat(bodies);
}

/** Where units are charged: the entry of a function, or the head of a loop. */
interface Place {
  readonly position: number;
  instructions: number;
}

function meterFunction(body: WasmReader, unitsIndex: number): Uint8Array {
  const whole = body.whole();
  const start = body.position;
  for (let groups = body.u32(); groups > 0; groups -= 1) {
    body.u32();
    body.byte();
  }
  const places = findPlaces(body);
  const parts: Bytes[] = [];
  let from = 0;
  for (const { position, instructions } of places) {
    parts.push(
      whole.subarray(from, position - start),
      charge(unitsIndex, Math.ceil(instructions / INSTRUCTIONS_PER_UNIT)),
    );
    from = position - start;
  }
  return concat([...parts, whole.subarray(from)]);
}

/** @returns in order of their positions */
function findPlaces(body: WasmReader): readonly Place[] {
  let current: Place = { position: body.position, instructions: 1 };
  const places = [current];
  /** for each open structure the place that the code after it belongs to */
  const outer: Place[] = [current];
  while (outer.length > 0) {
    const opcode = readInstruction(body);
    if (isWork(opcode)) current.instructions += 1;
    if (isOpening(opcode)) outer.push(current);
    if (opcode === LOOP) {
      current = { position: body.position, instructions: 1 };
      places.push(current);
    } else if (opcode === END) {
      current = outer.pop() ?? current;
    }
  }
  if (!body.isAtEnd) throw new Error('a function ends before its code does');
  return places;
}

/** `units -= cost; if (units < 0) trap` */
function charge(unitsIndex: number, cost: number): Bytes {
  const index = unsigned(unitsIndex);
  return [
    ...[CODE.globalGet, ...index, CODE.const, ...signed(cost), CODE.sub, CODE.globalSet, ...index],
    ...[CODE.globalGet, ...index, CODE.const, ...signed(0), CODE.less],
    ...[CODE.if, CODE.empty, UNREACHABLE, END],
  ];
}
