/**
 * JSON as Go's decoder reads it. What `JSON.parse` accepts is Rego text already, but for halves of surrogate pairs, which
 * Go replaces, and for numbers that OPA finds too big.
 */
import { parseJson } from '../core/parse-json.ts';
import { fail, refuse } from './implementation.ts';
import { parseText } from './parse-text.ts';
import { isArray, RegoObject, type Value } from './value.ts';
import { Verbatim } from './write-text.ts';

/** Deeper JSON is an error to Go's decoder. */
const MOST_DEPTH = 10_000;
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;
/** a number that may be too big to OPA: a long exponent, or very many digits before one */
const MAYBE_TOO_BIG = /\d[eE][-+]?\d{4}|\d{10000}/;
const NUMBER_OR_STRING = /"(?:[^"\\]|\\.)*"|-?\d[\d.]*(?:[eE][-+]?\d+)?/g;
/** 2^±100000 in decimal has its point here */
const MOST_POINT = 30_103;

export function isJson(text: string): boolean {
  return parsed(text) !== undefined;
}

interface Parsed {
  readonly value: unknown;
}

/** @returns undefined  for what is no JSON to Go */
function parsed(text: string): Parsed | undefined {
  if (isTooDeep(text)) return undefined;
  try {
    return { value: parseJson(text) };
  } catch {
    return undefined;
  }
}

const FIRST_SCALAR = /^(?:"(?:[^"\\]|\\.)*"|true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)/s;
const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{}]/gs;

/**
 * OPA looks for what follows a JSON text by asking for one more token, and takes the token `null` for none: `1 null x`
 * is 1.
 *
 * @returns what stands before it; undefined  where there is no such thing
 */
function beforeNull(text: string): string | undefined {
  if (!text.includes('null')) return undefined;
  const trimmed = text.replace(/^[ \t\r\n]+/, '');
  const end = firstEnd(trimmed);
  return /^[ \t\r\n]*null/.test(trimmed.slice(end)) ? trimmed.slice(0, end) : undefined;
}

function firstEnd(text: string): number {
  if (!/^[[{]/.test(text)) return FIRST_SCALAR.exec(text)?.[0].length ?? text.length;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    if (depth === 0) return index + 1;
  }
  return text.length;
}

/** What a policy gets for JSON: its text, where that is Rego text. */
export function jsonToRego(text: string): Verbatim {
  return readJson(text).rego;
}

/** The JSON at the beginning of a text, whatever comes after it. */
export function leadingJson(text: string): Verbatim {
  const trimmed = text.replace(/^[ \t\r\n]+/, '');
  return jsonToRego(trimmed.slice(0, firstEnd(trimmed)));
}

export interface ReadJson {
  /** without exact numbers */
  readonly value: unknown;
  readonly rego: Verbatim;
}

export function readJson(text: string): ReadJson {
  const whole = parsed(text);
  if (whole === undefined) return readJson(beforeNull(text) ?? fail());
  const { value } = whole;
  if (MAYBE_TOO_BIG.test(text)) checkNumbers(text);
  return { value, rego: new Verbatim(SURROGATE_ESCAPE.test(text) ? wellFormed(text) : text) };
}

/** With the text of numbers; of keys that stand there twice the last one counts. */
export function jsonToValue(text: string): Value {
  return distinctKeys(parseText(readJson(text).rego.text));
}

function distinctKeys(value: Value): Value {
  if (value instanceof RegoObject) {
    const members = new Map(value.entries.map(([key, member]) => [key, distinctKeys(member)]));
    return new RegoObject([...members]);
  }
  return value !== null && isArray(value) ? value.map(distinctKeys) : value;
}

/** U+FFFD for each half of a pair that has lost the other. */
function wellFormed(text: string): string {
  return text.replace(NUMBER_OR_STRING, (each) =>
    SURROGATE_ESCAPE.test(each) ? JSON.stringify((JSON.parse(each) as string).toWellFormed()) : each,
  );
}

function isTooDeep(text: string): boolean {
  if (text.length <= MOST_DEPTH) return false;
  let depth = 0;
  for (const [each] of text.matchAll(TOKEN)) {
    if (each === '[' || each === '{') depth += 1;
    else if (each === ']' || each === '}') depth -= 1;
    if (depth > MOST_DEPTH) return true;
  }
  return false;
}

function checkNumbers(text: string): void {
  for (const [each] of text.matchAll(NUMBER_OR_STRING)) {
    if (!each.startsWith('"')) checkNumber(each);
  }
}

/** A number whose binary exponent is beyond ±100000 is an error to OPA. */
export function checkNumber(text: string): void {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().replace(/^[-+]/, '').split('e');
  const [integer = '', fraction = ''] = mantissa.split('.');
  const digits = (integer + fraction).replace(/^0+/, '');
  if (digits === '') {
    if (exponent.length > 9) refuse('A number is zero with a very long exponent');
    return;
  }
  const point = Number(exponent) + digits.length - fraction.length;
  const beyond = Math.abs(point) - MOST_POINT;
  if (beyond > 1) fail();
  if (beyond >= -1) refuse('A number is at the limit of what OPA can hold');
}
