/** Generated Rego values, as Rego text: the same for the same seed. */
import { parseText } from '../../src/builtins/parse-text.ts';
import { isEqual } from '../../src/builtins/value.ts';

/** @returns an integer from 0 to below `below` */
export type Random = (below: number) => number;
export type Generator = (random: Random) => string;

/** Mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export function oneOf(...generators: readonly Generator[]): Generator {
  return (random) => (generators[random(generators.length)] ?? NULL)(random);
}
/** One of these texts of Rego. */
export function terms(...texts: readonly string[]): Generator {
  return (random) => texts[random(texts.length)] ?? 'null';
}
/** One of these strings. */
export function strings(...texts: readonly string[]): Generator {
  return terms(...texts.map((each) => JSON.stringify(each)));
}
/** Once in a while the other. */
export function mostly(generator: Generator, other: Generator, seldom = 10): Generator {
  return (random) => (random(seldom) === 0 ? other : generator)(random);
}
function many(generator: Generator, most: number): (random: Random) => string[] {
  return (random) => Array.from({ length: random(most + 1) }, () => generator(random));
}
export function arrayOf(generator: Generator, most = 4): Generator {
  return (random) => `[${many(generator, most)(random).join(', ')}]`;
}
export function setOf(generator: Generator, most = 4): Generator {
  return (random) => {
    const members = many(generator, most)(random);
    return members.length === 0 ? 'set()' : `{${members.join(', ')}}`;
  };
}
/** Of a key that comes twice, also as `1` and `1.0`, the last one counts. */
export function objectOf(key: Generator, value: Generator, most = 4): Generator {
  return (random) => {
    const members = many(
      key,
      most,
    )(random).map((name) => ({ name, key: parseText(name), value: value(random) }));
    const distinct = members.filter(
      (own, at) => !members.slice(at + 1).some((later) => isEqual(own.key, later.key)),
    );
    return `{${distinct.map((each) => `${each.name}: ${each.value}`).join(', ')}}`;
  };
}
export function membersOf(members: Readonly<Record<string, Generator>>): Generator {
  return (random) =>
    `{${Object.entries(members)
      .map(([name, value]) => `${JSON.stringify(name)}: ${value(random)}`)
      .join(', ')}}`;
}
export function listOf(...members: readonly Generator[]): Generator {
  return (random) => `[${members.map((each) => each(random)).join(', ')}]`;
}

export const NULL: Generator = () => 'null';
export const BOOLEAN = terms('true', 'false');
export const INTEGER = oneOf(
  (random) => String(random(21) - 10),
  (random) => String(random(2_000_001) - 1_000_000),
  terms('0', '1', '-1', '2', '9007199254740991', '9007199254740993', '-9223372036854775808'),
);
export const NUMBER = oneOf(
  INTEGER,
  INTEGER,
  (random) => `${random(2_001) - 1_000}.${random(1_000)}`,
  terms(
    '0.1',
    '0.5',
    '1.0',
    '2.50',
    '-0.0',
    '1e3',
    '1E-7',
    '3.0e2',
    '9223372036854775807',
    '9223372036854775808',
  ),
  terms(
    '18446744073709551616',
    '123456789012345678901234567890',
    '1e21',
    '1.5e300',
    '-1e-300',
    '0.30000000000000004',
  ),
);
const WORDS = [
  'a',
  'b',
  'ab',
  'abc',
  'Abc',
  'x',
  '',
  ' ',
  'héé',
  '日本語',
  'ß',
  'İ',
  '😀x😀',
  'a.b.c',
  'a/b',
  'aaa',
];
const ODD = [
  '\u00a0a\u00a0',
  ' \t\r\n',
  'ΑΣ',
  'foo bar',
  '"q"',
  'a\\b',
  '<&>',
  '\u2028',
  '\u0001',
  'é',
  '%41',
  '{x}',
  '0',
  '-1.50',
];
export const STRING = oneOf(strings(...WORDS), strings(...WORDS, ...ODD), (random) =>
  JSON.stringify(
    Array.from({ length: random(8) }, () =>
      String.fromCodePoint(32 + random(random(4) === 0 ? 0x500 : 95)),
    ).join(''),
  ),
);
const SCALAR = oneOf(NULL, BOOLEAN, NUMBER, STRING, STRING);
/** Nested, with sets, and with keys of any type. */
export const ANY: Generator = (random) => {
  const inner: Generator = random(3) === 0 ? ANY : SCALAR;
  return oneOf(
    SCALAR,
    SCALAR,
    arrayOf(inner),
    setOf(inner),
    objectOf(STRING, inner),
    objectOf(SCALAR, inner, 3),
  )(random);
};
/** What JSON can say. */
export const JSON_VALUE: Generator = (random) => {
  const inner: Generator = random(3) === 0 ? JSON_VALUE : SCALAR;
  return oneOf(SCALAR, arrayOf(inner), objectOf(STRING, inner))(random);
};
/** A string that holds what another generator makes. */
export function quoted(generator: Generator): Generator {
  return (random) => JSON.stringify(generator(random));
}
/** A string of parts. */
export function joined(...parts: readonly Generator[]): Generator {
  return (random) => JSON.stringify(parts.map((each) => JSON.parse(each(random)) as string).join(''));
}

/** A type as OPA declares it. */
export interface RegoType {
  readonly type: string;
  readonly of?: RegoType | readonly RegoType[];
  readonly static?: readonly unknown[];
  readonly dynamic?: RegoType | { readonly key: RegoType; readonly value: RegoType };
}

/** Values of a type. */
export function ofType(declared: RegoType): Generator {
  const { type, of, dynamic } = declared;
  if (type === 'string') return STRING;
  if (type === 'number') return NUMBER;
  if (type === 'boolean') return BOOLEAN;
  if (type === 'null') return NULL;
  if (type === 'set') return setOf(of === undefined ? ANY : ofType(of as RegoType));
  if (type === 'array') return ofArray(declared);
  if (type === 'object') return ofObject(dynamic as { key: RegoType; value: RegoType } | undefined);
  const choices = (of ?? []) as readonly RegoType[];
  return choices.length === 0 ? ANY : oneOf(...choices.map(ofType));
}

function ofArray(declared: RegoType): Generator {
  if (declared.static !== undefined) return listOf(...(declared.static as RegoType[]).map(ofType));
  return arrayOf(declared.dynamic === undefined ? ANY : ofType(declared.dynamic as RegoType));
}

function ofObject(dynamic: { key: RegoType; value: RegoType } | undefined): Generator {
  return dynamic === undefined ? objectOf(STRING, ANY) : objectOf(ofType(dynamic.key), ofType(dynamic.value));
}
