/** Damage of every kind to a CheckRequest, and bytes that never were one; the same seed gives the same messages. */
import {
  FIXED32,
  FIXED64,
  LENGTH_DELIMITED,
  nestedStruct,
  START_GROUP,
  VARINT,
  varintOf,
  type WireField,
  writeFields,
} from './check-wire.ts';

export type Random = (below: number) => number;

/** mulberry32: small, fast, and good enough to choose */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const MIB = 1024 * 1024;
const NOT_UTF8 = ['ff', 'c080', 'e282', 'eda080', 'f4908080', 'f8888080', '80', '61c3'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
/** around the limit of 100 messages, of which a Struct in a Struct takes three; and far beyond it */
const DEPTHS = [1, 10, 28, 29, 30, 31, 32, 33, 34, 50, 100, 10_000];
const nested = new Map(DEPTHS.map((depth) => [depth, nestedStruct(depth)]));

type Damage = (fields: readonly WireField[], random: Random) => readonly WireField[];

function pick<T>(list: readonly T[], random: Random): T {
  return list[random(list.length)] as T;
}

function bytes(length: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)));
}

/** How many fields a tree has, with all below. */
function count(fields: readonly WireField[]): number {
  return fields.reduce(
    (sum, { content }) => sum + 1 + (Buffer.isBuffer(content) ? 0 : count(content as readonly WireField[])),
    0,
  );
}

/** Replaces the field with this number in depth-first order by others. */
function replaceAt(
  fields: readonly WireField[],
  index: number,
  change: (field: WireField) => readonly WireField[],
): readonly WireField[] {
  let left = index;
  return fields.flatMap((field) => {
    if (left < 0) return [field];
    if (left === 0) {
      left = -1;
      return change(field);
    }
    left -= 1;
    if (Buffer.isBuffer(field.content)) return [field];
    const below = field.content as readonly WireField[];
    const size = count(below);
    const inside = left < size;
    const content = inside ? replaceAt(below, left, change) : below;
    left = inside ? -1 : left - size;
    return [{ ...field, content }];
  });
}

function anywhere(change: (field: WireField, random: Random) => readonly WireField[]): Damage {
  return (fields, random) => replaceAt(fields, random(count(fields)), (field) => change(field, random));
}

/** In the first string from a random place on that is such a one. */
function inText(
  change: (content: Buffer, random: Random) => Buffer,
  isIt: (content: Buffer) => boolean = () => true,
): Damage {
  return (fields, random) => {
    const total = count(fields);
    const start = random(total);
    for (let step = 0; step < total; step += 1) {
      let done = false;
      const changed = replaceAt(fields, (start + step) % total, (field) => {
        if (!field.text || !Buffer.isBuffer(field.content) || !isIt(field.content)) return [field];
        done = true;
        return [{ ...field, content: change(field.content, random) }];
      });
      if (done) return changed;
    }
    return fields;
  };
}

/** Among the metadata that the proxy sends along. */
function withStruct(depthOf: (random: Random) => number): Damage {
  return (fields, random) =>
    replaceAt(fields, 0, (attributes) => {
      const struct = nested.get(depthOf(random)) ?? Buffer.alloc(0);
      const entry = { no: 2, wireType: LENGTH_DELIMITED, content: struct, text: false };
      const metadata = [{ no: 1, wireType: LENGTH_DELIMITED, content: [entry], text: false }];
      const below = Buffer.isBuffer(attributes.content) ? [] : (attributes.content as readonly WireField[]);
      const field = {
        no: pick([11, 13], random),
        wireType: LENGTH_DELIMITED,
        content: metadata,
        text: false,
      };
      return [{ ...attributes, content: [...below, field] }];
    });
}

const FORMS: Readonly<Record<number, (random: Random) => Buffer>> = {
  [VARINT]: (random) => varintOf(random(300)),
  [FIXED64]: (random) => bytes(8, random),
  [LENGTH_DELIMITED]: (random) => bytes(random(6), random),
  [START_GROUP]: (random) => bytes(random(3), random),
  4: () => Buffer.alloc(0),
  [FIXED32]: (random) => bytes(4, random),
  6: (random) => bytes(random(3), random),
};

/** On the tree: lengths stay right, so that the damage is seen where it is and not one level above. */
const DAMAGES: Readonly<Record<string, Damage>> = {
  'wrong wire type': anywhere((field, random) => {
    const wireType = random(7);
    // half of them with a content of the right form, or the content is read as something else
    const content = random(2) === 0 ? field.content : (FORMS[wireType]?.(random) ?? field.content);
    return [{ ...field, wireType, content }];
  }),
  'long varint': anywhere((field, random) => {
    const long = random(11);
    return [{ ...field, padding: random(2) === 0 ? { tag: long } : { length: long } }];
  }),
  'invalid UTF-8': inText((content, random) => {
    const at = random(content.length + 1);
    return Buffer.concat([content.subarray(0, at), pick(NOT_UTF8, random), content.subarray(at)]);
  }),
  'another text': inText((_content, random) =>
    Buffer.from(
      pick(['', 'GET', 'POST', '/public/hello', '/admin', '/public/../admin', 'a', '\0', 'é'], random),
    ),
  ),
  'another path': inText(
    (_content, random) =>
      Buffer.from(pick(['/admin', '/public', '/public/', '//public/a', '/%70ublic/a', '/Public/a'], random)),
    (content) => content.toString().startsWith('/public/'),
  ),
  'repeated field': anywhere((field, random) => [field, field, field].slice(0, 2 + random(2))),
  'repeated field with another content': (fields, random) => {
    const at = random(count(fields));
    return replaceAt(fields, at, (field) => {
      const other = DAMAGES['another text']?.([field], random) ?? [];
      return random(2) === 0 ? [field, ...other] : [...other, field];
    });
  },
  'missing field': anywhere(() => []),
  'another field number': anywhere((field, random) => [
    { ...field, no: random(4) === 0 ? random(2 ** 29) : random(16) },
  ]),
  'unknown field': anywhere((field, random) => [
    { no: 500 + random(100), wireType: LENGTH_DELIMITED, content: bytes(random(20), random), text: false },
    field,
  ]),
  group: anywhere((field, random) => {
    const no = random(4) === 0 ? field.no : 700;
    const end = { no: random(4) === 0 ? no + 1 : no, wireType: 4, content: Buffer.alloc(0), text: false };
    return [{ no, wireType: START_GROUP, content: Buffer.alloc(0), text: false }, end, field];
  }),
  'deep Struct': withStruct((random) => pick(DEPTHS, random)),
  'Struct of depth 10,000': withStruct(() => 10_000),
  'string of 1 MiB': inText((content, random) =>
    Buffer.concat([content, Buffer.alloc(MIB, pick(['x', '/', '%', '"', '\u{1f600}', '\u0001'], random))]),
  ),
};

/** On the bytes. */
const TRUNCATION = 'truncation';
const BIT_FLIPS = 'bit flips';
const BYTE_DAMAGES: Readonly<Record<string, (bytes: Buffer, random: Random) => Buffer>> = {
  [TRUNCATION]: (whole, random) => whole.subarray(0, random(whole.length)),
  [BIT_FLIPS]: (whole, random) => {
    const flipped = Buffer.from(whole);
    for (let times = 1 + random(3); times > 0; times -= 1) {
      const at = random(flipped.length);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random(8));
    }
    return flipped;
  },
};

/** A megabyte costs more than all others together. */
const RARE = new Set(['string of 1 MiB', 'deep Struct', 'Struct of depth 10,000']);
const TREE_KINDS = Object.keys(DAMAGES);
const NAMES = TREE_KINDS.flatMap((name) => (RARE.has(name) ? [name] : [name, name, name, name, name]));
/** Every kind of damage in turn: what a run of messages is made of does not hang on its seed. */
const DECK = [...NAMES, ...Object.keys(BYTE_DAMAGES).flatMap((name) => [name, name, name, name, name])];

/** What the run is to have met: all kinds. */
export const MUTATION_KINDS: readonly string[] = [...new Set(DECK)];

export interface Mutated {
  readonly bytes: Buffer;
  /** what was done to it, all of it */
  readonly how: string;
  /** the damage whose turn it was: by itself it makes other bytes than the whole message has */
  readonly kind: string;
}

/** The damage whose turn it is, and upon it none to two others, of the fields and perhaps of the bytes. */
export function mutate(fields: readonly WireField[], random: Random, index: number): Mutated {
  const kind = DECK[index % DECK.length] ?? TRUNCATION;
  const whole = writeFields(fields);
  const onBytes = BYTE_DAMAGES[kind];
  if (onBytes !== undefined) {
    return { kind, how: kind, bytes: untilOther(whole, () => onBytes(whole, random)) };
  }
  let damaged = fields;
  untilOther(whole, () => writeFields((damaged = DAMAGES[kind]?.(fields, random) ?? fields)));
  const how = [kind];
  for (let times = random(3); times > 0 && count(damaged) > 0; times -= 1) {
    const name = pick(NAMES, random);
    how.push(name);
    damaged = DAMAGES[name]?.(damaged, random) ?? damaged;
  }
  const written = writeFields(damaged);
  const last = written.length > 0 && random(8) === 0 ? pick(Object.keys(BYTE_DAMAGES), random) : undefined;
  if (last !== undefined) how.push(last);
  const bytes = last === undefined ? written : (BYTE_DAMAGES[last]?.(written, random) ?? written);
  return { kind, how: how.join(', '), bytes };
}

/** A draw may do nothing (the same wire type again): it is drawn anew. */
function untilOther(whole: Buffer, draw: () => Buffer): Buffer {
  for (let times = 0; times < 1_000; times += 1) {
    const drawn = draw();
    if (!drawn.equals(whole)) return drawn;
  }
  throw new Error('this damage never damages');
}

/** Bytes of any kind, or fields with the numbers that the messages of a CheckRequest have. */
export function randomMessage(random: Random): { readonly bytes: Buffer; readonly how: string } {
  if (random(2) === 0) return { bytes: bytes(random(200), random), how: 'random bytes' };
  return { bytes: writeFields(randomFields(random, 6)), how: 'random fields' };
}

function randomFields(random: Random, levels: number): readonly WireField[] {
  return Array.from({ length: 1 + random(3) }, () => {
    const no = 1 + random(13);
    const wireType = random(3) > 0 ? LENGTH_DELIMITED : pick([VARINT, FIXED64, FIXED32], random);
    const deeper = wireType === LENGTH_DELIMITED && levels > 0 && random(4) > 0;
    const content = deeper
      ? randomFields(random, levels - 1)
      : wireType === LENGTH_DELIMITED
        ? Buffer.from(pick(['', 'GET', '/public/hello', 'a', '1'], random))
        : (FORMS[wireType]?.(random) ?? Buffer.alloc(0));
    return { no, wireType, content, text: false };
  });
}
