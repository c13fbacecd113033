import { signed } from '../../src/policy/metering-reader.ts';

/** Small WebAssembly modules written by hand; no number in them is above 127, so that each is one byte of LEB128. */
export const I32 = 0x7f;

/** The sections by id. One module holds what a compiled policy holds: imports, a table, a start function, names. */
export interface Sections {
  readonly [id: number]: readonly number[];
}

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

export function moduleOf(sections: Sections, order: readonly number[] = ORDER): Uint8Array<ArrayBuffer> {
  const parts = order.flatMap((id) => {
    const body = sections[id];
    return body === undefined ? [] : [id, body.length, ...body];
  });
  return Uint8Array.from([...HEADER, ...parts]);
}

const ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0];

export function text(value: string): readonly number[] {
  return [value.length, ...Buffer.from(value)];
}

/** @param code  without its `end` */
export function body(code: readonly number[], locals: readonly number[] = [0]): readonly number[] {
  const whole = [...locals, ...code, 0x0b];
  return [whole.length, ...whole];
}

const data = (at: number, content: string): readonly number[] => [
  0,
  0x41,
  ...signed(at),
  0x0b,
  ...text(content),
];

/**
 * Exports `count` (i32 → i32: goes round a loop that often and returns the mutable global 0), `forever`, and `twice`
 * (i32 → i32: calls `double` through the table). The start function sets global 0 to 5.
 */
export function anExample(): Sections {
  const loop = [0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b];
  const bodies = [
    body([0x41, 5, 0x24, 0]),
    body([...loop, 0x23, 0]),
    body([0x03, 0x40, 0x0c, 0, 0x0b]),
    body([0x20, 0, 0x41, 0, 0x11, 1, 0]),
    body([0x20, 0, 0x20, 0, 0x6a]),
  ];
  return {
    1: [2, 0x60, 0, 0, 0x60, 1, I32, 1, I32],
    2: [1, ...text('env'), ...text('memory'), 2, 0, 1],
    3: [5, 0, 1, 0, 1, 1],
    4: [1, 0x70, 0, 1],
    6: [2, I32, 1, 0x41, 0, 0x0b, I32, 0, 0x41, 7, 0x0b],
    7: [4, ...text('count'), 0, 1, ...text('forever'), 0, 2, ...text('twice'), 0, 3, ...text('seven'), 3, 1],
    8: [0],
    9: [1, 0, 0x41, 0, 0x0b, 1, 4],
    10: [bodies.length, ...bodies.flat()],
    11: [3, ...data(0, 'constants'), ...data(80, 'abc'), ...data(40, 'xyz')],
    0: [...text('name'), 1, 6, 1, 2, ...text('loop').slice(0, 4)],
  };
}
